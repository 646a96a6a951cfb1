// Package talk turns what the kernel tells of sockets into requests. It knows
// nothing of the kernel: it takes Records, finds out what each connection
// speaks, lets the parser of that protocol (core/wire) read it, joins the two
// ends of a connection, names peers, and counts what nobody can read.
//
//	table.go    connections by cookie, bounded
//	reader.go   a record's way: order, what is decided already, what is not
//	decide.go   connections whose protocol is not known, and what then happens
//	infer.go    what a connection speaks, and what is expected where
//	widen.go    connections of which more must be captured
//	feed.go     record -> wire.Span -> wire.Exchange -> core.Request
//	generic.go  exchanges that nobody can read
//	hold.go     records that may still be amended
//	ends.go     the two ends of a connection
//	peers.go    names of peers
//	tally.go    what goes to the sink
package talk

import (
	"vitals/core"
	"vitals/core/wire"
)

// Kind is what a record tells of.
type Kind uint8

// Kinds of records.
const (
	Exchange Kind = iota // a request and its answer: two turns
	Transfer             // bytes that went one way
	End                  // the connection is over
)

// Flags of a record, as the kernel side has them.
const (
	Early    = 1 << iota // shipped at its first response byte: an amendment may follow
	Amend                // final figures of an exchange that was shipped before
	Late                 // client: a send that began before is reported after this
	Closed               // the connection ended before an answer
	Reset                // by a reset
	Timeout              // by a timeout
	Cut                  // the name of a Unix socket is longer than what is kept
	Joined               // bytes went by before this record that nobody saw
	Received             // of a transfer: by the process, else sent
	Ends                 // the connection ended with this exchange
	Datagram             // a transfer is a datagram
	Switched             // the first transfer after exchanges
	Greeting             // what a server said first; the connection goes by exchange
)

// afterGap is a flag of records that wait for a parser: others are missing before.
const afterGap = 1 << 15

// Address families that are treated differently.
const (
	FamilyUnix = 1
	FamilyInet = 2
)

// Record is what the kernel told of one socket. Its bytes need to be valid
// during the call only.
type Record struct {
	Kind   Kind
	Flags  uint16
	Role   core.Role
	Cookie uint64 // of the socket
	Proc   core.ProcKey
	// Seq counts the records of a connection from 1, so that gaps are seen; an
	// amendment has the number of what it amends. 0: the kernel does not count.
	Seq uint32
	TLS bool // the bytes were taken before encryption or after decryption
	Address
	Times

	Request, Response []byte // captured beginnings; a transfer's bytes are in Request
}

// Times is when and how much: CLOCK_MONOTONIC nanoseconds and bytes. Of a
// transfer First and Last are when it was, and its size is in In or Out.
type Times struct {
	Start, First, Last int64
	In, Out            uint64 // received and sent by the process
}

// Address is both ends of a socket.
type Address struct {
	Family                uint16
	LocalPort, RemotePort uint16
	NetNS                 uint32
	Local, Remote         [16]byte // Unix: the path, 32 bytes from Local on
	FarPID                int32    // Unix: whose the other end is, 0 unknown
}

// asked and answered are the sizes of the two turns.
func (r *Record) asked() int64 {
	if r.Role == core.RoleClient {
		return int64(r.Out)
	}
	return int64(r.In)
}

func (r *Record) answered() int64 {
	if r.Role == core.RoleClient {
		return int64(r.In)
	}
	return int64(r.Out)
}

// size is that of a transfer.
func (r *Record) size() int64 { return int64(r.In + r.Out) }

// from is who sent a transfer.
func (r *Record) from() wire.Side { return sideOf(r.received() == (r.Role == core.RoleServer)) }

func (r *Record) received() bool { return r.Flags&Received != 0 }
func (r *Record) datagram() bool { return r.Flags&Datagram != 0 }

// serverPort is the port that the server of the connection listens on.
func (r *Record) serverPort() uint16 {
	switch {
	case r.Family == FamilyUnix:
		return 0
	case r.Role == core.RoleClient:
		return r.RemotePort
	}
	return r.LocalPort
}

// kept is a record that outlives its call.
type kept struct {
	Record
	bytes []byte
	fresh bool
}

// keep copies r into k, using its memory.
func (k *kept) keep(r *Record) {
	n := len(r.Request)
	k.bytes = append(append(k.bytes[:0], r.Request...), r.Response...)
	k.Record, k.fresh = *r, true
	k.Request, k.Response = k.bytes[:n:n], k.bytes[n:]
}
