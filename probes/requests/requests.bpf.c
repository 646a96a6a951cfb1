//go:build ignore

// SPDX-License-Identifier: Dual MIT/GPL
// Pairs what goes in and out of stream sockets into exchanges, whatever the
// protocol: one record with the heads, sizes and times of each.
#include "vitals.h"
#include "exchange.h"
#include "syscall.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define EPIPE 32
#define ECONNRESET 104
#define ETIMEDOUT 110

// The part of a TCP socket that only this probe reads.
struct tcp_sock___requests {
	u32 write_seq;
} KERNEL;

/* knobs */

volatile const __u64 wake_at = 64 << 10; // bytes in the ring at which the reader is woken

// Written by user space: what applies to processes without an exception, how
// many exceptions there are, and a number that grows with every change.
__u32 observe_default;
__u32 exceptions_used;
__u32 generation;

// Written by user space: the next sweep is the last one and ships every response.
__u32 final;

// Written here: whether an exchange began since user space cleared it, and
// counts of records that did not fit into the ring (amendments apart: their
// exchange was counted).
__u32 dirty;
__u64 lost_exchanges;
__u64 lost_amendments;
__u64 unpaired_chunks; // responses without a request
__u64 contended; // times that a lock was not had in time

// How many chunks of a socket whose role is unknown are looked at.
#define MAX_GUESSES 32

// For the types of user space.
const struct open *open_type __attribute__((unused));

/* maps */

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} ring SEC(".maps");

enum { ON = 1, INHERITED = 2 };

struct exception {
	__u64 birth;
	__u32 choice;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32); // tgid
	__type(value, struct exception);
} exceptions SEC(".maps");

struct port {
	__u32 netns;
	__u32 port;
};

// Ports on which somebody listens, with the number of sockets that do.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct port);
	__type(value, __u32);
} listeners SEC(".maps");

// Marks the listening sockets that are in listeners.
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} listening SEC(".maps");

struct process {
	__u64 birth;
	__u32 tgid;
	__u32 pad;
};

struct trouble {
	__u64 lost; // exchanges that did not fit into the ring
	__u64 unpaired; // bytes of responses without a request
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct process);
	__type(value, struct trouble);
} troubles SEC(".maps");

/* helpers */

static __always_inline struct trouble *trouble_of(struct exchange *x)
{
	struct process p = { .birth = x->birth, .tgid = x->tgid };
	struct trouble *t = bpf_map_lookup_elem(&troubles, &p), zero = {};

	if (t)
		return t;
	bpf_map_update_elem(&troubles, &p, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&troubles, &p);
}

static __noinline int lose(struct exchange *x, bool amendment)
{
	struct trouble *t;

	if (amendment) {
		__sync_fetch_and_add(&lost_amendments, 1);
		return 0;
	}
	__sync_fetch_and_add(&lost_exchanges, 1);
	t = trouble_of(x);
	if (t)
		__sync_fetch_and_add(&t->lost, 1);
	return 0;
}

static __noinline int unpaired(struct exchange *x)
{
	struct trouble *t;

	__sync_fetch_and_add(&unpaired_chunks, 1);
	t = trouble_of(x);
	if (t)
		__sync_fetch_and_add(&t->unpaired, 1);
	return 0;
}

#include "machine.h"
#include "head.h"

static __always_inline bool try_lock(struct conn *c)
{
	return !__sync_lock_test_and_set(&c->lock, 1);
}

struct attempt {
	struct conn *c;
	bool got;
};

static int attempt(__u32 i, struct attempt *a)
{
	a->got = try_lock(a->c);
	return a->got;
}

// lock takes a connection. Holders run with preemption off and for less than a
// microsecond, unless an interrupt or the hypervisor takes their processor away:
// hence the long breath.
static __noinline int lock(struct conn *c)
{
	struct attempt a = { .c = c };

	if (try_lock(c))
		return 1;
	bpf_loop(1 << 18, attempt, &a, 0);
	if (!a.got)
		__sync_fetch_and_add(&contended, 1);
	return a.got;
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

// observed decides for a process; birth 0 stands for the one that runs.
static __always_inline bool observed(__u32 tgid, __u64 birth)
{
	struct exception *e;

	if (!exceptions_used)
		return observe_default;
	e = bpf_map_lookup_elem(&exceptions, &tgid);
	if (e && e->birth == (birth ?: task_birth(bpf_get_current_task_btf())))
		return e->choice & ON;
	return observe_default;
}

static __always_inline void decide(struct conn *c, __u32 tgid)
{
	c->gen = generation;
	c->on = observed(tgid, 0);
	c->x.tgid = tgid;
	c->x.birth = task_birth(bpf_get_current_task_btf());
}

static __always_inline __u32 write_seq(struct sock *sk, struct conn *c)
{
	struct tcp_sock___requests *tp;
	__u8 state;

	if (!c->tcp)
		return 0;
	tp = (void *)bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	state = sk->__sk_common.skc_state;
	// A FIN takes a number, too.
	return tp->write_seq - (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT && state != TCP_SYN_SENT);
}

#include "learn.h"

static __always_inline bool kernel_socket(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

// open_conn gives a socket its state, if it is one that can carry exchanges.
static __always_inline struct conn *open_conn(struct sock *sk, __u32 tgid)
{
	__u16 family = sk->__sk_common.skc_family;
	struct conn *c;

	if (!observed(tgid, 0) || sk->sk_type != SOCK_STREAM)
		return NULL;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return NULL;
	if (kernel_socket(sk))
		return NULL;
	c = bpf_sk_storage_get(&conns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (c)
		decide(c, tgid);
	return c;
}

// guess settles an unknown role by a head that is unmistakable: the first line
// of an HTTP request. It may be wrong about nothing but HTTP.
static __noinline int guess(struct conn *c, struct chunk *k, bool received)
{
	// The request head is free: nothing has begun on this socket.
	if (read_head(c, offsetof(struct conn, request), 0, 4, k) < 4)
		return 0;
	switch (*(__u32 *)c->request) {
	case 0x20544547: // "GET "
	case 0x54534f50: // "POST"
	case 0x44414548: // "HEAD"
	case 0x20545550: // "PUT "
	case 0x454c4544: // "DELE"
	case 0x43544150: // "PATC"
	case 0x4954504f: // "OPTI"
		c->x.role = received ? ROLE_SERVER : ROLE_CLIENT;
		return 0;
	case 0x50545448: // "HTTP"
		c->x.role = received ? ROLE_CLIENT : ROLE_SERVER;
		return 0;
	}
	c->guesses++;
	return 0;
}

// settle says whether the chunk belongs to an observed process, by the decision
// that the socket carries, or a new one at a boundary or after a change.
static __always_inline bool settle(struct conn *c, struct sock *sk, __u32 tgid, struct chunk *k, bool request)
{
	bool boundary = c->state == IDLE || (c->state == RESPONSE && request);

	if (c->gen != generation || ((boundary || !c->on) && c->x.tgid != tgid)) {
		bool was = c->on;

		if (was && (boundary || !observed(tgid, 0))) {
			finish(c);
			c->state = IDLE;
			c->next_n = 0;
		}
		decide(c, tgid);
		if (!was) {
			c->state = IDLE;
			c->next_n = 0;
			c->sent = k->seq;
		}
	}
	return c->on;
}

static __always_inline int transfer(struct sock *sk, int ret, int flags, const bool received)
{
	struct chunk k = { .flags = flags };
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, 0);
	enum head to;
	bool request;

	if (c) {
		if (!c->on && c->gen == generation && c->x.tgid == tgid)
			return 0;
	} else {
		c = open_conn(sk, tgid);
		if (!c)
			return 0;
	}
	if (!lock(c))
		return 0;
	if (!c->x.family) {
		learn(c, sk);
		c->sent = write_seq(sk, c);
	}
	k.seq = write_seq(sk, c);
	k.n = ret;
	if (c->x.role == ROLE_UNKNOWN && c->guesses < MAX_GUESSES)
		guess(c, &k, received);
	if (c->x.role == ROLE_UNKNOWN)
		goto out;
	request = received == (c->x.role == ROLE_SERVER);
	if (!settle(c, sk, tgid, &k, request))
		goto out;
	k.now = bpf_ktime_get_ns();
	if (c->x.role == ROLE_SERVER)
		to = received ? server_received(c, &k) : server_sent(c, &k);
	else
		to = received ? client_received(c, &k) : client_sent(c, &k);
	fill(c, to, &k);
	moved(c);
out:
	unlock(c);
	return 0;
}

// ended takes the end of a stream, or an error on it.
static __noinline int ended(struct sock *sk, int ret)
{
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, 0);

	if (!c || !c->on || !lock(c))
		return 0;
	if (ret < 0)
		c->x.flags |= ret == -ETIMEDOUT ? TIMEOUT : RESET;
	else if (c->state == RESPONSE || c->x.role == ROLE_CLIENT)
		give_up(c, 0);
	unlock(c);
	return 0;
}

/* programs */

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send, struct sock *sk, int ret, int flags)
{
	if (ret > 0)
		return transfer(sk, ret, flags, false);
	if (ret == -ECONNRESET || ret == -EPIPE || ret == -ETIMEDOUT)
		return ended(sk, ret);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv, struct sock *sk, int ret, int flags)
{
	if (flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return 0;
	if (ret > 0)
		return transfer(sk, ret, flags, true);
	if (!ret || ret == -ECONNRESET || ret == -ETIMEDOUT)
		return ended(sk, ret);
	return 0;
}

static __always_inline void listen_begins(struct sock *sk)
{
	struct port p = {};
	__u32 *marked, *count, one = 1;

	marked = bpf_sk_storage_get(&listening, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!marked || __sync_lock_test_and_set(marked, 1))
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

	marked = bpf_sk_storage_get(&listening, sk, 0, 0);
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
	struct conn *c;

	if (now == TCP_LISTEN) {
		listen_begins(sk);
	} else if (before == TCP_LISTEN) {
		listen_ends(sk);
	} else if (now == TCP_SYN_SENT) {
		c = open_conn(sk, bpf_get_current_pid_tgid() >> 32);
		if (c)
			c->x.role = ROLE_CLIENT;
	}
	return 0;
}

// Nobody uses the socket any more: what it holds ships now or never.
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroyed, struct sock *sk)
{
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, 0);

	if (c && c->on && try_lock(c)) {
		give_up(c, c->x.flags & TIMEOUT ? ETIMEDOUT : c->x.flags & RESET ? ECONNRESET : sk->sk_err);
		c->on = 0;
		unlock(c);
	}
	return 0;
}

// Finds the sockets that listen already, in every network namespace.
SEC("iter/task_file")
int find_listeners(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	if (sk->__sk_common.skc_family == AF_INET || sk->__sk_common.skc_family == AF_INET6)
		listen_begins(sk);
	return 0;
}

// Ships responses that seem to be over and tells what is still open.
SEC("iter/bpf_sk_storage_map")
int sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct open o = {};
	struct conn *c;
	__u64 now;

	if (!sk || !ctx->value)
		return 0;
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!c || !c->on || c->state == IDLE || !try_lock(c))
		return 0;
	now = bpf_ktime_get_ns();
	if (c->gen != generation && !observed(c->x.tgid, c->x.birth)) {
		finish(c);
		c->next_n = 0;
		c->on = 0;
	} else if (c->state == RESPONSE && (final || now - c->x.last > IDLE_NS + 2 * (c->x.last - c->x.first))) {
		ship(c, 0);
	} else {
		o.cookie = c->x.cookie;
		o.birth = c->x.birth;
		o.start = c->x.start;
		o.tgid = c->x.tgid;
		o.seq = c->x.seq;
		o.role = c->x.role;
		o.state = c->state;
		o.shipped = !!c->shipped;
		__builtin_memcpy(o.head, c->request, sizeof(o.head));
	}
	unlock(c);
	if (o.cookie)
		bpf_seq_write(ctx->meta->seq, &o, sizeof(o));
	return 0;
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
