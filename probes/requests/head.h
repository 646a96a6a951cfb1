// SPDX-License-Identifier: Dual MIT/GPL
// Reading the bytes of a transfer.
#ifndef VITALS_HEAD_H
#define VITALS_HEAD_H

#include "access.h"
#include "exchange.h"

#define MAX_IOVS 4

// chunk is one transfer.
struct chunk {
	__u64 now;
	__u64 n;
	__u32 seq; // the socket's write_seq
	int flags;
	__u64 base; // the buffer, or the iovecs
	__u64 count; // how many iovecs, 0: one buffer
	__u64 name; // where the other end's address is, 0: nowhere
	__u8 located; // base, count and name are set
	__u8 received;
	__u8 pad[2];
	__u32 turn; // of a head: the exchange that it belongs to, 0 for a transfer of its own
	__u64 offset; // of a head: where it begins in its turn
};

// read_big does the same into a fresh buffer of the given size. What comes in
// pieces fills no more than the buffer's half before the last piece, so that the
// verifier sees that it fits: the caller picks a buffer of twice the cap then.
static __always_inline __u64 read_big(char *head, const __u64 size, __u64 cap, struct chunk *k)
{
	__u64 left = k->n, len = 0, n;
	struct iovec v = {};

	if (cap > size)
		cap = size;
	if (!k->count) {
		n = left;
		if (n > cap)
			n = cap;
		barrier_var(n);
		if (n > size || bpf_probe_read_user(head, n, (void *)k->base))
			return 0;
		return n;
	}
	for (int i = 0; i < MAX_IOVS && i < k->count && left && len < cap; i++) {
		if (bpf_probe_read_user(&v, sizeof(v), (struct iovec *)k->base + i))
			break;
		n = v.iov_len;
		if (n > left)
			n = left;
		left -= n;
		if (n > cap - len)
			n = cap - len;
		barrier_var(n);
		barrier_var(len);
		if (n > size / 2 || len > size / 2)
			break;
		if (n && bpf_probe_read_user(head + len, n, v.iov_base))
			break;
		len += n;
	}
	return len;
}

#endif
