// SPDX-License-Identifier: Dual MIT/GPL
// OpenSSL: functions with arguments in registers, called by threads.
#ifndef VITALS_OPENSSL_H
#define VITALS_OPENSSL_H

static __always_inline int begins(__u64 object, __u64 buffer, __u64 length)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct use *use;

	if (!speaks(tgid))
		return 0;
	use = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!use) {
		// No memory, or somebody on this processor was interrupted in here.
		__sync_fetch_and_add(&contended, 1);
		return 0;
	}
	use->object = object;
	use->buffer = buffer;
	use->length = length;
	use->start = bpf_ktime_get_ns();
	return 0;
}

// ends takes the result of a call: the length, or whether there is one behind a
// pointer.
static __always_inline bool ends(struct passage *p, __s64 result, bool behind)
{
	struct use *use = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, 0);
	__u64 thread, n = result;

	if (!use || !use->object)
		return false;
	p->at.object = use->object;
	use->object = 0;
	if (result <= 0)
		return false;
	thread = bpf_get_current_pid_tgid();
	p->k.base = use->buffer;
	// What was written may have been answered by now: it went when the call began.
	p->k.now = p->k.received ? bpf_ktime_get_ns() : use->start;
	if (behind && result == 1 && bpf_probe_read_user(&n, sizeof(n), (void *)use->length))
		return false;
	p->k.n = n;
	p->id = bpf_map_lookup_elem(&threads, &thread);
	return true;
}

static __always_inline int openssl_begins(struct pt_regs *ctx, bool behind)
{
	return begins(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), behind ? PT_REGS_PARM4(ctx) : 0);
}

#endif
