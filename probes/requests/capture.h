// SPDX-License-Identifier: Dual MIT/GPL
// What happens to a transfer, from the socket to a record. The including program
// says how sockets are remembered: conn_of, conn_make, lock, unlock, locate,
// existed, cookie_of.
#ifndef VITALS_CAPTURE_H
#define VITALS_CAPTURE_H

#include "access.h"
#include "choose.h"
#include "learn.h"
#include "speech.h"

// How many chunks of a socket whose role is unknown are looked at, and how many
// of them are shown to user space.
#define MAX_GUESSES 32
#define MAX_SHOWN 4

static __always_inline __u32 write_seq(struct sock *sk, struct conn *c)
{
	struct tcp_sock___requests *tp;
	__u8 state;

	if (!c->tcp)
		return 0;
	tp = tcp_of(sk);
	if (!tp)
		return 0;
	state = READ(sk, __sk_common.skc_state);
	// A FIN takes a number, too.
	return READ(tp, write_seq) - (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT && state != TCP_SYN_SENT);
}

static __always_inline bool of_interest(__u16 port)
{
	return port && bpf_map_lookup_elem(&datagrams, &port);
}

// peer is a struct sockaddr_in or sockaddr_in6, as far as it matters.
struct peer {
	__u16 family;
	__be16 port;
	__u32 addr4;
	__u8 addr6[16];
};

// datagram_role looks at the ports of a UDP socket: whether its traffic is of
// interest, and which end it is.
static __noinline int datagram_role(struct sock *sk, struct chunk *k)
{
	struct peer to;

	if (of_interest(READ(sk, __sk_common.skc_num)))
		return ROLE_SERVER;
	if (READ(sk, __sk_common.skc_dport))
		return of_interest(bpf_ntohs(READ(sk, __sk_common.skc_dport))) ? ROLE_CLIENT : 0;
	if (k->received)
		return 0;
	locate(NULL, k);
	k->located = 0; // again, with the state of the socket
	if (!k->name || bpf_probe_read_user(&to, offsetof(struct peer, addr4), (void *)k->name))
		return 0;
	return of_interest(bpf_ntohs(to.port)) ? ROLE_CLIENT : 0;
}

// open_conn gives a socket its state, if it is one that can carry exchanges.
static __always_inline struct conn *open_conn(struct sock *sk, __u32 tgid, struct chunk *k)
{
	__u16 family = READ(sk, __sk_common.skc_family), type = READ(sk, sk_type);
	__u8 role = ROLE_UNKNOWN;
	struct conn *c;

	if (!(observed(tgid, 0) & ON))
		return NULL;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return NULL;
	if (type == SOCK_DGRAM && family != AF_UNIX && k) {
		role = datagram_role(sk, k);
		if (!role)
			return NULL;
	} else if (type != SOCK_STREAM) {
		return NULL;
	}
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return NULL;
	c = conn_make(sk);
	if (!c)
		return NULL;
	decide(c, tgid);
	if (type == SOCK_DGRAM) {
		c->x.role = role;
		c->x.flags |= DATAGRAM;
		c->mode = BY_CHUNK;
		c->client_cap = c->server_cap = DATAGRAM_HEAD;
	}
	return c;
}

// guess settles an unknown role by a head that is unmistakable: the first line
// of an HTTP request. It may be wrong about nothing but HTTP.
static __always_inline int guess_body(struct conn *c, struct chunk *k, __u64 a, __u64 b, __u64 d)
{
	locate(c, k);
	// The request head is free: nothing has begun on this socket.
	if (read_head(c, k, offsetof(struct conn, request), 0, 4) < 4)
		return 0;
	switch (*(__u32 *)c->request) {
	case 0x20544547: // "GET "
	case 0x54534f50: // "POST"
	case 0x44414548: // "HEAD"
	case 0x20545550: // "PUT "
	case 0x454c4544: // "DELE"
	case 0x43544150: // "PATC"
	case 0x4954504f: // "OPTI"
	case 0x20495250: // "PRI "
		c->x.role = k->received ? ROLE_SERVER : ROLE_CLIENT;
		return 0;
	case 0x50545448: // "HTTP"
		c->x.role = k->received ? ROLE_CLIENT : ROLE_SERVER;
		return 0;
	}
	c->guesses++;
	return 0;
}
ONCE(guess)

// unknown looks at a transfer of a socket whose role is not known and says
// whether it is now. The first ones are shown to user space, which knows more
// protocols.
static __always_inline bool unknown(struct conn *c, struct chunk *k)
{
	if (c->guesses < MAX_GUESSES)
		guess(c, k, 0, 0, 0);
	if (c->x.role != ROLE_UNKNOWN)
		return true;
	if (c->on && c->shown < MAX_SHOWN) {
		c->shown++;
		show(c, k, CHUNK_HEAD, 0, 0);
	}
	if (!k->received)
		c->sent = k->seq;
	return false;
}

// settle says whether the chunk belongs to an observed process, by the decision
// that the socket carries, or a new one at a boundary or after a change.
static __always_inline bool settle(struct conn *c, __u32 tgid, struct chunk *k)
{
	bool request = k->received == (c->x.role == ROLE_SERVER);
	bool boundary = c->state == IDLE || (c->state == RESPONSE && request);

	if (c->gen != generation || ((boundary || !c->on) && c->x.tgid != tgid)) {
		bool was = c->on && !interrupted(c, tgid);

		if (c->on && (!was || boundary || !(observed(tgid, 0) & ON))) {
			finish(c);
			c->next_n = 0;
		}
		decide(c, tgid);
		if (!was) {
			c->state = IDLE;
			c->next_n = 0;
			c->sent = k->seq;
			c->x.flags |= JOINED;
		}
	}
	return c->on;
}

// addressed notes where a datagram goes.
static __always_inline void addressed(struct conn *c, struct chunk *k)
{
	struct exchange *x = &c->x;
	struct peer to = {};

	locate(c, k);
	if (k->received || !k->name || bpf_probe_read_user(&to, sizeof(to), (void *)k->name))
		return;
	x->rport = bpf_ntohs(to.port);
	if (to.family == AF_INET6)
		__builtin_memcpy(x->raddr, to.addr6, sizeof(x->raddr));
	else if (x->family == AF_INET)
		*(__u32 *)x->raddr = to.addr4;
}

static __always_inline void exchange(struct conn *c, struct chunk *k)
{
	enum head to;

	if (c->x.role == ROLE_SERVER)
		to = k->received ? server_received(c, k) : server_sent(c, k);
	else
		to = k->received ? client_received(c, k) : client_sent(c, k);
	if (to == TO_GREETING) {
		c->x.flags |= GREETING;
		show(c, k, CHUNK_HEAD, 0, 0);
		c->x.flags &= ~GREETING;
		return;
	}
	fill(c, to, k);
	if (c->client_cap | c->server_cap)
		overflow(c, k, to, 0, 0);
	if (!preface(c, to, k))
		moved(c);
}

// move takes a chunk of a connection that is locked and known.
static __always_inline void move(struct conn *c, __u32 tgid, struct chunk *k)
{
	// Where chunks flow, only where a request begins: its answer must not come
	// alone into a new mode.
	if (c->tuned != tunings && (c->mode != BY_CHUNK || k->received == (c->x.role == ROLE_SERVER)))
		retune(c, 0);
	if (!settle(c, tgid, k))
		return;
	if (c->mode == BY_CHUNK) {
		if (c->x.flags & DATAGRAM)
			addressed(c, k);
		stream(c, k);
	} else if (c->mode == MUTE) {
		if (!k->received)
			c->sent = k->seq;
	} else if (c->x.role != ROLE_UNKNOWN || unknown(c, k)) {
		exchange(c, k);
	}
}

// unreported gives how many bytes were sent on a socket whose sends are all still
// to be reported: everything, on one that is known from its beginning.
static __always_inline __u32 unreported(struct conn *c, struct sock *sk)
{
	struct tcp_sock___requests *tp;

	if (!c->tcp || c->x.flags & JOINED)
		return 0;
	tp = tcp_of(sk);
	// The peer's acknowledgement of a connecting socket counts its SYN, too.
	return tp ? written(tp) - c->fresh : 0;
}

static __always_inline int transfer(struct sock *sk, struct chunk *k)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct conn *c = conn_of(sk);

	if (c) {
		if (c->gen == generation && c->x.tgid == tgid && (!c->on || (c->mode == MUTE && c->tuned == tunings))) {
			overhear(c, tgid);
			return 0;
		}
	} else {
		c = open_conn(sk, tgid, k);
		if (!c)
			return 0;
	}
	if (!lock(c))
		return 0;
	k->now = bpf_ktime_get_ns();
	if (!c->x.family) {
		learn(c, sk, k);
		k->seq = write_seq(sk, c);
		c->sent = k->seq - unreported(c, sk);
	} else {
		k->seq = write_seq(sk, c);
	}
	overhear(c, tgid);
	move(c, tgid, k);
	unlock(c);
	return 0;
}

// ended takes the end of a stream, or an error on it.
static __noinline int ended(struct sock *sk, int ret)
{
	struct conn *c = conn_of(sk);

	if (!c || !c->on || !lock(c))
		return 0;
	if (ret < 0) {
		c->x.flags |= ret == -ETIMEDOUT ? TIMEOUT : RESET;
	} else if (!(c->x.flags & DATAGRAM) && (c->state != REQUEST || c->x.role == ROLE_CLIENT)) {
		if (c->tcp)
			give_up(c, 0, 0); // its end is told when it is gone
		else
			end(c, 0);
	}
	unlock(c);
	return 0;
}

// gone takes the end of a TCP socket: what it holds ships now or never. The sweep
// may be looking at it.
static __always_inline void gone(struct conn *c, int err)
{
	if (!c->on || !lock(c))
		return;
	end(c, c->x.flags & TIMEOUT ? ETIMEDOUT : c->x.flags & RESET ? ECONNRESET : err);
	c->on = 0;
	unlock(c);
}

// connects notes a socket that begins to connect.
static __always_inline void connects(struct sock *sk)
{
	struct conn *c = open_conn(sk, bpf_get_current_pid_tgid() >> 32, NULL);

	if (!c)
		return;
	c->x.role = ROLE_CLIENT;
	c->fresh = 1;
}

// swept ships a response that seems to be over, or tells in o what is open.
static __always_inline void swept(struct conn *c, struct open *o)
{
	__u64 now = bpf_ktime_get_ns();

	if (c->gen != generation && !(observed(c->x.tgid, c->x.birth) & ON)) {
		finish(c);
		c->next_n = 0;
		c->on = 0;
	} else if (c->state == RESPONSE && (final || now - c->x.last > IDLE_NS + 2 * (c->x.last - c->x.first))) {
		ship(c, 0);
	} else {
		o->cookie = c->x.cookie;
		o->birth = c->x.birth;
		o->start = c->x.start;
		o->tgid = c->x.tgid;
		o->seq = c->x.seq;
		o->role = c->x.role;
		o->state = c->state;
		o->shipped = !!c->shipped;
		__builtin_memcpy(o->head, c->request, sizeof(o->head));
	}
}

#endif
