/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* What every probe of ours starts from: types, helpers, who a task is, whose a socket is. */
#ifndef VITALS_H
#define VITALS_H

#include "kernel.h"
#include "bpf/bpf_helpers.h"
#include "bpf/bpf_core_read.h"
#include "bpf/bpf_tracing.h"
#include "bpf/bpf_endian.h"

/* Puts a type into the object's type information, so that bpf2go makes the same one in Go. */
#define EXPORT_TYPE(name) const struct name *_export_##name __attribute__((unused))

#define NSEC_PER_TICK 10000000ULL /* USER_HZ is 100 on amd64 and arm64 */
#define NSEC_PER_USEC 1000ULL

/* One life of one process, as core.ProcKey: the same number as field 22 of /proc/PID/stat. */
struct proc_key {
	u32 pid; /* thread group id in the initial pid namespace */
	u32 _zero;
	u64 birth;
};

static __always_inline u64 task_birth(struct task_struct *task)
{
	return task->group_leader->start_boottime / NSEC_PER_TICK;
}

static __always_inline struct proc_key task_key(struct task_struct *task)
{
	struct proc_key key = {.pid = task->tgid, .birth = task_birth(task)};
	return key;
}

static __always_inline bool task_is_kernel(struct task_struct *task)
{
	return task->flags & PF_KTHREAD;
}

/* Inode of a socket's network namespace, 0 when the kernel was built without namespaces. */
static __always_inline u32 sock_netns(const struct sock *sk)
{
	if (!bpf_core_field_exists(sk->__sk_common.skc_net.net))
		return 0;
	return sk->__sk_common.skc_net.net->ns.inum;
}

static __always_inline bool sock_is_tcp(const struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;

	return sk->sk_protocol == IPPROTO_TCP && sk->sk_type == SOCK_STREAM &&
	       (family == AF_INET || family == AF_INET6);
}

/* Multipath TCP: what Go's servers listen with. Who connects with plain TCP gets a plain TCP socket. */
static __always_inline bool sock_is_mptcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_MPTCP && sk->sk_type == SOCK_STREAM;
}

/*
 * Whether the running task has locked the socket. Only then is "current" a user
 * of it: without the lock a hook may run in an interrupt that hit somebody else,
 * and with it packets wait in the backlog, so no interrupt gets here.
 */
static __always_inline bool sock_locked_by_current(const struct sock *sk)
{
	return sk->sk_lock.owned;
}

#endif
