// SPDX-License-Identifier: Dual MIT/GPL
// Whether a process is observed: a default and exceptions, which children inherit.
#ifndef VITALS_CHOOSE_H
#define VITALS_CHOOSE_H

#include "access.h"
#include "state.h"

// observed decides for a process, by default or by choice (ON, CHOSEN); birth 0
// stands for the one that runs.
static __always_inline __u32 observed(__u32 tgid, __u64 birth)
{
	struct exception *e;

	if (!exceptions_used)
		return observe_default;
	e = bpf_map_lookup_elem(&exceptions, &tgid);
	if (e && e->birth == (birth ?: own_birth()))
		return (e->choice & ON) | CHOSEN;
	return observe_default;
}

// interrupted tells whether transfers of a connection may have gone by unseen
// since its last one, because its process was not observed.
static __always_inline bool interrupted(struct conn *c, __u32 tgid)
{
#ifdef FLOOR
	struct exception *e = bpf_map_lookup_elem(&exceptions, &tgid);

	return (__s32)(c->gen - (e && e->birth == own_birth() ? e->since : default_since)) < 0;
#else
	return false; // the socket was asked each time, and told
#endif
}

static __always_inline void decide(struct conn *c, __u32 tgid)
{
	__u32 choice = observed(tgid, 0);

	c->gen = generation;
	c->on = choice & ON;
	c->chosen = !!(choice & CHOSEN);
	c->x.tgid = tgid;
	c->x.birth = own_birth();
}

// Children inherit their parent's exception until they execute something.
SEC("tp_btf/sched_process_fork")
int BPF_PROG(forked, struct task_struct *parent, struct task_struct *child)
{
	struct exception *e, inherited = {};
	__u32 from, to;

	if (!exceptions_used || child->pid != child->tgid)
		return 0;
	from = parent->tgid;
	to = child->tgid;
	e = bpf_map_lookup_elem(&exceptions, &from);
	if (!e || e->birth != task_birth(parent))
		return 0;
	inherited.birth = task_birth(child);
	inherited.choice = (e->choice & ON) | INHERITED;
	inherited.since = e->since;
	bpf_map_update_elem(&exceptions, &to, &inherited, BPF_ANY);
	return 0;
}

static __always_inline int disinherit(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct exception *e;

	if (!exceptions_used)
		return 0;
	e = bpf_map_lookup_elem(&exceptions, &tgid);
	if (e && e->choice & INHERITED)
		bpf_map_delete_elem(&exceptions, &tgid);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(executed)
{
	return disinherit();
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exited, struct task_struct *task)
{
	if (task->pid == task->tgid)
		return disinherit();
	return 0;
}

#endif
