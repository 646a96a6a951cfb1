// SPDX-License-Identifier: Dual MIT/GPL
// What the programs on sockets and those on TLS libraries tell each other: which
// socket a thread used last. Both objects hold the same maps.
#ifndef VITALS_SPEECH_H
#define VITALS_SPEECH_H

#include "vitals.h"

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

#endif
