// SPDX-License-Identifier: Dual MIT/GPL
// What does not change about a socket once it talks: addresses, role, whether
// its first bytes were missed. The role is known from the connecting side, a
// listening port or a name, never from who spoke first.
#ifndef VITALS_LEARN_H
#define VITALS_LEARN_H

#include "access.h"
#include "stream.h"

// unix_learn goes by names: an accepted socket has its listener's, a socket that
// connects normally none.
static __always_inline void unix_learn(struct conn *c, struct sock *sk)
{
	struct unix_sock *u = (struct unix_sock *)sk;
	struct unix_address *own = BPF_CORE_READ(u, addr), *far = NULL;
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ(u, peer);
	struct unix_address *named;
	struct exchange *x = &c->x;
	int len;

	x->far = BPF_CORE_READ(sk, sk_peer_pid, numbers[0].nr);
	if (peer)
		far = BPF_CORE_READ(peer, addr);
	if (own && !far)
		x->role = ROLE_SERVER;
	else if (far && !own)
		x->role = ROLE_CLIENT;
	named = x->role == ROLE_SERVER ? own : far;
	if (!named)
		return;
	len = BPF_CORE_READ(named, len);
	if (len > (int)sizeof(u16) + 32)
		x->flags |= CUT;
	bpf_probe_read_kernel(x->laddr, 32, (char *)named + bpf_core_field_offset(struct unix_address, name) +
						    bpf_core_field_offset(struct sockaddr_un, sun_path));
	if (len < (int)sizeof(u16) + 32 && len >= (int)sizeof(u16))
		x->laddr[(len - sizeof(u16)) & 31] = 0;
}

static __always_inline bool listens(__u32 netns, __u16 port)
{
	struct port p = { .netns = netns, .port = port };

	return bpf_map_lookup_elem(&listeners, &p);
}

// here tells whether the other end is on this machine, for certain.
static __always_inline bool here(struct exchange *x)
{
	__u64 *l = (__u64 *)x->laddr, *r = (__u64 *)x->raddr;

	return l[0] == r[0] && l[1] == r[1];
}

static __always_inline void inet_addresses(struct exchange *x, struct sock *sk)
{
	x->lport = READ(sk, __sk_common.skc_num);
	x->rport = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	if (x->family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)x->laddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)x->raddr, sk, __sk_common.skc_v6_daddr);
	} else {
		*(__be32 *)x->laddr = READ(sk, __sk_common.skc_rcv_saddr);
		*(__be32 *)x->raddr = READ(sk, __sk_common.skc_daddr);
	}
}

static __always_inline void inet_learn(struct conn *c, struct sock *sk)
{
	struct exchange *x = &c->x;

	inet_addresses(x, sk);
	if (x->role != ROLE_UNKNOWN)
		return;
	if (listens(x->netns, x->lport))
		x->role = ROLE_SERVER;
	else if (here(x) && listens(x->netns, x->rport))
		x->role = ROLE_CLIENT;
}

// written gives how many bytes were sent on a TCP socket so far.
static __always_inline __u64 written(struct tcp_sock___requests *tp)
{
	return READ(tp, bytes_acked) + (__u32)(READ(tp, write_seq) - READ(tp, snd_una));
}

// missed tells whether bytes went by before this chunk.
static __always_inline bool missed(struct conn *c, struct sock *sk, struct chunk *k)
{
	struct tcp_sock___requests *tp;
	__u64 consumed;

	if (c->fresh || c->x.flags & DATAGRAM)
		return false;
	if (!c->tcp)
		return c->chosen || existed(sk);
	tp = tcp_of(sk);
	if (!tp)
		return true;
	consumed = READ(tp, bytes_received) - (__u32)(READ(tp, rcv_nxt) - READ(tp, copied_seq));
	if (k->received)
		return consumed != k->n || written(tp);
	return written(tp) != k->n || consumed;
}

static __always_inline void settle_down(struct conn *c)
{
	struct exchange *x = &c->x;
	struct place at = { .netns = x->netns };
	struct tuning *t;

	if (x->family == AF_UNIX) {
		__builtin_memcpy(at.name, x->laddr, 32);
	} else if (x->role == ROLE_CLIENT) {
		at.client = 1;
		at.port = x->rport;
		__builtin_memcpy(at.name, x->raddr, 16);
	} else {
		at.port = x->lport;
	}
	t = bpf_map_lookup_elem(&places, &at);
	if (t)
		tune(c, t);
	x->flags &= ~SWITCHED;
}

// learn fills in what does not change once a socket talks.
static __noinline int learn(struct conn *c, struct sock *sk, struct chunk *k)
{
	c->x.family = READ(sk, __sk_common.skc_family);
	c->x.cookie = cookie_of(sk, k);
	c->x.netns = netns_of(sk);
	if (c->x.family == AF_UNIX) {
		unix_learn(c, sk);
	} else {
		c->tcp = READ(sk, sk_protocol) == IPPROTO_TCP;
		inet_learn(c, sk);
	}
	if (missed(c, sk, k)) {
		c->x.flags |= JOINED;
		c->joined = 1;
	}
	c->tuned = tunings;
	if (c->x.role != ROLE_UNKNOWN)
		settle_down(c);
	return 0;
}

#endif
