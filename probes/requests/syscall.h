// SPDX-License-Identifier: Dual MIT/GPL
// The system calls that move bytes through sockets, and where their arguments
// say that the bytes are.
#ifndef VITALS_SYSCALL_H
#define VITALS_SYSCALL_H

#include "head.h"

#if defined(__TARGET_ARCH_x86)

#define SYSCALL_NR(regs) ((regs)->orig_ax)
#define SYSCALL_ARG1(regs) ((regs)->di)
#define SYSCALL_ARG2(regs) ((regs)->si)
#define SYSCALL_ARG3(regs) ((regs)->dx)
#define SYSCALL_ARG4(regs) ((regs)->r10)
#define SYSCALL_ARG5(regs) ((regs)->r8)
#define IS_COMPAT(regs) ((regs)->cs == 0x23) // the segment of 32-bit code

enum {
	NR_READ = 0, NR_WRITE = 1, NR_READV = 19, NR_WRITEV = 20, NR_SENDFILE = 40, NR_SENDTO = 44, NR_RECVFROM = 45,
	NR_SENDMSG = 46, NR_RECVMSG = 47, NR_RECVMMSG = 299, NR_SENDMMSG = 307, NR_PREADV2 = 327, NR_PWRITEV2 = 328,
};

#elif defined(__TARGET_ARCH_arm64)

#define SYSCALL_NR(regs) ((u64)(u32)(regs)->syscallno)
#define SYSCALL_ARG1(regs) ((regs)->orig_x0)
#define SYSCALL_ARG2(regs) ((regs)->regs[1])
#define SYSCALL_ARG3(regs) ((regs)->regs[2])
#define SYSCALL_ARG4(regs) ((regs)->regs[3])
#define SYSCALL_ARG5(regs) ((regs)->regs[4])
#define IS_COMPAT(regs) ((regs)->pstate & 0x10) // 32-bit state

enum {
	NR_READ = 63, NR_WRITE = 64, NR_READV = 65, NR_WRITEV = 66, NR_SENDFILE = 71, NR_SENDTO = 206, NR_RECVFROM = 207,
	NR_SENDMSG = 211, NR_RECVMSG = 212, NR_RECVMMSG = 243, NR_SENDMMSG = 269, NR_PREADV2 = 286, NR_PWRITEV2 = 287,
};

#endif

// One call of sendmmsg or recvmmsg reports its messages without pause.
#define BATCH_NS 1000000

// call is a system call with its arguments.
struct call {
	__u64 nr, arg2, arg3, arg5;
};

// message takes a struct msghdr.
static __always_inline int message(struct chunk *k, __u64 at)
{
	struct user_msghdr msg;

	if (bpf_probe_read_user(&msg, sizeof(msg), (void *)at))
		return 0;
	k->base = (__u64)msg.msg_iov;
	k->count = msg.msg_iovlen;
	k->name = (__u64)msg.msg_name;
	if (!k->count)
		k->base = 0;
	return 1;
}

// in_batch tells which message of sendmmsg or recvmmsg is being reported. The
// kernel does not say: they are counted from the call's first one.
static __always_inline __u32 in_batch(struct conn *c, struct chunk *k, struct call *call)
{
	if (c->batch == call->arg2 && k->now - c->batch_time < BATCH_NS && c->batch_at + 1 < call->arg3)
		c->batch_at++;
	else
		c->batch_at = 0;
	c->batch = call->arg2;
	c->batch_time = k->now;
	return c->batch_at;
}

// find_bytes sets where the bytes of a chunk are: one buffer, or iovecs.
static __always_inline int find_bytes(struct conn *c, struct chunk *k, struct call *call)
{
	k->located = 1;
	k->base = k->count = k->name = 0;
	if (c && call->nr != NR_SENDMMSG && call->nr != NR_RECVMMSG)
		c->batch = 0;
	switch (call->nr) {
	case NR_SENDTO:
		k->name = call->arg5;
	case NR_READ:
	case NR_WRITE:
	case NR_RECVFROM:
		k->base = call->arg2;
		return 1;
	case NR_READV:
	case NR_WRITEV:
	case NR_PREADV2:
	case NR_PWRITEV2:
		k->base = call->arg2;
		k->count = call->arg3;
		return 1;
	case NR_SENDMMSG:
	case NR_RECVMMSG:
		if (call->arg3 == 1 || !c)
			return message(k, call->arg2);
		// Of streams not every message is looked at: no counting there.
		if (!(c->x.flags & DATAGRAM))
			return 0;
		return message(k, call->arg2 + in_batch(c, k, call) * sizeof(struct mmsghdr));
	case NR_SENDMSG:
	case NR_RECVMSG:
		return message(k, call->arg2);
	}
	return 0;
}

#endif
