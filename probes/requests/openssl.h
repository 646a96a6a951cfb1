// SPDX-License-Identifier: Dual MIT/GPL
// OpenSSL: functions with arguments in registers, called by threads.
#ifndef VITALS_OPENSSL_H
#define VITALS_OPENSSL_H

static __always_inline int begins(__u64 object, __u64 buffer, __u64 length, __u32 writes)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct caller caller = { .who = thread, .tgid = thread >> 32, .writes = writes };
	struct use use = { .object = object, .buffer = buffer, .length = length };

	speaks(caller.tgid);
	if (!(observed(caller.tgid, 0) & ON))
		return 0;
	use.start = bpf_ktime_get_ns();
	bpf_map_update_elem(&uses, &caller, &use, BPF_ANY);
	return 0;
}

// ends takes the result of a call: the length, or whether there is one behind a
// pointer.
static __always_inline int ends(__s64 result, __u32 writes, const bool behind)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct caller caller = { .who = thread, .tgid = thread >> 32, .writes = writes };
	struct use *use = bpf_map_lookup_elem(&uses, &caller);
	struct secret at = { .tgid = caller.tgid };
	struct chunk k = { .located = 1, .received = !writes };
	struct ident *id;
	__u64 n = result;

	if (!use)
		return 0;
	at.object = use->object;
	k.base = use->buffer;
	// What was written may have been answered by now: it went when the call began.
	k.now = writes ? use->start : bpf_ktime_get_ns();
	if (behind && result == 1 && bpf_probe_read_user(&n, sizeof(n), (void *)use->length))
		result = 0;
	id = bpf_map_lookup_elem(&threads, &thread);
	bpf_map_delete_elem(&uses, &caller);
	if (result <= 0 || n > 1 << 30)
		return 0;
	k.n = n;
	return pass(&at, &k, id, -1, ROLE_UNKNOWN);
}

static __always_inline int openssl_begins(struct pt_regs *ctx, __u32 writes, const bool behind)
{
	return begins(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), behind ? PT_REGS_PARM4(ctx) : 0, writes);
}

#endif
