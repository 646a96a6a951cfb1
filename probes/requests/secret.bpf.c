//go:build ignore

// SPDX-License-Identifier: Dual MIT/GPL
// The plain text of TLS connections, where it enters and leaves the library: it
// goes through the same machine as that of sockets. A connection is known by the
// library's object in its process. Which socket belongs to it is told by the
// transfer that happens inside a call of the library, or, in Go, by the file
// descriptor in the object.
#define WALKS // nothing here that the verifier knows to be a kernel's object
#include "vitals.h"
#include "access.h"
#include "state.h"
#include "head.h"
#include "speech.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// For the types of user space.
const struct open *open_type __attribute__((unused));
const struct exchange *exchange_type __attribute__((unused));

struct secret {
	__u64 object;
	__u32 tgid;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct secret);
	__type(value, struct conn);
} conns SEC(".maps");

// What a connection is before anything is known of it.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn);
} blank SEC(".maps");

struct caller {
	__u64 who; // the thread, or the goroutine
	__u32 tgid;
	__u32 writes;
};

// use is a call of the library that has begun.
struct use {
	__u64 object; // 0: none
	__u64 buffer;
	__u64 length; // where the length goes, of the calls that say so
	__u64 start;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct caller);
	__type(value, struct use);
} uses SEC(".maps");

// The same of threads, which have a place of their own: a hash costs three times
// as much.
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct use);
} calls SEC(".maps");

// Connections for which there was no room.
__u64 lost_secrets;

/* What the machine asks for; here nothing hangs on a socket. */

static __always_inline struct conn *conn_of(struct sock *sk)
{
	return NULL;
}

static __always_inline struct conn *conn_make(struct sock *sk)
{
	return NULL;
}

static __always_inline __u64 cookie_of(struct sock *sk, struct chunk *k)
{
	return 0;
}

static __always_inline bool existed(struct sock *sk)
{
	return true;
}

static __always_inline int locate(struct conn *c, struct chunk *k)
{
	return 0;
}

static __always_inline bool try_lock(struct conn *c)
{
	return !__sync_lock_test_and_set(&c->lock, 1);
}

// Programs of uprobes may lose their processor in the middle. Who holds a
// connection must not: newer kernels let it say so.
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

#include "patience.h"

static __always_inline int lock(struct conn *c)
{
	if (bpf_preempt_disable)
		bpf_preempt_disable();
	if (try_lock(c))
		return 1;
	if (bpf_core_enum_value_exists(enum bpf_func_id___loop, BPF_FUNC_loop___loop)) {
		if (wait_for(c))
			return 1;
	} else {
		for (int i = 0; i < 4096; i++)
			if (try_lock(c))
				return 1;
	}
	if (bpf_preempt_enable)
		bpf_preempt_enable();
	miss(c);
	return 0;
}

static __always_inline void unlock(struct conn *c)
{
	__sync_lock_test_and_set(&c->lock, 0);
	if (bpf_preempt_enable)
		bpf_preempt_enable();
}

#include "capture.h"

/* the socket of a connection */

struct inode___tls {
	unsigned short i_mode;
} KERNEL;

struct file___tls {
	struct inode___tls *f_inode;
	void *private_data;
} KERNEL;

static __always_inline struct sock *sock_of(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file___tls *file = NULL;
	struct socket *socket;
	struct file **files;

	if (fd < 0 || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline void adopt_sock(struct conn *c, struct sock *sk)
{
	struct exchange *x = &c->x;

	x->family = READ(sk, __sk_common.skc_family);
	if (x->family != AF_INET && x->family != AF_INET6)
		return;
	x->netns = netns_of(sk);
	x->cookie = READ(sk, __sk_common.skc_cookie.counter);
	inet_addresses(x, sk);
}

static __always_inline void adopt_ident(struct conn *c, struct ident *id)
{
	struct exchange *x = &c->x;

	x->family = id->family;
	x->netns = id->netns;
	x->cookie = id->cookie;
	x->lport = id->lport;
	x->rport = id->rport;
	x->role = id->role;
	__builtin_memcpy(x->laddr, id->laddr, sizeof(x->laddr));
	__builtin_memcpy(x->raddr, id->raddr, sizeof(x->raddr));
	if (!id->joined)
		x->flags &= ~JOINED;
}

/* connections */

static __always_inline struct conn *known(struct secret *at)
{
	struct conn *c = bpf_map_lookup_elem(&conns, at), *zero;
	__u32 none = 0;

	if (c)
		return c;
	if (!(observed(at->tgid, 0) & ON))
		return NULL;
	zero = bpf_map_lookup_elem(&blank, &none);
	if (!zero)
		return NULL;
	bpf_map_update_elem(&conns, at, zero, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&conns, at);
	if (!c) {
		__sync_fetch_and_add(&lost_secrets, 1);
		return NULL;
	}
	c->tcp = 1; // in order, and no send is told late
	c->x.flags = JOINED;
	decide(c, at->tgid);
	return c;
}

// begins_http2 tells whether bytes are those with which HTTP/2 begins, whoever has
// not seen what came before: the preface, or settings that are no acknowledgement.
static __always_inline bool begins_http2(__u32 word)
{
	return word == 0x20495250 || ((word & 0xff00ffff) == 0x04000000 && word & 0x00ff0000);
}

// first gives a connection what does not change about it.
static __always_inline void first(struct conn *c, struct secret *at, struct chunk *k)
{
	struct exchange *x = &c->x;
	__u32 word = 0;

	if (!x->cookie)
		x->cookie = (at->object ^ ((__u64)at->tgid << 40)) | 1ULL << 63;
	if (!x->family)
		x->family = AF_INET; // of nobody knows where: all addresses are 0
	c->tuned = tunings;
	if (k->n >= 4 && !bpf_probe_read_user(&word, sizeof(word), (void *)k->base) && begins_http2(word))
		x->flags &= ~JOINED;
	if (x->role != ROLE_UNKNOWN)
		settle_down(c);
}

// passage is plain text on its way, and what is known of its connection.
struct passage {
	struct secret at;
	struct chunk k;
	struct ident *id; // the socket that the thread used last
	int fd; // of the socket, -1: not known
	__u32 role;
};

// pass takes plain text through the machine.
static __noinline int pass(struct passage *p)
{
	struct secret *at = &p->at;
	struct chunk *k = &p->k;
	struct ident *id = p->id;
	struct conn *c;
	struct sock *sk;

	if (!k->n || k->n > 1 << 30)
		return 0;
	c = known(at);
	if (!c || !lock(c))
		return 0;
	// Who reuses an object for another connection begins anew.
	if (id && c->x.seq && id->at >= k->now && c->x.cookie != id->cookie && !(c->x.cookie >> 63)) {
		end(c, 0);
		c->x.seq = 0;
		c->x.family = 0;
		c->x.flags = JOINED;
	}
	if (!c->x.family) {
		if (id) {
			adopt_ident(c, id);
		} else if (p->fd >= 0) {
			sk = sock_of(p->fd);
			if (sk)
				adopt_sock(c, sk);
		}
		if (p->role != ROLE_UNKNOWN)
			c->x.role = p->role;
		first(c, at, k);
	}
	move(c, at->tgid, k);
	unlock(c);
	return 0;
}

static __noinline int over(struct secret *at)
{
	struct conn *c = bpf_map_lookup_elem(&conns, at);

	if (!c)
		return 0;
	if (lock(c)) {
		if (c->on)
			end(c, 0);
		c->on = 0;
		unlock(c);
	}
	bpf_map_delete_elem(&conns, at);
	return 0;
}

// speaks notes that the TLS of a process is read here, if it is to be.
static __always_inline bool speaks(__u32 tgid)
{
	__u32 none = 0, *number;
	__u8 yes = 1;

	if (!(observed(tgid, 0) & ON))
		return false;
	if (bpf_map_lookup_elem(&speakers, &tgid))
		return true;
	bpf_map_update_elem(&speakers, &tgid, &yes, BPF_ANY);
	number = bpf_map_lookup_elem(&speech, &none);
	if (number)
		__sync_fetch_and_add(number, 1);
	return true;
}

#include "openssl.h"
#include "gotls.h"

/* the one program */

// What a place is, as its cookie says; probes/tls has the roles.
enum place_role {
	READ_BEGINS, WRITE_BEGINS, READ_EX_BEGINS, WRITE_EX_BEGINS, NEW_BEGINS, FREE_BEGINS,
	GO_READ_BEGINS, GO_WRITE_BEGINS, GO_CLOSE_BEGINS,
	ENDS_TOO = 16, // where the result is known
	GUARDED = 32, // at a jump that makes the function begin again
};

// passes does what is to be done at a place, and reports whether plain text is to
// be passed on.
static __always_inline bool passes(struct pt_regs *ctx, struct passage *p, __u32 what)
{
	bool behind = what & READ_EX_BEGINS;
	__u64 ssl = PT_REGS_PARM1(ctx), conn = GO_ARG1(ctx);

	// The verifier knows what is written behind each case: not which way it goes.
	p->k.received = !(what & WRITE_BEGINS);
	barrier_var(behind);
	barrier_var(ssl); // which register it is must not be left to a pointer
	barrier_var(conn);
	switch (what) {
	case READ_BEGINS:
	case WRITE_BEGINS:
	case READ_EX_BEGINS:
	case WRITE_EX_BEGINS:
		openssl_begins(ctx, behind);
		return false;
	case READ_BEGINS | ENDS_TOO:
	case WRITE_BEGINS | ENDS_TOO:
	case READ_EX_BEGINS | ENDS_TOO:
	case WRITE_EX_BEGINS | ENDS_TOO:
		return ends(p, (__s32)PT_REGS_RC(ctx), behind);
	case NEW_BEGINS:
		speaks(p->at.tgid);
		return false;
	case FREE_BEGINS:
	case GO_CLOSE_BEGINS:
		p->at.object = what == FREE_BEGINS ? ssl : conn;
		over(&p->at);
		return false;
	case GO_READ_BEGINS:
		go_read_begins(ctx);
		return false;
	case GO_READ_BEGINS | ENDS_TOO:
		return go_read_ends(p, ctx);
	case GO_WRITE_BEGINS:
		return go_passes(p, conn, GO_ARG2(ctx), GO_ARG3(ctx));
	}
	return false;
}

// One program for all places: a link holds places of one program, and taking a
// link away makes the kernel wait for everybody who may be inside. And one call of
// what is long: the verifier follows each.
SEC("uprobe")
int place(struct pt_regs *ctx)
{
	__u32 what = bpf_get_attach_cookie(ctx);
	struct passage p = {
		.at = { .tgid = bpf_get_current_pid_tgid() >> 32 },
		.k = { .located = 1 },
		.fd = -1,
		.role = ROLE_UNKNOWN,
	};

	if (what & GUARDED && AGAIN(ctx))
		return 0;
	return passes(ctx, &p, what & ~GUARDED) ? pass(&p) : 0;
}

/* the sweep */

// Ships responses that seem to be over and tells what is still open.
SEC("iter/bpf_map_elem")
int sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	struct secret *key = ctx->key, at;
	struct open o = {};
	struct conn *c;

	if (!key)
		return 0;
	at = *key;
	c = bpf_map_lookup_elem(&conns, &at);
	if (!c || !c->on || c->state == IDLE || !lock(c))
		return 0;
	swept(c, &o);
	unlock(c);
	if (o.cookie)
		bpf_seq_write(ctx->meta->seq, &o, sizeof(o));
	return 0;
}
