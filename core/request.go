package core

import "time"

// Role is which end of an exchange the observed process is.
type Role uint8

// Roles. Unknown is an answer: it is never guessed from who spoke first.
const (
	RoleUnknown Role = iota
	RoleServer
	RoleClient
)

// String gives "server", "client" or "unknown".
func (r Role) String() string {
	switch r {
	case RoleServer:
		return "server"
	case RoleClient:
		return "client"
	}
	return "unknown"
}

// Protocols, as they appear in the protocol column and label.
const (
	ProtoHTTP = "http"
	// ProtoUnknown marks exchanges whose bytes no parser recognised.
	ProtoUnknown = "unknown"
	// ProtoTLS marks exchanges that are encrypted.
	ProtoTLS = "tls"
)

// Recognised reports whether requests of a protocol are requests, not merely
// changes of direction on a connection that nobody could read. The others have
// rows of their own and are in nobody's rate, errors and duration.
func Recognised(protocol string) bool { return protocol != ProtoUnknown && protocol != ProtoTLS }

// Request is one parsed exchange (or Count equal ones). Probes hand batches of
// them to a Sink. It holds no header values, cookies, query strings or bodies.
//
// Strings must be interned or constant: the engine keeps them as keys.
type Request struct {
	Proc     ProcKey
	Role     Role
	Protocol string
	// Peer is the class of the other side. For clients: a host name or
	// host:port. For servers: empty, raw client addresses are never labels.
	Peer   string
	TLS    bool
	Method string
	Route  string // normalised: ids are "{id}", no query
	Status int    // 0 when the protocol has none, or the answer was not seen
	Code   string // of protocols whose errors have names: SQLSTATE, "NOAUTH", "NXDOMAIN"
	Error  string // "", or a class: "timeout", "reset", "cancelled", "500" is not an error class here
	Failed bool   // counts as an error (HTTP server: 5xx; client: 4xx and 5xx; or Error set)

	Start     int64         // CLOCK_MONOTONIC nanoseconds of the first request byte
	FirstByte time.Duration // from Start to the first byte of the answer
	Duration  time.Duration // from Start to the last byte of the answer
	BytesIn   uint64        // bytes that the process received for it
	BytesOut  uint64        // bytes that the process sent for it

	// PeerProc is the process at the other end when it is one of this machine and
	// known; zero otherwise.
	PeerProc ProcKey
	// Stream marks what has no latency: subscriptions, pushes, WebSockets. It is
	// counted; its times are how long it was open.
	Stream bool

	// Count is how many exchanges this stands for; 0 means 1.
	Count uint32
	// Partial marks figures that are incomplete: joined in the middle of the
	// exchange, or more pipelined requests than were captured.
	Partial bool
}

// Sample is one value of one metric, for a process or for the whole machine.
// Counters carry what was added since the previous sample, gauges the level,
// so a probe that is switched off and on again never makes a counter fall.
type Sample struct {
	Proc  ProcKey // zero: the whole machine
	Desc  *Desc   // compared by pointer
	Label string  // value of Desc.Label when the metric has one
	Value float64
}

// Sink takes facts from probes. All methods may be called concurrently; they
// may block for a moment under load (what the kernel cannot hand over meanwhile
// is counted as lost there) and never keep the slice after returning.
type Sink interface {
	Requests([]Request)
	Samples([]Sample)
	Usage([]Usage)
	// Lost adds n to vitals_events_lost_total{stage,reason}.
	Lost(stage, reason string, n uint64)
	// Coverage adds to the completeness figures of a process.
	Coverage([]Coverage)
	// InFlight replaces the list of requests that have begun and not ended.
	// Only those in flight at the moment of the look are listed.
	InFlight([]InFlight)
}

// Coverage is how much of what a process said was understood. All fields are
// increments.
type Coverage struct {
	Proc ProcKey
	// Exchanges is what the kernel counted; Parsed is how many of them became a
	// Request with a protocol; Lost is how many never reached user space.
	Exchanges, Parsed, Lost uint64
	Unpaired                uint64 // an answer without a request, or the reverse
	BytesIn, BytesOut       uint64
	// BytesParsed is how many of BytesIn and BytesOut a parser understood, or
	// knew to be the body of something that it understood.
	BytesParsed uint64
	// Unknown, Encrypted and Blind are exchanges that are not in Parsed: of no
	// protocol that is known, of TLS, and unreadable for the reason of Why.
	Unknown, Encrypted, Blind uint64
	Why                       string // the newest reason for Encrypted or Blind, "" unknown
	// Connections is how many were seen, Joined those that were open before.
	Connections, Joined uint64
	Gaps                uint64 // times that records were missing on a connection
}

// Add adds the increments of c; the newest reason stays.
func (to *Coverage) Add(c *Coverage) {
	to.Exchanges += c.Exchanges
	to.Parsed += c.Parsed
	to.Lost += c.Lost
	to.Unpaired += c.Unpaired
	to.BytesIn += c.BytesIn
	to.BytesOut += c.BytesOut
	to.BytesParsed += c.BytesParsed
	to.Unknown += c.Unknown
	to.Encrypted += c.Encrypted
	to.Blind += c.Blind
	to.Connections += c.Connections
	to.Joined += c.Joined
	to.Gaps += c.Gaps
	if c.Why != "" {
		to.Why = c.Why
	}
}

// Subtract takes back what was added.
func (to *Coverage) Subtract(c *Coverage) {
	for _, f := range [...][2]*uint64{
		{&to.Exchanges, &c.Exchanges}, {&to.Parsed, &c.Parsed}, {&to.Lost, &c.Lost}, {&to.Unpaired, &c.Unpaired},
		{&to.BytesIn, &c.BytesIn}, {&to.BytesOut, &c.BytesOut}, {&to.BytesParsed, &c.BytesParsed},
		{&to.Unknown, &c.Unknown}, {&to.Encrypted, &c.Encrypted}, {&to.Blind, &c.Blind},
		{&to.Connections, &c.Connections}, {&to.Joined, &c.Joined}, {&to.Gaps, &c.Gaps},
	} {
		*f[0] -= min(*f[0], *f[1])
	}
}

// InFlight is how many requests a process has open on one side, and since when.
type InFlight struct {
	Proc   ProcKey
	Role   Role
	Count  int
	Oldest int64 // CLOCK_MONOTONIC nanoseconds of the oldest one's start
}
