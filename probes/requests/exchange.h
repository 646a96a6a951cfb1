// SPDX-License-Identifier: Dual MIT/GPL
// What is kept for each socket, and what is shipped to user space.
#ifndef VITALS_EXCHANGE_H
#define VITALS_EXCHANGE_H

// Sizes of the captured heads of an exchange. The route and the Host of nearly
// all requests are in the first 256 bytes; 64 hold a status line.
#define REQUEST_HEAD 256
#define RESPONSE_HEAD 64

// What the first chunks of a socket show whose role is unknown, and what fits
// into a conn.
#define CHUNK_HEAD 256

// What is captured of the transfers of a datagram socket, and of an HTTP/2
// connection, until user space says otherwise.
#define DATAGRAM_HEAD 1232
#define HTTP2_CLIENT_HEAD 4096
#define HTTP2_SERVER_HEAD 1024

#define MAX_HEAD 16384

// How much is kept of lost transfers, and of how many: together a request's head.
#define LOST_HEAD 32
#define LOST_HEADS 8

// A response whose last byte is older than this is shipped by the sweep.
#define IDLE_NS 150000000ULL

enum role { ROLE_UNKNOWN, ROLE_SERVER, ROLE_CLIENT };
enum state { IDLE, REQUEST, RESPONSE };
enum mode { BY_EXCHANGE, BY_CHUNK, MUTE };

enum kind {
	EXCHANGE, // a request and its answer
	CHUNK, // one transfer
	END, // the connection is over
	STIR, // nothing but a wake-up after silence
	HEAD, // more of a turn than fits into the exchange to come; first is where in the turn
};

enum flag {
	EARLY = 1, // shipped at its first response byte; an amendment may follow
	AMEND = 2, // final figures of an exchange that was shipped before
	LATE = 4, // client: the send of the request was reported after this answer, or is still to be
	CLOSED = 8, // the connection ended before an answer
	RESET = 16, // by a reset
	TIMEOUT = 32, // by a timeout
	CUT = 64, // unix: the address is longer than what is kept
	JOINED = 128, // bytes went by before this that nobody saw
	RECEIVED = 256, // of a chunk
	ENDS = 512, // the connection ended with this exchange
	DATAGRAM = 1024,
	SWITCHED = 2048, // the first chunk after exchanges
	GREETING = 4096, // a chunk that the server sent unasked, before anything else; exchanges follow

	SAID_ONCE = JOINED | SWITCHED | GREETING, // of a connection
};

// exchange is the header of every record. Behind it are room bytes, of which the
// first response_len are the response's head, and request_len bytes of the
// request's head, or of a chunk, or LOST_HEAD of each of some lost ones.
struct exchange {
	__u64 cookie;
	__u64 birth;
	__u64 start; // first byte of the request
	__u64 first; // first byte of the response
	__u64 last; // last byte of the response, or the end without one
	__u64 in;
	__u64 out;
	__u32 tgid;
	__u32 seq; // of the exchange or chunk on its connection, from 1
	__u32 netns;
	__u32 far; // unix: the process at the other end, 0 unknown
	__u8 kind;
	__u8 role;
	__u16 flags;
	__u16 family;
	__u16 request_len;
	__u16 response_len;
	__u16 room;
	__u16 lport;
	__u16 rport;
	__u8 laddr[16]; // unix: the name, 32 bytes from here
	__u8 raddr[16];
};

// conn is the state of one socket. Only the holder of its lock changes it. It
// takes 1 KiB with what the kernel puts around it, and must not take more.
//
// As the verifier sees it, a head is written up to its size behind its end. In
// truth it never is; but that much must follow.
struct conn {
	// A request that was read while the answer to the one before was sent, but
	// that send not yet reported: sends are told at their end, when the peer may
	// have answered already.
	// By chunk: what is kept of lost transfers, and next_len is their number.
	char next_head[REQUEST_HEAD];
	struct exchange x;
	char response[RESPONSE_HEAD]; // right behind x: they are shipped together
	char request[REQUEST_HEAD];
	__u64 next_start;
	__u64 next_n; // bytes; 0: there is none
	__u32 next_mark; // the send sequence number when it was read
	__u32 next_len;
	__u64 shipped; // bytes when it was shipped early; 0: it was not
	__u64 key; // where sockets have no storage: what finds this
	__u64 batch; // the messages of the system call that is being reported
	__u64 batch_time;
	__u32 batch_at;
	__u32 inode; // where sockets have no storage: to know a new one at an old address
	__u32 lock;
	__u32 gen; // of the decision
	__u32 tuned; // the number of tunings when it looked for its own
	__u32 sent; // send sequence number up to which sends were reported
	__u32 mark; // client: the send sequence number when the response began
	__u32 speech; // the number of speakers of TLS when its process was looked up
	__u16 client_cap; // what is captured of a transfer of the client, beyond what fits into the heads
	__u16 server_cap;
	__u8 mode;
	__u8 on;
	__u8 chosen; // by the process itself, not by the default
	__u8 state;
	__u8 tcp; // has sequence numbers
	__u8 fresh; // known from its first byte
	__u8 guesses; // chunks looked at in search of the role
	__u8 shown; // chunks shipped in search of the role
	__u8 orphaned; // bytes without a request were counted since the last one
	__u8 speaks; // its process has a TLS library that is probed
	__u8 joined; // bytes went by before the first one that was seen
	__u8 missed; // a transfer went by while the lock was not to be had
	__u8 slack[152];
};

_Static_assert(sizeof(struct conn) <= 952, "a connection takes more than 1 KiB");

// tuning is what user space wants of a socket.
struct tuning {
	__u8 mode;
	__u8 role; // ROLE_UNKNOWN: as it is
	__u16 client_cap; // bytes, 0: the default
	__u16 server_cap;
	__u16 pad;
};

// place is where sockets are that talk the same: where their server listens, or
// as a client reaches it.
struct place {
	__u32 netns;
	__u16 port;
	__u8 client;
	__u8 pad;
	__u8 name[32]; // of clients the address; of Unix sockets the path
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
