//go:build ignore

// SPDX-License-Identifier: Dual MIT/GPL
// Pairs what goes in and out of stream sockets into exchanges, whatever the
// protocol: one record with the heads, sizes and times of each. This is the fast
// path: the state of a socket is kept in the socket itself, and nothing but
// socket operations pays. floor.bpf.c is for kernels that cannot do that.
#include "vitals.h"
#include "access.h"
#include "state.h"
#include "syscall.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// For the types of user space.
const struct open *open_type __attribute__((unused));
const struct exchange *exchange_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps");

enum { LISTENS = 1, EXISTED = 2 };

// Marks the listening sockets that are in listeners, and the Unix sockets that
// were there before us.
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} marks SEC(".maps");

static __always_inline struct conn *conn_of(struct sock *sk)
{
	return bpf_sk_storage_get(&conns, sk, 0, 0);
}

static __always_inline struct conn *conn_make(struct sock *sk)
{
	return bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

static __always_inline __u64 cookie_of(struct sock *sk, struct chunk *k)
{
	return bpf_get_socket_cookie(sk);
}

static __always_inline bool existed(struct sock *sk)
{
	__u32 *mark = bpf_sk_storage_get(&marks, sk, 0, 0);

	return mark && *mark & EXISTED;
}

static __always_inline bool try_lock(struct conn *c)
{
	return !__sync_lock_test_and_set(&c->lock, 1);
}

#include "patience.h"

__noinline int lock(struct conn *c)
{
	if (!c)
		return 0;
	if (try_lock(c) || wait_for(c))
		return 1;
	miss(c);
	return 0;
}

static __always_inline void unlock(struct conn *c)
{
#if defined(__TARGET_ARCH_x86)
	barrier(); // stores are not reordered with older ones here
	*(volatile __u32 *)&c->lock = 0;
#else
	__sync_lock_test_and_set(&c->lock, 0);
#endif
}

// locate finds the bytes of a transfer: no system call is hooked, but the
// arguments of the one that is running are in the saved registers.
__noinline int locate(struct conn *c, struct chunk *k)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct call call = {};

	if (!k || k->located)
		return 0;
	k->located = 1;
	// A worker of io_uring has the registers of whoever made it.
	if (IS_COMPAT(regs) || task->flags & PF_IO_WORKER)
		return 0;
	call.nr = SYSCALL_NR(regs);
	call.arg2 = SYSCALL_ARG2(regs);
	call.arg3 = SYSCALL_ARG3(regs);
	call.arg5 = SYSCALL_ARG5(regs);
	return find_bytes(c, k, &call);
}

#include "capture.h"

/* programs */

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send, struct sock *sk, int ret, int flags)
{
	struct chunk k = { .n = ret, .flags = flags };

	if (ret > 0)
		return transfer(sk, &k);
	if (ret == -ECONNRESET || ret == -EPIPE || ret == -ETIMEDOUT)
		return ended(sk, ret);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv, struct sock *sk, int ret, int flags)
{
	struct chunk k = { .n = ret, .flags = flags, .received = 1 };

	if (flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return 0;
	if (ret > 0)
		return transfer(sk, &k);
	if (!ret || ret == -ECONNRESET || ret == -ETIMEDOUT)
		return ended(sk, ret);
	return 0;
}

static __always_inline void listen_begins(struct sock *sk)
{
	struct port p = {};
	__u32 *marked, *count, one = 1;

	marked = bpf_sk_storage_get(&marks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!marked || __sync_lock_test_and_set(marked, LISTENS))
		return;
	p.netns = sock_netns(sk);
	p.port = sk->__sk_common.skc_num;
	if (!bpf_map_update_elem(&listeners, &p, &one, BPF_NOEXIST))
		return;
	count = bpf_map_lookup_elem(&listeners, &p);
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void listen_ends(struct sock *sk)
{
	struct port p = {};
	__u32 *marked, *count;

	marked = bpf_sk_storage_get(&marks, sk, 0, 0);
	if (!marked || !__sync_lock_test_and_set(marked, 0))
		return;
	p.netns = sock_netns(sk);
	p.port = sk->__sk_common.skc_num;
	count = bpf_map_lookup_elem(&listeners, &p);
	if (count && __sync_fetch_and_add(count, -1) == 1)
		bpf_map_delete_elem(&listeners, &p);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int before, int now)
{
	if (now == TCP_LISTEN)
		listen_begins(sk);
	else if (before == TCP_LISTEN)
		listen_ends(sk);
	else if (now == TCP_SYN_SENT)
		connects(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroyed, struct sock *sk)
{
	struct conn *c = conn_of(sk);

	if (c)
		gone(c, sk->sk_err);
	return 0;
}

// Finds the sockets that listen already, in every network namespace, and the
// Unix sockets that are connected already.
SEC("iter/task_file")
int find_sockets(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u32 *mark;
	__u8 state;

	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	state = sk->__sk_common.skc_state;
	switch (sk->__sk_common.skc_family) {
	case AF_INET:
	case AF_INET6:
		if (state == TCP_LISTEN)
			listen_begins(sk);
		break;
	case AF_UNIX:
		if (state != TCP_ESTABLISHED || sk->sk_type != SOCK_STREAM)
			break;
		mark = bpf_sk_storage_get(&marks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (mark)
			*mark = EXISTED;
	}
	return 0;
}

// Ships responses that seem to be over and tells what is still open.
SEC("iter/bpf_sk_storage_map")
int sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct open o = {};
	struct conn *c;

	if (!sk || !ctx->value)
		return 0;
	c = conn_of(sk);
	if (!c || !c->on || c->state == IDLE || !try_lock(c))
		return 0;
	swept(c, &o);
	unlock(c);
	if (o.cookie)
		bpf_seq_write(ctx->meta->seq, &o, sizeof(o));
	return 0;
}
