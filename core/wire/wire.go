// Package wire is what a protocol parser is. Each protocol is a folder below,
// with a Protocol value and a line in core/wire/protocols.
//
// A parser sees one connection through a keyhole: the beginnings of what each
// side sent, in the order in which it was sent, with the sizes of what was not
// captured. It may join in the middle of a conversation and may miss parts of
// it. It says what it knows and never guesses the rest. It is pure: no clock, no
// goroutine, no I/O, and only the standard library.
package wire

import (
	"net/netip"
	"time"
)

// Side is who sent bytes.
type Side uint8

// Sides of a connection.
const (
	Client Side = iota // asks
	Server             // answers
)

// Verdict is what the beginning of some bytes says about their protocol.
type Verdict uint8

// Verdicts, from "cannot be" to "cannot be anything else". Maybe is worth
// little: a protocol is believed when a second message agrees, or when port or
// program speak for it, too.
const (
	No Verdict = iota
	Maybe
	Likely
	Sure
)

// Protocol describes one protocol. Values are never modified.
type Protocol struct {
	Name string // as in the protocol column and label: "http", "postgresql", "redis"
	// ID is what Out.Switch calls it where several share a name ("http2"); Name
	// when empty.
	ID string
	// Sniff judges the beginning of what one side sent, of which size bytes were
	// transferred. It keeps nothing and allocates nothing.
	Sniff func(from Side, data []byte, size int64) Verdict
	// Ports and Programs speak for the protocol, but never alone.
	Ports    []uint16
	Programs []string // base names of the server's executable
	Datagram bool     // spoken over UDP
	// Stream says that directions mix, so that the kernel must hand over every
	// transfer instead of one record for each exchange.
	Stream bool
	// Head is how many bytes of each transfer are worth capturing; 0 is the
	// least there is (256 of a request, 64 of an answer).
	Head int
	// New makes the parser of one connection.
	New func(Options) Conn
}

// Options are what a parser is told about its connection.
type Options struct {
	Names *Names // interns what outlives a call; shared by all connections
	// Joined says that the connection is older than the observation: the first
	// bytes may be the middle of a message, and state (prepared statements,
	// header tables) may be missing.
	Joined bool
	// Missed says, with Joined, that the connection is not older: its first spans
	// are missing, as after a Gap.
	Missed bool
	// Port is the server's, 0 when it is unknown or there is none.
	Port uint16
}

// Span is what one side sent in one go: one transfer, or one direction of an
// exchange.
type Span struct {
	From Side
	Data []byte // the captured beginning; valid during the call only
	Size int64  // bytes transferred, at least len(Data)
	// First and Last are when the first and the last byte went by, in
	// nanoseconds of CLOCK_MONOTONIC. They are equal for a single transfer.
	First, Last int64
	// Turn says that this is all that the side said before the other one spoke
	// (an exchange): an answer is over with it, whatever its length says. Else it
	// is a single transfer and more may follow.
	Turn bool
}

// Conn parses one connection. Calls are serialised. The result of hostile bytes
// is never a panic, never unbounded memory (state: some KiB at most), and never
// a claim that the bytes do not support.
type Conn interface {
	// Feed takes the next span. Spans of one side come in order; an answer comes
	// after the request that it answers, as far as the kernel could tell.
	Feed(s *Span, out *Out)
	// Gap says that spans are missing: what waits is told as Partial, and the
	// parser looks for the next message that it can be sure of.
	Gap(out *Out)
	// End says that the connection is over; what still waits for its answer is
	// told with that reason: "timeout", "reset", or "cancelled" when the client
	// left.
	End(at int64, reason string, out *Out)
	// Waiting gives how many requests wait for an answer or for the rest of it,
	// and when the oldest began; 0, 0 without.
	Waiting() (n int, oldest int64)
}

// Exchange is one request with its answer, as far as known. Strings are
// constants or interned by Names.
type Exchange struct {
	Protocol string // "" means Protocol.Name; HTTP/2 carries "grpc" as well
	Method   string // verb, command, operation: "GET", "SELECT", "MGET", "Publish"
	// Target is the class of what was asked: route, statement without literals,
	// RPC method, name asked for. It has few values.
	Target string
	Peer   string // how the client called the server: Host, authority; "" when it did not say
	Status int    // of protocols that have numbers for it
	Code   string // of those that have names: SQLSTATE, "NOAUTH", "NXDOMAIN"
	// Failed says that the answer is an error by the rules of the protocol,
	// seen by the server and by the client.
	FailedServer, FailedClient bool
	Error                      string // "", "timeout", "reset", "cancelled"

	Start int64 // first byte of the request
	First int64 // first byte of its answer, 0 without
	End   int64 // last byte of its answer, or when the connection ended
	// Asked and Answered are the sizes of the two.
	Asked, Answered int64

	// Stream marks what has no latency: subscriptions, server-sent events,
	// WebSockets, long polls that only push. Its duration is not one.
	Stream bool
	// MessagesAsked and MessagesAnswered count what the client and the server sent
	// on a stream, where the protocol has messages.
	MessagesAsked, MessagesAnswered int64
	// Retries is how often the client sent the same request again.
	Retries int
	// Partial marks incomplete figures: joined in the middle, beyond what was
	// captured, bytes missing.
	Partial bool
}

// Out takes what a parser finds. It is reused: its contents are read and reset
// after each call of a Conn.
type Out struct {
	Exchanges []Exchange
	// Unpaired counts answers without a request. Parsed and Skipped are bytes
	// that were understood, and those that were not.
	Unpaired        int
	Parsed, Skipped int64
	// Missed counts requests that were made and went by unseen, in a hole: those
	// that the numbers of what came later tell of. They are in nothing else.
	Missed int
	// Wrong says that this is not the protocol after all; the Conn is dropped.
	Wrong bool
	// Switch names the protocol that the connection speaks from here on
	// (an upgrade), "" for none, Unknown for one that nobody here can read.
	Switch string
	// Rest is how many bytes at the end of the span (of its Size) are not part of
	// this protocol any more: they are the first of the one that Switch names.
	Rest int64
	// Begun is what the next protocol goes on with, nil for nothing. See Adopter.
	Begun *Exchange
	// Messages is how many messages of streams were seen in this call.
	Messages int
	// Blind says why the connection cannot be read from here on, in a word or
	// two: "tls", "compressed"; "" while it can. The Conn is dropped.
	Blind string
	// Peer is what the connection itself calls its server (the SNI of a TLS
	// handshake), interned; "" unknown.
	Peer string
	// Inside is what its client offers to speak inside of what cannot be read, as
	// "h2, http/1.1", interned; "" unknown.
	Inside string
	// Resolved is what names the answers gave: the process that asked will use
	// these addresses in a moment.
	Resolved []Resolved
}

// Unknown is the name of a protocol that nobody here can read.
const Unknown = "unknown"

// Targets of requests whose names depend on what was not seen.
const (
	UnknownJoined = "unknown (joined mid-stream)"
	UnknownLost   = "unknown (headers lost)"
)

// Adopter is a Conn that goes on with what another protocol has begun. Adopt is
// called once, before the first Feed, with Out.Begun.
type Adopter interface{ Adopt(x *Exchange) }

// Rejoiner is a Conn that tells requests that went by unseen (Out.Missed). Rejoin
// is called after a Gap in which nobody was to look: what went by is not missed.
type Rejoiner interface{ Rejoin() }

// Witness is a Conn that learns from the beginnings of transfers that were in
// holes. Lost is called with some of the last ones before End, in no order: a few
// bytes, of either side, with zeros behind what was shorter.
type Witness interface{ Lost(data []byte) }

// Resolved is one address of a name.
type Resolved struct {
	Name string // interned, without the last dot
	Addr netip.Addr
}

// Reset makes Out ready for the next call, keeping its memory.
func (o *Out) Reset() { *o = Out{Exchanges: o.Exchanges[:0], Resolved: o.Resolved[:0]} }

// Add appends an exchange.
func (o *Out) Add(x *Exchange) { o.Exchanges = append(o.Exchanges, *x) }

// Duration is from the first byte of the request to the last of the answer.
func (x *Exchange) Duration() time.Duration {
	if x.End <= x.Start {
		return 0
	}
	return time.Duration(x.End - x.Start)
}
