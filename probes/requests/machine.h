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
#ifndef VITALS_MACHINE_H
#define VITALS_MACHINE_H

// chunk is one transfer.
struct chunk {
	__u64 now;
	__u64 n;
	__u32 seq; // the socket's write_seq
	int flags;
};

static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

static __always_inline void begin(struct conn *c, __u64 now)
{
	struct exchange *x = &c->x;

	x->seq++;
	x->start = now;
	x->first = x->last = 0;
	x->in = x->out = 0;
	x->flags &= CUT;
	x->request_len = x->response_len = 0;
	c->shipped = 0;
	c->orphaned = 0;
	if (!dirty)
		dirty = 1;
}

// ship hands over the exchange, or what it gained since it was shipped early.
static __noinline int ship(struct conn *c, __u16 flags)
{
	struct exchange *x = &c->x;
	__u64 len = x->request_len, wake = BPF_RB_NO_WAKEUP;

	if (c->shipped) {
		if (c->shipped == x->in + x->out)
			return 0;
		flags = (flags & ~EARLY) | AMEND;
	}
	c->shipped = x->in + x->out;
	if (len > REQUEST_HEAD)
		len = REQUEST_HEAD;
	x->flags = (x->flags & ~(EARLY | AMEND)) | flags;
	// The clock is the die: asking for the fill level each time is dear.
	if (!(x->last >> 6 & 63) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > wake_at)
		wake = BPF_RB_FORCE_WAKEUP;
	x->room = RESPONSE_HEAD;
	if (bpf_ringbuf_output(&ring, x, sizeof(*x) + RESPONSE_HEAD + len, wake))
		lose(x, flags & AMEND);
	return 0;
}

static __always_inline void finish(struct conn *c)
{
	if (c->state == RESPONSE)
		ship(c, 0);
	c->state = IDLE;
}

// give_up ends an exchange whose connection is gone.
static __always_inline void give_up(struct conn *c, int err)
{
	if (c->state == REQUEST) {
		c->x.last = bpf_ktime_get_ns();
		ship(c, CLOSED | (err == ETIMEDOUT ? TIMEOUT : err ? RESET : 0));
	} else {
		finish(c);
	}
	c->state = IDLE;
}

static __always_inline void orphan(struct conn *c)
{
	if (!c->orphaned)
		unpaired(&c->x);
	c->orphaned = 1;
}

// head is where the bytes of a chunk go: the heads of a connection.
enum head { NOWHERE, TO_REQUEST, TO_RESPONSE, TO_NEXT };

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
	if (c->state == IDLE) {
		orphan(c);
		return NOWHERE;
	}
	c->x.out += k->n;
	return answered(c, k);
}

static __always_inline enum head client_received(struct conn *c, struct chunk *k)
{
	bool pending = c->tcp && after(k->seq, c->sent);

	if (c->state == IDLE && !pending) {
		orphan(c);
		return NOWHERE;
	}
	if (c->state == IDLE || (c->state == RESPONSE && pending && after(k->seq, c->mark))) {
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

// moved does what follows when the bytes of a chunk are in their head.
static __always_inline void moved(struct conn *c)
{
	// A socket that is not TCP may vanish untold.
	if (!c->tcp && c->state == RESPONSE && !c->shipped)
		ship(c, EARLY);
	if (c->next_n && !after(c->next_mark, c->sent)) {
		finish(c);
		begin(c, c->next_start);
		c->state = REQUEST;
		c->x.in = c->next_n;
		c->x.request_len = c->next_len;
		__builtin_memcpy(c->request, c->next_head, REQUEST_HEAD);
		c->next_n = 0;
	}
}

#endif
