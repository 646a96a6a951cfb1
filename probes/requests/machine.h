// SPDX-License-Identifier: Dual MIT/GPL
// The exchange machine. A change of direction ends a request or a response:
//
//	IDLE -> REQUEST -> RESPONSE -> REQUEST (the exchange before is shipped)
//
// Receives are reported in the order in which things happened. Sends are not:
// they are reported when the call ends, and by then the peer may have answered
// and another thread have read that. The send sequence number of the socket
// tells: bytes up to conn->sent were reported, those beyond it, up to the
// socket's write_seq, are in a send that is still to be reported.
//
// It works on a struct conn, wherever that is kept.
#ifndef VITALS_MACHINE_H
#define VITALS_MACHINE_H

#include "state.h"
#include "once.h"

// read_piece appends n bytes from a place to the len bytes that head has, where
// there is room for cap, and gives the new length.
static __always_inline __u64 read_piece(char *head, __u64 len, __u64 cap, __u64 from, __u64 n)
{
	if (len >= cap || len >= REQUEST_HEAD)
		return len;
	if (n > cap - len)
		n = cap - len;
	barrier_var(n);
	if (n > REQUEST_HEAD || bpf_probe_read_user(head + len, n, (void *)from))
		return len;
	return len + n;
}

// read_head appends what was transferred to the len bytes that a connection has
// at the offset, where there is room for cap, and gives the new length. It never
// reads beyond the transfer.
static __always_inline int read_head_body(struct conn *c, struct chunk *k, __u64 offset, __u64 len, __u64 cap)
{
	__u64 left = k->n, n, had;
	struct iovec v;
	char *head;

	if (offset > offsetof(struct conn, request) || cap > REQUEST_HEAD)
		return len;
	head = (char *)c + offset;
	if (k->flags & MSG_TRUNC || !k->base)
		return len;
	if (!k->count)
		return read_piece(head, len, cap, k->base, left);
	for (int i = 0; i < MAX_IOVS && i < k->count && left && len < cap; i++) {
		if (bpf_probe_read_user(&v, sizeof(v), (struct iovec *)k->base + i))
			break;
		n = v.iov_len;
		if (n > left)
			n = left;
		left -= n;
		had = len;
		len = read_piece(head, len, cap, (__u64)v.iov_base, n);
		if (len == had && n)
			break;
	}
	return len;
}
ONCE(read_head)

static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

// number gives the next record its number. What was missed leaves a gap.
static __always_inline void number(struct conn *c)
{
	c->x.seq += 1 + c->missed;
	c->missed = 0;
}

static __always_inline void begin(struct conn *c, __u64 now)
{
	struct exchange *x = &c->x;

	x->kind = EXCHANGE;
	number(c);
	x->start = now;
	x->first = x->last = 0;
	x->in = x->out = 0;
	x->flags &= CUT | JOINED;
	x->request_len = x->response_len = 0;
	c->shipped = 0;
	c->orphaned = 0;
	stirred(x);
}

// put hands a conn's record over with the heads right behind it.
static __always_inline int put_body(struct conn *c, __u64 tail)
{
	struct exchange *x = &c->x;

	if (tail > RESPONSE_HEAD + REQUEST_HEAD)
		tail = RESPONSE_HEAD + REQUEST_HEAD;
	if (bpf_ringbuf_output(&ring, x, sizeof(*x) + tail, waking(x->last))) {
		lose(x);
		return 0;
	}
	x->flags &= ~SAID_ONCE;
	return 1;
}
ONCE_ALONE(put)

// ship hands over the exchange, or what it gained since it was shipped early.
static __always_inline int ship_body(struct conn *c, __u64 flags)
{
	struct exchange *x = &c->x;

	if (c->shipped) {
		if (c->shipped == x->in + x->out)
			return 0;
		flags = (flags & ~EARLY) | AMEND;
	}
	c->shipped = x->in + x->out;
	x->flags = (x->flags & ~(EARLY | AMEND)) | flags;
	x->room = RESPONSE_HEAD;
	put(c, RESPONSE_HEAD + (__u64)x->request_len);
	return 1;
}
ONCE_ALONE(ship)

static __always_inline void finish(struct conn *c)
{
	if (c->state == RESPONSE)
		ship(c, 0);
	c->state = IDLE;
}

// give_up ends an exchange whose connection is gone and says whether that was told.
static __always_inline int give_up(struct conn *c, int err, __u32 ends)
{
	int told = 0;

	if (c->state == REQUEST) {
		c->x.last = bpf_ktime_get_ns();
		told = ship(c, ends | CLOSED | (err == ETIMEDOUT ? TIMEOUT : err ? RESET : 0));
	} else if (c->state == RESPONSE) {
		told = ship(c, ends);
	}
	c->state = IDLE;
	return told;
}

// lost_heads gives the size of what missing has kept.
static __always_inline __u64 lost_heads(struct conn *c)
{
	if (c->mode != BY_CHUNK)
		return 0;
	return c->next_len > LOST_HEADS ? LOST_HEADS * LOST_HEAD : c->next_len * LOST_HEAD;
}

// end tells that the connection is over, if it was heard of, and how transfers
// began that were lost: nothing follows by which they could be known.
static __always_inline void end(struct conn *c, int err)
{
	struct exchange *x = &c->x;

	if (give_up(c, err, ENDS) || !x->seq)
		return;
	x->kind = END;
	x->start = x->first = x->in = x->out = 0;
	x->last = bpf_ktime_get_ns();
	x->flags = (x->flags & (JOINED | DATAGRAM | RESET | TIMEOUT)) | (err == ETIMEDOUT ? TIMEOUT : err ? RESET : 0);
	x->response_len = 0;
	x->request_len = lost_heads(c);
	x->room = RESPONSE_HEAD;
	__builtin_memcpy(c->request, c->next_head, REQUEST_HEAD);
	put(c, RESPONSE_HEAD + (__u64)x->request_len);
}

// head is where the bytes of a chunk go: the heads of a connection.
enum head { NOWHERE, TO_REQUEST, TO_RESPONSE, TO_NEXT, TO_GREETING };

// orphan takes bytes of the server that answer nothing: its greeting, or the
// answer to something that was not seen.
static __always_inline enum head orphan(struct conn *c)
{
	if (!c->x.seq && !(c->x.flags & JOINED) && c->tcp)
		return TO_GREETING;
	if (!c->orphaned)
		unpaired(&c->x);
	c->orphaned = 1;
	return NOWHERE;
}

// answered adds a chunk of the response.
static __always_inline enum head answered(struct conn *c, struct chunk *k)
{
	if (c->state == REQUEST) {
		c->state = RESPONSE;
		c->x.first = k->now;
	}
	c->x.last = k->now;
	return TO_RESPONSE;
}

static __always_inline enum head server_received(struct conn *c, struct chunk *k)
{
	if (c->next_n || (c->state != IDLE && c->tcp && after(k->seq, c->sent))) {
		if (!c->next_n) {
			c->next_start = k->now;
			c->next_mark = k->seq;
			c->next_len = 0;
		}
		c->next_n += k->n;
		return TO_NEXT;
	}
	if (c->state != REQUEST) {
		finish(c);
		begin(c, k->now);
		c->state = REQUEST;
	}
	c->x.in += k->n;
	return TO_REQUEST;
}

static __always_inline enum head server_sent(struct conn *c, struct chunk *k)
{
	c->sent = k->seq;
	if (c->state == IDLE)
		return orphan(c);
	c->x.out += k->n;
	return answered(c, k);
}

// pending tells whether a send is still to be reported.
static __always_inline bool pending(struct conn *c, struct chunk *k)
{
	return c->tcp && after(k->seq, c->sent);
}

static __always_inline enum head client_received(struct conn *c, struct chunk *k)
{
	bool late = pending(c, k);

	if (c->state == IDLE && !late)
		return orphan(c);
	if (c->state == IDLE || (c->state == RESPONSE && late && after(k->seq, c->mark))) {
		finish(c);
		begin(c, k->now);
		c->x.flags |= LATE;
		c->state = REQUEST;
	}
	if (c->state == REQUEST)
		c->mark = k->seq;
	c->x.in += k->n;
	return answered(c, k);
}

static __always_inline enum head client_sent(struct conn *c, struct chunk *k)
{
	__u32 from = c->sent;

	c->sent = k->seq;
	// What began before the response is still this request: its late report,
	// or the rest of a body that was answered early.
	if (c->state == IDLE || (c->state == RESPONSE && !(c->tcp && after(c->mark, from)))) {
		finish(c);
		begin(c, k->now);
		c->state = REQUEST;
	}
	c->x.out += k->n;
	return TO_REQUEST;
}

// catch_up makes the request that was read ahead the current one.
static __always_inline void catch_up(struct conn *c)
{
	finish(c);
	begin(c, c->next_start);
	c->state = REQUEST;
	c->x.in = c->next_n;
	c->x.request_len = c->next_len;
	__builtin_memcpy(c->request, c->next_head, REQUEST_HEAD);
	c->next_n = 0;
}

// moved does what follows when the bytes of a chunk are in their head.
static __always_inline void moved(struct conn *c)
{
	// A socket that is not TCP may vanish untold.
	if (!c->tcp && c->state == RESPONSE && !c->shipped)
		ship(c, EARLY);
	if (c->next_n && !after(c->next_mark, c->sent))
		catch_up(c);
}

// fill reads a chunk into a head that still has room.
static __always_inline void fill(struct conn *c, enum head to, struct chunk *k)
{
	__u64 offset, len, cap = REQUEST_HEAD;

	switch (to) {
	case TO_REQUEST:
		offset = offsetof(struct conn, request);
		len = c->x.request_len;
		break;
	case TO_RESPONSE:
		offset = offsetof(struct conn, response);
		len = c->x.response_len;
		cap = RESPONSE_HEAD;
		break;
	case TO_NEXT:
		offset = offsetof(struct conn, next_head);
		len = c->next_len;
		break;
	default:
		return;
	}
	if (len >= cap)
		return;
	locate(c, k);
	barrier_var(offset);
	barrier_var(cap);
	len = read_head(c, k, offset, len, cap);
	if (to == TO_REQUEST)
		c->x.request_len = len;
	else if (to == TO_RESPONSE)
		c->x.response_len = len;
	else
		c->next_len = len;
}

#endif
