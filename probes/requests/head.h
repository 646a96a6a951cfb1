// SPDX-License-Identifier: Dual MIT/GPL
// Reading the bytes of a transfer: no system call is hooked, but the arguments
// of the one that is running are in the saved registers.
#ifndef VITALS_HEAD_H
#define VITALS_HEAD_H

#define MAX_IOVS 4

// args finds where the bytes are: one buffer, or *count iovecs.
static __always_inline __u64 args(struct iovec *one, __u64 *count)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 nr = SYSCALL_NR(regs), arg = SYSCALL_ARG2(regs), arg3 = SYSCALL_ARG3(regs);
	struct user_msghdr msg;

	// The verifier wants each load to know its one origin.
	barrier_var(arg3);
	if (IS_COMPAT(regs))
		return 0;
	switch (nr) {
	case NR_READ:
	case NR_WRITE:
	case NR_SENDTO:
	case NR_RECVFROM:
		one->iov_base = (void *)arg;
		*count = 0;
		return 1;
	case NR_READV:
	case NR_WRITEV:
	case NR_PREADV2:
	case NR_PWRITEV2:
		one->iov_base = (void *)arg;
		*count = arg3;
		return 1;
	case NR_SENDMMSG:
	case NR_RECVMMSG:
		if (arg3 != 1)
			return 0;
	case NR_SENDMSG:
	case NR_RECVMSG:
		if (bpf_probe_read_user(&msg, sizeof(msg), (void *)arg))
			return 0;
		one->iov_base = msg.msg_iov;
		*count = msg.msg_iovlen;
		return 1;
	}
	return 0;
}

// read_head appends what was transferred to the len bytes that a connection has
// at the offset, where there is room for cap, and gives the new length. It never
// reads beyond the transfer.
static __noinline int read_head(struct conn *c, __u64 offset, __u64 len, __u64 cap, struct chunk *k)
{
	struct iovec one = {}, v;
	__u64 count = 0, left = k->n, n;
	char *head;

	if (!c || offset > offsetof(struct conn, request) || cap > REQUEST_HEAD)
		return len;
	head = (char *)c + offset;
	if (k->flags & MSG_TRUNC || !args(&one, &count))
		return len;
	if (!count) {
		one.iov_len = left;
		count = 1;
		v = one;
	} else if (bpf_probe_read_user(&v, sizeof(v), one.iov_base)) {
		return len;
	}
	for (int i = 0; i < MAX_IOVS; i++) {
		if (len >= cap || len >= REQUEST_HEAD)
			break;
		n = v.iov_len;
		if (n > left)
			n = left;
		left -= n;
		if (n > cap - len)
			n = cap - len;
		barrier_var(n);
		if (n > REQUEST_HEAD)
			break;
		if (n && bpf_probe_read_user(head + len, n, v.iov_base))
			break;
		len += n;
		if (!left || i + 1 >= count)
			break;
		if (bpf_probe_read_user(&v, sizeof(v), (struct iovec *)one.iov_base + i + 1))
			break;
	}
	return len;
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
	barrier_var(offset);
	barrier_var(cap);
	len = read_head(c, offset, len, cap, k);
	if (to == TO_REQUEST)
		c->x.request_len = len;
	else if (to == TO_RESPONSE)
		c->x.response_len = len;
	else
		c->next_len = len;
}

#endif
