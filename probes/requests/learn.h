// SPDX-License-Identifier: Dual MIT/GPL
// What does not change about a socket once it talks: addresses and role. The
// role is known from the connecting side, a listening port or a name, never from
// who spoke first.
#ifndef VITALS_LEARN_H
#define VITALS_LEARN_H

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

static __always_inline void inet_learn(struct conn *c, struct sock *sk)
{
	struct exchange *x = &c->x;
	struct port p = {};

	x->lport = sk->__sk_common.skc_num;
	x->rport = bpf_ntohs(sk->__sk_common.skc_dport);
	if (x->family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)x->laddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)x->raddr, sk, __sk_common.skc_v6_daddr);
	} else {
		*(__be32 *)x->laddr = sk->__sk_common.skc_rcv_saddr;
		*(__be32 *)x->raddr = sk->__sk_common.skc_daddr;
	}
	p.netns = x->netns;
	if (x->role != ROLE_UNKNOWN)
		return;
	p.port = x->lport;
	if (bpf_map_lookup_elem(&listeners, &p))
		x->role = ROLE_SERVER;
}

// learn fills in what does not change once a socket talks.
static __noinline int learn(struct conn *c, struct sock *sk)
{
	c->x.family = sk->__sk_common.skc_family;
	c->x.cookie = bpf_get_socket_cookie(sk);
	c->x.netns = sock_netns(sk);
	if (c->x.family == AF_UNIX) {
		unix_learn(c, sk);
		return 0;
	}
	c->tcp = sk->sk_protocol == IPPROTO_TCP;
	inet_learn(c, sk);
	return 0;
}

#endif
