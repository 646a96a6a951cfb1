//go:build ignore

// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * TCP figures of every process, from the counters that the kernel keeps in each
 * socket anyway: nothing runs per packet. A pass over all open files takes what
 * was added since the last pass; what a socket moved after that is taken when it
 * is destroyed. Sums are kept here by process, so that connections which come
 * and go between two passes cost user space nothing.
 */
#include "vitals.h"

#define STATES 13 /* TCP_ESTABLISHED to TCP_NEW_SYN_RECV, and 0 */

/* Set by user space: the number of the pass, and whether the first one is over. */
u32 look;
u32 counting;

/* Rows or sockets for which there was no room. */
u64 lost;

/* What was counted of a socket so far, and for whom. */
struct counted {
	struct proc_key owner; /* who held it in the last pass, or closed it */
	u64 sent;
	u64 raw_sent; /* falls only when the socket is used for a new connection */
	u64 received;
	u32 retransmits;
	u32 look;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct counted);
} sockets SEC(".maps");

struct row {
	/* Counted up, from any processor. */
	u64 sent, received, retransmits;
	/* Levels of one pass. */
	u32 look;
	u32 forked; /* no exec since the fork: parent is where it comes from */
	struct proc_key parent;
	u64 rtt_sum; /* microseconds times weight */
	u64 rtt_weight;
	u32 accept_length, accept_limit; /* of the fullest listener */
	u32 states[STATES];
	u32 _pad;
};
EXPORT_TYPE(row);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct proc_key);
	__type(value, struct row);
} rows SEC(".maps");

static __always_inline struct row *row_of(struct proc_key *key)
{
	struct row *r = bpf_map_lookup_elem(&rows, key);

	if (!r) {
		struct row zero = {};

		bpf_map_update_elem(&rows, key, &zero, BPF_NOEXIST);
		r = bpf_map_lookup_elem(&rows, key);
		if (!r)
			__sync_fetch_and_add(&lost, 1);
	}
	return r;
}

/* Payload bytes: without what was sent again, and without the peer's FIN, which TCP counts as one. */

static __always_inline u64 sent_of(struct tcp_sock *tcp)
{
	return tcp->bytes_sent - tcp->bytes_retrans;
}

static __always_inline u64 received_of(struct sock *sk, struct tcp_sock *tcp)
{
	u64 fin = (sk->__sk_common.skc_flags >> SOCK_DONE) & 1;
	u64 received = tcp->bytes_received;

	return received > fin ? received - fin : 0;
}

/* Begins to count a socket: what it moved before we counted is not ours. */
static __always_inline struct counted *begin(struct sock *sk, struct tcp_sock *tcp)
{
	struct counted *c = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!c) {
		__sync_fetch_and_add(&lost, 1);
		return NULL;
	}
	if (tcp && !counting) {
		c->raw_sent = tcp->bytes_sent;
		c->sent = sent_of(tcp);
		c->received = received_of(sk, tcp);
		c->retransmits = tcp->total_retrans;
	}
	return c;
}

/* Adds what came since the last time, and returns how many bytes that was. */
static __always_inline u64 add(struct row *r, struct counted *c, struct sock *sk, struct tcp_sock *tcp)
{
	u64 raw = tcp->bytes_sent, sent = sent_of(tcp), received = received_of(sk, tcp), moved = 0;
	u32 retransmits = tcp->total_retrans;

	if (raw < c->raw_sent || retransmits < c->retransmits)
		c->sent = c->received = c->retransmits = 0; /* disconnected, used again */
	c->raw_sent = raw;
	/* A segment on its way again is for a moment counted as sent, not yet as sent again. */
	if (sent > c->sent) {
		moved += sent - c->sent;
		__sync_fetch_and_add(&r->sent, sent - c->sent);
		c->sent = sent;
	}
	if (received > c->received) {
		moved += received - c->received;
		__sync_fetch_and_add(&r->received, received - c->received);
		c->received = received;
	}
	if (retransmits > c->retransmits) {
		__sync_fetch_and_add(&r->retransmits, retransmits - c->retransmits);
		c->retransmits = retransmits;
	}
	return moved;
}

/* Empties the levels when this pass sees the process for the first time. */
static __always_inline void begin_levels(struct row *r, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	if (r->look == look)
		return;
	r->look = look;
	r->forked = !!(leader->flags & PF_FORKNOEXEC);
	r->parent = task_key(leader->real_parent);
	r->rtt_sum = r->rtt_weight = 0;
	r->accept_length = r->accept_limit = 0;
	__builtin_memset(r->states, 0, sizeof(r->states));
}

static __always_inline void look_at_queue(struct row *r, u32 length, u32 limit)
{
	/* length / limit, compared without dividing; a limit of n holds n+1. */
	u64 fuller = (u64)length * (r->accept_limit + 1ULL), other = (u64)r->accept_length * (limit + 1ULL);

	if (fuller > other || (fuller == other && limit > r->accept_limit)) {
		r->accept_length = length;
		r->accept_limit = limit;
	}
}

/* The queue of a multipath socket is its first subflow's. */
static __always_inline void look_at_mptcp(struct row *r, struct sock *sk, u8 state)
{
	struct mptcp_sock *msk = (void *)sk;
	struct sock *first;

	if (state != TCP_LISTEN || !bpf_core_field_exists(msk->first))
		return;
	first = BPF_CORE_READ(msk, first);
	if (first)
		look_at_queue(r, BPF_CORE_READ(first, sk_ack_backlog), BPF_CORE_READ(first, sk_max_ack_backlog));
}

SEC("iter/task_file")
int each_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct proc_key key;
	struct tcp_sock *tcp;
	struct socket *sock;
	struct counted *c;
	struct sock *sk;
	struct row *r;
	u64 moved;
	u8 state;

	if (!task || !file || (file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk || !(sock_is_tcp(sk) || sock_is_mptcp(sk)))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk); /* none of a multipath socket: its subflows have the figures */
	key = task_key(task);
	r = row_of(&key);
	c = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!c)
		c = begin(sk, tcp);
	if (!r || !c)
		return 0;
	begin_levels(r, task);
	if (c->look == look && c->owner.pid == key.pid)
		return 0; /* a second descriptor of the same socket */
	c->look = look;
	c->owner = key;

	state = sk->__sk_common.skc_state;
	if (state < STATES)
		r->states[state]++;
	if (!tcp) {
		look_at_mptcp(r, sk, state);
		return 0;
	}
	if (state == TCP_LISTEN) {
		look_at_queue(r, sk->sk_ack_backlog, sk->sk_max_ack_backlog);
		return 0;
	}
	moved = add(r, c, sk, tcp);
	if (state == TCP_ESTABLISHED && tcp->srtt_us) {
		/* Idle connections keep an old figure: those that move data weigh more. */
		u64 weight = 1 + (moved >> 10);

		r->rtt_sum += (tcp->srtt_us >> 3) * weight;
		r->rtt_weight += weight;
	}
	return 0;
}

/* Takes what a connection moved since the last time, for whoever owned it. */
static __always_inline void settle(struct counted *c, struct sock *sk, struct tcp_sock *tcp)
{
	struct row *r;

	if (tcp->bytes_sent == c->raw_sent && received_of(sk, tcp) == c->received &&
	    tcp->total_retrans == c->retransmits)
		return;
	r = row_of(&c->owner);
	if (r)
		add(r, c, sk, tcp);
}

/*
 * A connection that no pass has seen belongs to whoever closes it. Once closed
 * it moves nothing more, and it may lose its figures before it is destroyed.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int oldstate, int newstate)
{
	struct task_struct *current;
	struct tcp_sock *tcp;
	struct counted *c;

	if (newstate != TCP_FIN_WAIT1 && newstate != TCP_LAST_ACK && newstate != TCP_CLOSE)
		return 0;
	if (!sock_is_tcp(sk))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	c = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (sock_locked_by_current(sk)) {
		current = bpf_get_current_task_btf();
		if (!c && !task_is_kernel(current))
			c = begin(sk, tcp);
		if (c && !c->owner.pid)
			c->owner = task_key(current);
	}
	if (counting && newstate == TCP_CLOSE && c && c->owner.pid)
		settle(c, sk, tcp);
	return 0;
}

/*
 * Reset by the peer while nobody looked: the owner is known only now that it
 * closes its end. What is destroyed without the lock was never anybody's.
 */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
	struct counted *c, all = {};
	struct task_struct *current;
	struct tcp_sock *tcp;

	if (!counting)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	c = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!c) {
		current = bpf_get_current_task_btf();
		if (!sock_locked_by_current(sk) || task_is_kernel(current))
			return 0;
		all.owner = task_key(current);
		c = &all;
	}
	if (c->owner.pid)
		settle(c, sk, tcp);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
