// SPDX-License-Identifier: Dual MIT/GPL
// Go's crypto/tls: its own calling convention, and goroutines instead of threads.
#ifndef VITALS_GOTLS_H
#define VITALS_GOTLS_H

#if defined(__TARGET_ARCH_x86)

#define GO_ARG1(ctx) ((ctx)->ax)
#define GO_ARG2(ctx) ((ctx)->bx)
#define GO_ARG3(ctx) ((ctx)->cx)
#define GO_G(ctx) ((ctx)->r14)

// A probe on the jump that makes a function begin again with more stack: taken
// when below or equal.
#define AGAIN(ctx) ((ctx)->flags & 0x41)

#elif defined(__TARGET_ARCH_arm64)

#define GO_ARG1(ctx) (((struct user_pt_regs *)(ctx))->regs[0])
#define GO_ARG2(ctx) (((struct user_pt_regs *)(ctx))->regs[1])
#define GO_ARG3(ctx) (((struct user_pt_regs *)(ctx))->regs[2])
#define GO_G(ctx) (((struct user_pt_regs *)(ctx))->regs[28])
#define AGAIN(ctx) false

#endif

// go_socket reads the file descriptor of a tls.Conn over a net.TCPConn: its
// first field is an interface, whose second word points to a pointer to a
// net.netFD, which has it behind a mutex of two words.
static __always_inline int go_socket(__u64 conn)
{
	__u64 tcp = 0, netfd = 0;
	__s64 fd = -1;

	if (bpf_probe_read_user(&tcp, sizeof(tcp), (void *)(conn + 8)) || bpf_probe_read_user(&netfd, sizeof(netfd), (void *)tcp))
		return -1;
	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)(netfd + 16)) || fd < 0 || fd > 1 << 20)
		return -1;
	return fd;
}

// go_role reads isClient, which follows the interface.
static __always_inline __u32 go_role(__u64 conn)
{
	__u8 client = 0;

	if (bpf_probe_read_user(&client, sizeof(client), (void *)(conn + 16)) || client > 1)
		return ROLE_UNKNOWN;
	return client ? ROLE_CLIENT : ROLE_SERVER;
}

static __always_inline bool go_passes(struct passage *p, __u64 object, __u64 buffer, __u64 n)
{
	p->at.object = object;
	p->k.base = buffer;
	p->k.n = n;
	p->k.now = bpf_ktime_get_ns();
	if (n && !bpf_map_lookup_elem(&conns, &p->at) && speaks(p->at.tgid)) {
		p->fd = go_socket(object);
		p->role = go_role(object);
	}
	return true;
}

static __always_inline int go_read_begins(struct pt_regs *ctx)
{
	struct caller caller = { .who = GO_G(ctx), .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct use use = { .object = GO_ARG1(ctx), .buffer = GO_ARG2(ctx) };

	if (!(observed(caller.tgid, 0) & ON))
		return 0;
	bpf_map_update_elem(&uses, &caller, &use, BPF_ANY);
	return 0;
}

static __always_inline bool go_read_ends(struct passage *p, struct pt_regs *ctx)
{
	struct caller caller = { .who = GO_G(ctx), .tgid = p->at.tgid };
	struct use *use = bpf_map_lookup_elem(&uses, &caller), copy;
	__s64 n = GO_ARG1(ctx);

	if (!use)
		return false;
	copy = *use;
	bpf_map_delete_elem(&uses, &caller);
	return n > 0 && go_passes(p, copy.object, copy.buffer, n);
}

#endif
