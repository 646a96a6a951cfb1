// SPDX-License-Identifier: Dual MIT/GPL
// Transfers one by one: for protocols whose directions mix, and for sockets that
// nobody knows yet.
#ifndef VITALS_STREAM_H
#define VITALS_STREAM_H

#include "machine.h"

// BIG is a record with room for size bytes, which are read right into the ring.
#define BIG(size)                                                                                                      \
	static __always_inline int big_##size##_body(struct conn *c, struct chunk *k, __u64 cap, __u64 b, __u64 d)      \
	{                                                                                                              \
		struct {                                                                                               \
			struct exchange x;                                                                             \
			char head[size];                                                                               \
		} *r;                                                                                                  \
		__u64 wake = BPF_RB_NO_WAKEUP;                                                                         \
                                                                                                                       \
		if (sleeping || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > wake_at)                                 \
			wake = BPF_RB_FORCE_WAKEUP;                                                                    \
		r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);                                                         \
		if (!r)                                                                                                \
			return 0;                                                                                      \
		r->x = c->x;                                                                                           \
		r->x.request_len = read_big(r->head, size, cap, k);                                                    \
		if (k->turn)                                                                                           \
			part(&r->x, k);                                                                                \
		sleeping = 0;                                                                                          \
		bpf_ringbuf_submit(r, wake);                                                                           \
		return 1;                                                                                              \
	}                                                                                                              \
	ONCE(big_##size)

// part makes a record one of a part of a turn.
static __always_inline void part(struct exchange *x, struct chunk *k)
{
	x->kind = HEAD;
	x->seq = k->turn;
	x->start = x->last = k->now;
	x->first = k->offset;
	x->in = k->received ? k->n : 0;
	x->out = k->received ? 0 : k->n;
	x->flags = k->received ? RECEIVED : 0;
	x->response_len = x->room = 0;
}

BIG(256)
BIG(1024)
BIG(4096)
BIG(16384)
BIG(32768)

static __always_inline int put_big(struct conn *c, struct chunk *k, __u64 cap)
{
	__u64 size = k->count > 1 ? 2 * cap : cap;

	if (size <= 256)
		return big_256(c, k, cap, 0, 0);
	if (size <= 1024)
		return big_1024(c, k, cap, 0, 0);
	if (size <= 4096)
		return big_4096(c, k, cap, 0, 0);
	if (size <= 16384)
		return big_16384(c, k, cap, 0, 0);
	return big_32768(c, k, cap, 0, 0);
}

// overflow ships what does not fit into the head of a turn, where user space
// wants more than that.
static __always_inline int overflow_body(struct conn *c, struct chunk *k, __u64 to, __u64 b, __u64 d)
{
	__u64 cap, room, so_far;

	switch (to) {
	case TO_REQUEST:
		cap = c->client_cap;
		so_far = c->x.role == ROLE_SERVER ? c->x.in : c->x.out;
		room = REQUEST_HEAD;
		k->turn = c->x.seq;
		break;
	case TO_NEXT:
		cap = c->client_cap;
		so_far = c->next_n;
		room = REQUEST_HEAD;
		k->turn = c->x.seq + 1;
		break;
	case TO_RESPONSE:
		cap = c->server_cap;
		so_far = c->x.role == ROLE_SERVER ? c->x.out : c->x.in;
		room = RESPONSE_HEAD;
		k->turn = c->x.seq;
		break;
	default:
		return 0;
	}
	k->offset = so_far - k->n;
	if (cap > MAX_HEAD)
		cap = MAX_HEAD;
	if (cap <= room || so_far <= room || k->offset >= cap)
		return 0;
	locate(c, k);
	if (!k->base || k->flags & MSG_TRUNC)
		return 0;
	cap -= k->offset;
	if (cap > k->n)
		cap = k->n;
	if (!put_big(c, k, cap))
		__sync_fetch_and_add(&lost_amendments, 1);
	return 0;
}
ONCE(overflow)

// missing keeps the beginning of a transfer that was lost, and of some before it:
// nothing may follow. There is room, since nothing is read ahead of a connection
// that goes by chunk.
static __always_inline void missing(struct conn *c, struct chunk *k)
{
	__u64 at = (c->next_len++ & (LOST_HEADS - 1)) * LOST_HEAD, *head = (__u64 *)(c->next_head + at);

	head[0] = head[1] = head[2] = head[3] = 0;
	read_head(c, k, offsetof(struct conn, next_head), at, at + LOST_HEAD);
}

// show ships one transfer.
static __always_inline int show_body(struct conn *c, struct chunk *k, __u64 cap, __u64 b, __u64 d)
{
	struct exchange *x = &c->x;

	x->kind = CHUNK;
	number(c);
	x->start = x->last = k->now;
	x->first = 0;
	x->in = k->received ? k->n : 0;
	x->out = k->received ? 0 : k->n;
	x->flags &= CUT | JOINED | SWITCHED | DATAGRAM | GREETING;
	x->flags |= k->received ? RECEIVED : 0;
	if (k->received && c->x.role == ROLE_CLIENT && pending(c, k))
		x->flags |= LATE;
	x->request_len = x->response_len = x->room = 0;
	locate(c, k);
	if (!k->base || k->flags & MSG_TRUNC)
		cap = 0;
	if (cap > k->n)
		cap = k->n;
	if (cap > CHUNK_HEAD) {
		if (put_big(c, k, cap)) {
			x->flags &= ~SAID_ONCE;
			return 0;
		}
		lose(x);
		missing(c, k);
		return 0;
	}
	if (cap)
		x->request_len = read_head(c, k, offsetof(struct conn, response), 0, cap);
	if (!put(c, x->request_len))
		missing(c, k);
	return 0;
}
ONCE(show)

// show_request ships a request that has begun as what it is so far.
static __always_inline void show_request(struct conn *c)
{
	struct exchange *x = &c->x;

	x->kind = CHUNK;
	x->last = x->start;
	x->flags &= CUT | JOINED | SWITCHED;
	x->flags |= x->in ? RECEIVED : 0;
	x->response_len = 0;
	x->room = RESPONSE_HEAD;
	put(c, RESPONSE_HEAD + (__u64)x->request_len);
	c->state = IDLE;
}

// by_chunk changes the mode; what has begun is not lost.
static __always_inline void by_chunk(struct conn *c)
{
	c->mode = BY_CHUNK;
	c->x.flags |= SWITCHED;
	if (c->state == RESPONSE)
		finish(c);
	if (c->state == REQUEST)
		show_request(c);
	if (c->next_n) {
		catch_up(c);
		show_request(c);
	}
	c->next_len = 0;
	c->state = IDLE;
}

static __always_inline void tune(struct conn *c, struct tuning *t)
{
	if (t->role != ROLE_UNKNOWN && c->x.role != t->role) {
		c->state = IDLE;
		c->next_n = 0;
		c->x.role = t->role;
	}
	c->client_cap = t->client_cap;
	c->server_cap = t->server_cap;
	if (t->mode == c->mode)
		return;
	if (t->mode == BY_CHUNK) {
		by_chunk(c);
		return;
	}
	finish(c);
	c->mode = t->mode;
	c->next_n = 0;
}

// retune looks whether user space wants something of this socket.
static __always_inline int retune_body(struct conn *c, __u64 a)
{
	struct tuning *t;

	c->tuned = tunings;
	t = bpf_map_lookup_elem(&tuned, &c->x.cookie);
	if (!t)
		return 0;
	tune(c, t);
	bpf_map_delete_elem(&tuned, &c->x.cookie);
	return 0;
}
ONCE_ALONE(retune)

// stream ships a transfer of a socket that goes by chunk.
static __always_inline void stream(struct conn *c, struct chunk *k)
{
	__u64 cap = c->server_cap;

	if (k->received == (c->x.role == ROLE_SERVER))
		cap = c->client_cap;
	if (cap < CHUNK_HEAD)
		cap = CHUNK_HEAD;
	if (cap > MAX_HEAD)
		cap = MAX_HEAD;
	show(c, k, cap, 0, 0);
	if (!k->received)
		c->sent = k->seq;
}

// preface tells whether a connection turned out to be HTTP/2, which goes by
// chunk from its first byte, so that no header is missed.
static __always_inline bool preface(struct conn *c, enum head to, struct chunk *k)
{
	struct exchange *x = &c->x;

	if (to != TO_REQUEST || x->seq > 2 || x->request_len < 4 || *(__u32 *)c->request != 0x20495250) // "PRI "
		return false;
	c->client_cap = HTTP2_CLIENT_HEAD;
	c->server_cap = HTTP2_SERVER_HEAD;
	if (x->in + x->out == k->n) {
		// All of it is at hand: ship more of it than fits into the head.
		x->seq--;
		c->state = IDLE;
		by_chunk(c);
		stream(c, k);
		return true;
	}
	by_chunk(c);
	return true;
}

#endif
