// SPDX-License-Identifier: Dual MIT/GPL
// Waiting for the lock of a connection that another processor holds.
#ifndef VITALS_PATIENCE_H
#define VITALS_PATIENCE_H

enum bpf_func_id___loop { BPF_FUNC_loop___loop = 181 };

struct attempt {
	struct conn *c;
	bool got;
};

static int attempt(__u32 i, struct attempt *a)
{
	a->got = try_lock(a->c);
	return a->got;
}

// wait_for tries for some milliseconds. Holders run with preemption off and for
// about a microsecond, unless an interrupt or the hypervisor takes their processor
// away: hence the long breath.
static __always_inline bool wait_for(struct conn *c)
{
	struct attempt a = { .c = c };

	bpf_loop(1 << 18, attempt, &a, 0);
	return a.got;
}

#endif
