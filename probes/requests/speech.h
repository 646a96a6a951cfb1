// SPDX-License-Identifier: Dual MIT/GPL
// What the programs on sockets and those on TLS libraries tell each other: which
// socket a thread used last. Both objects hold the same maps.
#ifndef VITALS_SPEECH_H
#define VITALS_SPEECH_H

#include "exchange.h"

// ident is a socket as the other end of a TLS connection is known by.
struct ident {
	__u64 cookie;
	__u64 at; // of the newest transfer
	__u32 netns;
	__u16 family;
	__u16 lport;
	__u16 rport;
	__u8 role;
	__u8 joined;
	__u32 pad;
	__u8 laddr[16];
	__u8 raddr[16];
};

// The socket that a thread of a process that speaks TLS used last.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64); // as bpf_get_current_pid_tgid gives it
	__type(value, struct ident);
} threads SEC(".maps");

// Processes that speak TLS through a library that is probed.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32); // tgid
	__type(value, __u8);
} speakers SEC(".maps");

// A number that grows when there is a new speaker.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} speech SEC(".maps");

// overhear notes which socket a thread uses, if somebody may ask.
static __always_inline void overhear(struct conn *c, __u32 tgid)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u32 none = 0, *number = bpf_map_lookup_elem(&speech, &none);
	struct ident *last, id = {};

	if (!number || !*number)
		return;
	if (c->speech != *number) {
		c->speech = *number;
		c->speaks = !!bpf_map_lookup_elem(&speakers, &tgid);
	}
	if (!c->speaks)
		return;
	last = bpf_map_lookup_elem(&threads, &thread);
	if (last && last->cookie == c->x.cookie) {
		last->at = bpf_ktime_get_ns();
		return;
	}
	id.cookie = c->x.cookie;
	id.at = bpf_ktime_get_ns();
	id.netns = c->x.netns;
	id.family = c->x.family;
	id.lport = c->x.lport;
	id.rport = c->x.rport;
	id.role = c->x.role;
	id.joined = c->joined;
	__builtin_memcpy(id.laddr, c->x.laddr, sizeof(id.laddr));
	__builtin_memcpy(id.raddr, c->x.raddr, sizeof(id.raddr));
	bpf_map_update_elem(&threads, &thread, &id, BPF_ANY);
}

#endif
