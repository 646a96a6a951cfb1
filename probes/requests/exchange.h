// SPDX-License-Identifier: Dual MIT/GPL
// What is kept for each socket, and what is shipped for each exchange.
#ifndef VITALS_EXCHANGE_H
#define VITALS_EXCHANGE_H

// Sizes of the captured heads. The route and the Host of nearly all requests
// are in the first 256 bytes; 64 hold a status line.
#define REQUEST_HEAD 256
#define RESPONSE_HEAD 64

// A response whose last byte is older than this is shipped by the sweep.
#define IDLE_NS 150000000ULL

// How many chunks of a socket whose role is unknown are looked at.
#define MAX_GUESSES 32

enum role { ROLE_UNKNOWN, ROLE_SERVER, ROLE_CLIENT };
enum state { IDLE, REQUEST, RESPONSE };

enum flag {
	EARLY = 1, // shipped at its first response byte; an amendment may follow
	AMEND = 2, // final figures of an exchange that was shipped before
	LATE = 4, // client: the send of the request was reported after the answer
	CLOSED = 8, // the connection ended before an answer
	RESET = 16, // by a reset
	TIMEOUT = 32, // by a timeout
	CUT = 64, // unix: the address is longer than what is kept
};

// exchange is one ring record; request_len bytes of the request's head follow.
struct exchange {
	__u64 cookie;
	__u64 birth;
	__u32 tgid;
	__u32 seq; // of the exchange on its connection, from 1
	__u64 start; // first byte of the request
	__u64 first; // first byte of the response
	__u64 last; // last byte of the response, or the end without one
	__u64 in;
	__u64 out;
	__u8 role;
	__u8 flags;
	__u16 family;
	__u16 request_len;
	__u16 response_len;
	__u16 lport;
	__u16 rport;
	__u32 pad;
	__u8 laddr[16]; // unix: the name, 32 bytes from here
	__u8 raddr[16];
	char response[RESPONSE_HEAD];
};

// ahead is a request that was read while the answer to the one before was sent,
// but that send not yet reported: sends are told at their end, when the peer may
// have answered already.
struct ahead {
	__u64 start;
	__u64 n; // bytes; 0: there is none
	__u32 mark; // the send sequence number when it was read
	__u32 len;
	char head[REQUEST_HEAD];
};

// conn is the state of one socket. Only the holder of its lock changes it.
struct conn {
	struct ahead next; // server
	struct exchange x;
	char request[REQUEST_HEAD]; // right behind x: they are shipped together
	// A head is written at most this far behind its end, as the verifier sees
	// it: nothing that matters may be here.
	char slack[REQUEST_HEAD];
	__u32 lock;
	__u32 gen; // of the decision
	__u32 sent; // send sequence number up to which sends were reported
	__u32 mark; // client: the send sequence number when the response began
	__u64 shipped; // bytes when it was shipped early; 0: it was not
	__u8 on;
	__u8 state;
	__u8 tcp; // has sequence numbers
	__u8 guesses; // chunks looked at in search of the role
	__u8 orphaned; // bytes without a request were counted since the last one
	__u8 pad[3];
};

// open is what the sweep tells of an exchange that has not ended.
struct open {
	__u64 cookie;
	__u64 birth;
	__u64 start;
	__u32 tgid;
	__u32 seq;
	__u8 role;
	__u8 state;
	__u8 shipped;
	__u8 pad;
	char head[4];
};

#endif
