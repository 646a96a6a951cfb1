//go:build ignore

// SPDX-License-Identifier: Dual MIT/GPL
// The same for kernels from 5.9 on that lack the tracepoints of requests.bpf.c
// (before 6.3): one hook on the end of every system call. The state of a socket
// is in a hash keyed by its address, without locks, and what is not newer than
// the kernel's first ring buffer has to do.
#define FLOOR
#define BY_KEY
#include "vitals.h"
#include "access.h"
#include "state.h"
#include "syscall.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct conn);
} conns SEC(".maps");

// What a conn is made from: it is too big for the stack. Never written.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn);
} blank SEC(".maps");

// The chunk at hand. Nothing interrupts a program here.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

// The listening sockets that are in listeners, and the Unix sockets that were
// there before us.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} marks SEC(".maps");

enum { LISTENS = 1, EXISTED = 2 };

static __always_inline __u32 inode_of(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline struct conn *conn_by_key(__u64 key)
{
	return bpf_map_lookup_elem(&conns, &key);
}

static __always_inline struct chunk *chunk_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&chunks, &zero);
}

static __always_inline struct conn *conn_of(struct sock *sk)
{
	return conn_by_key((__u64)sk);
}

static __noinline int forget(__u64 key)
{
	bpf_map_delete_elem(&conns, &key);
	return 0;
}

static __always_inline struct conn *conn_make(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct conn *c, *new;
	__u32 zero = 0;

	new = bpf_map_lookup_elem(&blank, &zero);
	if (!new)
		return NULL;
	bpf_map_update_elem(&conns, &key, new, BPF_ANY);
	c = bpf_map_lookup_elem(&conns, &key);
	if (!c)
		return NULL;
	c->inode = inode_of(sk);
	c->key = key;
	return c;
}

// cookie_of makes one: the kernel gives its own to newer programs only. The
// clock is unique enough with the socket's address.
static __always_inline __u64 cookie_of(struct sock *sk, struct chunk *k)
{
	return 1ULL << 63 | (k->now << 20 ^ (__u64)sk >> 6) >> 1;
}

static __always_inline bool existed(struct sock *sk)
{
	__u64 key = (__u64)sk;
	__u32 *mark = bpf_map_lookup_elem(&marks, &key);

	return mark && *mark == EXISTED;
}

static __always_inline int lock(struct conn *c)
{
	return 1;
}

static __always_inline void unlock(struct conn *c)
{
}

static __always_inline void locate(struct conn *c, struct chunk *k)
{
	// The system call was at hand from the start.
}

#include "capture.h"

/* the end of system calls */

// sock_of finds the socket behind a descriptor of the running task.
static __always_inline struct sock *sock_of(__u64 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct socket *socket;
	struct file **files, *file;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

// known drops what was kept of another socket that had the same address.
static __always_inline void known(struct sock *sk)
{
	struct conn *c = conn_of(sk);

	if (c && c->inode != inode_of(sk))
		forget((__u64)sk);
}

__noinline int take(__u64 sk)
{
	struct chunk *k = chunk_here();

	return k ? transfer((struct sock *)sk, k) : 0;
}

// take_batch takes the messages of sendmmsg or recvmmsg.
static __always_inline int take_batch(struct sock *sk, struct call *call, struct chunk *k, __u32 count)
{
	struct mmsghdr m;

	for (int i = 0; i < 8 && i < count; i++) {
		if (bpf_probe_read_user(&m, sizeof(m), (struct mmsghdr *)call->arg2 + i))
			return 0;
		k->n = m.msg_len;
		k->base = m.msg_hdr.msg_iovlen ? (__u64)m.msg_hdr.msg_iov : 0;
		k->count = m.msg_hdr.msg_iovlen;
		k->name = (__u64)m.msg_hdr.msg_name;
		if (k->n)
			take((__u64)sk);
	}
	return 0;
}

enum way { OTHER, RECEIVES, SENDS };

static __always_inline enum way way_of(__u64 nr)
{
	switch (nr) {
	case NR_READ:
	case NR_READV:
	case NR_RECVFROM:
	case NR_RECVMSG:
	case NR_RECVMMSG:
	case NR_PREADV2:
		return RECEIVES;
	case NR_WRITE:
	case NR_WRITEV:
	case NR_SENDTO:
	case NR_SENDMSG:
	case NR_SENDMMSG:
	case NR_PWRITEV2:
	case NR_SENDFILE:
		return SENDS;
	}
	return OTHER;
}

static __always_inline int flags_of(__u64 nr, __u64 arg3, __u64 arg4)
{
	switch (nr) {
	case NR_RECVFROM:
	case NR_RECVMMSG:
		return arg4;
	case NR_RECVMSG:
		return arg3;
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exited, struct pt_regs *regs, long ret)
{
	struct call call = { .nr = SYSCALL_NR(regs) };
	enum way way = way_of(call.nr);
	struct chunk *k;
	struct sock *sk;

	if (way == OTHER || !(observed(bpf_get_current_pid_tgid() >> 32, 0) & ON) || IS_COMPAT(regs))
		return 0;
	if (ret < 0 && ret != -ECONNRESET && ret != -EPIPE && ret != -ETIMEDOUT)
		return 0;
	call.arg2 = SYSCALL_ARG2(regs);
	call.arg3 = SYSCALL_ARG3(regs);
	call.arg5 = SYSCALL_ARG5(regs);
	k = chunk_here();
	if (!k)
		return 0;
	__builtin_memset(k, 0, sizeof(*k));
	k->received = way == RECEIVES;
	k->flags = flags_of(call.nr, call.arg3, SYSCALL_ARG4(regs));
	if (k->received && k->flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return 0;
	sk = sock_of(SYSCALL_ARG1(regs));
	if (!sk)
		return 0;
	known(sk);
	if (ret <= 0)
		return ret || k->received ? ended(sk, ret) : 0;
	k->n = ret;
	k->located = 1;
	if (call.nr == NR_SENDMMSG || call.nr == NR_RECVMMSG)
		return take_batch(sk, &call, k, ret);
	find_bytes(NULL, k, &call);
	return take((__u64)sk);
}

/* the life of sockets */

static __always_inline void listen_begins(struct sock *sk)
{
	__u32 mark = LISTENS, one = 1, *count;
	__u64 key = (__u64)sk;
	struct port p = {};

	if (bpf_map_update_elem(&marks, &key, &mark, BPF_NOEXIST))
		return;
	p.netns = netns_of(sk);
	p.port = READ(sk, __sk_common.skc_num);
	if (!bpf_map_update_elem(&listeners, &p, &one, BPF_NOEXIST))
		return;
	count = bpf_map_lookup_elem(&listeners, &p);
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void listen_ends(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct port p = {};
	__u32 *count;

	if (bpf_map_delete_elem(&marks, &key))
		return;
	p.netns = netns_of(sk);
	p.port = READ(sk, __sk_common.skc_num);
	count = bpf_map_lookup_elem(&listeners, &p);
	if (!count)
		return;
	__sync_fetch_and_add(count, -1);
	if (!*count)
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

	if (!c)
		return 0;
	gone(c, READ(sk, sk_err));
	return forget((__u64)sk);
}

// Finds the sockets that listen already, in every network namespace, and the
// Unix sockets that are connected already.
SEC("iter/task_file")
int find_sockets(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	__u32 existed = EXISTED;
	struct socket *socket;
	struct sock *sk;
	__u64 key;
	__u8 state;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return 0;
	state = READ(sk, __sk_common.skc_state);
	switch (READ(sk, __sk_common.skc_family)) {
	case AF_INET:
	case AF_INET6:
		if (state == TCP_LISTEN)
			listen_begins(sk);
		break;
	case AF_UNIX:
		if (state != TCP_ESTABLISHED || READ(sk, sk_type) != SOCK_STREAM)
			break;
		key = (__u64)sk;
		bpf_map_update_elem(&marks, &key, &existed, BPF_ANY);
	}
	return 0;
}

// Ships responses that seem to be over and tells what is still open.
SEC("iter/bpf_map_elem")
int sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *at = ctx->key, key;
	struct open o = {};
	struct conn *c;

	if (!at)
		return 0;
	key = *at;
	c = bpf_map_lookup_elem(&conns, &key);
	if (!c || !c->on || c->state == IDLE)
		return 0;
	swept(c, &o);
	if (o.cookie)
		bpf_seq_write(ctx->meta->seq, &o, sizeof(o));
	return 0;
}
