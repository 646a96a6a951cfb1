// SPDX-License-Identifier: Dual MIT/GPL
// The kernel's structures, as the two kinds of programs may read them: FLOOR is
// defined where pointers come from walking and nothing newer than 5.8 is used,
// WALKS where only the first is so.
#ifndef VITALS_ACCESS_H
#define VITALS_ACCESS_H

#include "vitals.h"

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define EPIPE 32
#define ECONNRESET 104
#define ETIMEDOUT 110
#define PF_IO_WORKER 0x10

// The parts of sockets that only this probe reads.
struct tcp_sock___requests {
	u32 write_seq, snd_una, rcv_nxt, copied_seq;
	u64 bytes_received, bytes_acked;
} KERNEL;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} KERNEL;

struct upid {
	int nr;
} KERNEL;

struct pid {
	struct upid numbers[1];
} KERNEL;

#if defined(FLOOR) || defined(WALKS)

#define READ(p, field) BPF_CORE_READ(p, field)

static __always_inline __u64 own_birth(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, group_leader, start_boottime) / NSEC_PER_TICK;
}

static __always_inline __u32 netns_of(struct sock *sk)
{
	return bpf_core_field_exists(sk->__sk_common.skc_net.net) ? BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) : 0;
}

static __always_inline struct tcp_sock___requests *tcp_of(struct sock *sk)
{
	return (void *)sk;
}

#else

#define READ(p, field) ((p)->field)

static __always_inline __u64 own_birth(void)
{
	return task_birth(bpf_get_current_task_btf());
}

#define netns_of sock_netns

static __always_inline struct tcp_sock___requests *tcp_of(struct sock *sk)
{
	return (void *)bpf_skc_to_tcp_sock(sk);
}

#endif

#endif
