// SPDX-License-Identifier: Dual MIT/GPL
// What user space and the programs share, whatever the kernel.
#ifndef VITALS_STATE_H
#define VITALS_STATE_H

#include "access.h"
#include "exchange.h"

/* knobs */

volatile const __u64 wake_at = 64 << 10; // bytes in the ring at which the reader is woken

// Written by user space: what applies to processes without an exception, how
// many exceptions there are, and numbers that grow with every change of these
// and of what single sockets are tuned to.
__u32 observe_default;
__u32 exceptions_used;
__u32 default_since; // the generation of the default
__u32 generation;
__u32 tunings;

// Written by user space: the next sweep is the last one and ships every response.
__u32 final;

// Set by user space when it waits for a record without looking again; the first
// record that comes wakes it.
__u32 sleeping;

// Written here: whether an exchange began since user space cleared it, and
// counts of records that did not fit into the ring (amendments apart: their
// exchange was counted).
__u32 dirty;
__u64 lost_exchanges;
__u64 lost_chunks;
__u64 lost_amendments;
__u64 late_ends; // that are in endings
__u64 unpaired_chunks; // responses without a request
__u64 contended; // times that a lock was not had in time

/* maps */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} ring SEC(".maps");

enum { ON = 1, INHERITED = 2, CHOSEN = 4 };

struct exception {
	__u64 birth;
	__u32 choice;
	__u32 since; // the generation of the choice
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32); // tgid
	__type(value, struct exception);
} exceptions SEC(".maps");

struct port {
	__u32 netns;
	__u32 port;
};

// Ports on which somebody listens, with the number of sockets that do.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct port);
	__type(value, __u32);
} listeners SEC(".maps");

// What single sockets are tuned to, by cookie, until they notice.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct tuning);
} tuned SEC(".maps");

// What sockets are tuned to from their beginning.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct place);
	__type(value, struct tuning);
} places SEC(".maps");

// UDP ports of interest.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, __u16);
	__type(value, __u8);
} datagrams SEC(".maps");

struct process {
	__u64 birth;
	__u32 tgid;
	__u32 pad;
};

struct trouble {
	__u64 lost; // requests that did not fit into the ring
	__u64 chunks; // the same of other transfers
	__u64 unpaired; // bytes of responses without a request
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct process);
	__type(value, struct trouble);
} troubles SEC(".maps");

// The ends of connections that did not fit into the ring: nothing would ever
// come after them.
struct ending {
	struct exchange x;
	char response[RESPONSE_HEAD];
	char request[REQUEST_HEAD];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64); // cookie
	__type(value, struct ending);
} endings SEC(".maps");

/* troubles */

static __always_inline struct trouble *trouble_of(struct exchange *x)
{
	struct process p = { .birth = x->birth, .tgid = x->tgid };
	struct trouble *t = bpf_map_lookup_elem(&troubles, &p), zero = {};

	if (t)
		return t;
	bpf_map_update_elem(&troubles, &p, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&troubles, &p);
}

// asks tells whether a record is one of a request: an exchange, or a datagram of
// the client.
static __always_inline bool asks(struct exchange *x)
{
	if (x->kind != CHUNK)
		return x->kind == EXCHANGE;
	return x->flags & DATAGRAM && !(x->flags & RECEIVED) == (x->role == ROLE_CLIENT);
}

// kept keeps the end of a connection for user space to fetch. x is that of a conn.
static __always_inline bool kept(struct exchange *x)
{
	__u64 cookie = x->cookie;

	if (bpf_map_update_elem(&endings, &cookie, x, BPF_ANY))
		return false;
	__sync_fetch_and_add(&late_ends, 1);
	return true;
}

static __noinline int lose(struct exchange *x)
{
	struct trouble *t;

	if (x->kind == EXCHANGE && x->flags & AMEND) {
		__sync_fetch_and_add(&lost_amendments, 1);
		return 0;
	}
	if (x->kind == END && kept(x))
		return 0;
	if (asks(x))
		__sync_fetch_and_add(&lost_exchanges, 1);
	else
		__sync_fetch_and_add(&lost_chunks, 1);
	t = trouble_of(x);
	if (!t)
		return 0;
	if (asks(x))
		__sync_fetch_and_add(&t->lost, 1);
	else
		__sync_fetch_and_add(&t->chunks, 1);
	return 0;
}

static __noinline int unpaired(struct exchange *x)
{
	struct trouble *t;

	__sync_fetch_and_add(&unpaired_chunks, 1);
	t = trouble_of(x);
	if (t)
		__sync_fetch_and_add(&t->unpaired, 1);
	return 0;
}

// miss notes a transfer of a connection that could not be had.
static __always_inline void miss(struct conn *c)
{
	c->missed = 1;
	__sync_fetch_and_add(&contended, 1);
}

/* shipping */

// waking says whether the reader is to be told of a record. The clock is the
// die: asking for the fill level each time is dear.
static __always_inline __u64 waking(__u64 now)
{
	if (sleeping) {
		sleeping = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	if (!(now >> 6 & 63) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > wake_at)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

// stir wakes a reader that waits for a record although there is none yet:
// something has begun.
static __noinline int stir(struct exchange *x)
{
	struct exchange *r;

	sleeping = 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r)
		return 0;
	__builtin_memset(r, 0, sizeof(*r));
	r->kind = STIR;
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline void stirred(struct exchange *x)
{
	if (dirty)
		return;
	dirty = 1;
	if (sleeping)
		stir(x);
}

#endif
