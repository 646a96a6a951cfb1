//go:build ignore

// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* Which processes begin, change and end, in the order in which they do. */
#include "vitals.h"
#include "ring.h"

enum {
	EVENT_FORK = 1,
	EVENT_EXEC = 2,
	EVENT_EXIT = 3,
};

struct event {
	u64 at; /* CLOCK_MONOTONIC */
	u64 birth;
	u32 pid;
	u32 ppid;
	s32 status; /* as wait(2) gives it; of exits only */
	u32 kind;
	char comm[16];
};
EXPORT_TYPE(event);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Processes of several threads whose end was told already. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct proc_key);
	__type(value, u8);
} ended SEC(".maps");

static __always_inline void tell(struct task_struct *task, u32 kind, s32 status)
{
	struct event *e = ring_reserve(&events, sizeof(*e));

	if (!e)
		return;
	e->at = bpf_ktime_get_ns();
	e->birth = task_birth(task);
	e->pid = task->tgid;
	e->ppid = task->real_parent->tgid;
	e->status = status;
	e->kind = kind;
	bpf_probe_read_kernel(e->comm, sizeof(e->comm), task->group_leader->comm);
	bpf_ringbuf_submit(e, 0);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid && !task_is_kernel(child))
		tell(child, EVENT_FORK, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	tell(task, EVENT_EXEC, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	s32 status;

	/* The last thread takes the process with it. */
	if (signal->live.counter != 0 || task_is_kernel(task))
		return 0;
	/* Two last threads can both see none alive: only one of them tells. */
	if (signal->nr_threads > 1) {
		struct proc_key key = task_key(task);
		u8 told = 1;

		if (bpf_map_update_elem(&ended, &key, &told, BPF_NOEXIST))
			return 0;
	}
	if (signal->flags & SIGNAL_GROUP_EXIT)
		status = signal->group_exit_code;
	else
		status = task->group_leader->exit_code;
	tell(task, EVENT_EXIT, status);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
