package requests

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/wire/protocols"
	"vitals/probes/kern"
	"vitals/probes/requests/talk"
)

// Values of exchange.h that user space looks at.
const (
	kindExchange = 0
	kindChunk    = 1
	kindEnd      = 2
	kindStir     = 3
	kindHead     = 4

	roleUnknown = 0
	roleServer  = 1
	roleClient  = 2

	stateRequest = 1

	flagReceived = 256

	// What an exchange has room for itself.
	requestHead  = 256
	responseHead = 64
)

// intake decodes the records of the ring for the reader. It belongs to one
// goroutine.
type intake struct {
	*talk.Reader
	sink   core.Sink
	record talk.Record
	turns  turns
}

func newIntake(sink core.Sink, tune talk.Tuner) *intake {
	p := &intake{Reader: talk.New(sink, protocols.List(), tune), sink: sink, turns: turns{waiting: make(map[uint64]*turn)}}
	p.Program = (&programs{make(map[core.ProcKey]string)}).name
	p.Clock = monotonic
	return p
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano()
}

// take handles one record of the ring.
func (p *intake) take(raw []byte) {
	x, err := kern.View[requestsExchange](raw)
	if err != nil {
		p.sink.Lost("ring", "malformed", 1)
		return
	}
	r := &p.record
	tail := raw[unsafe.Sizeof(*x):]
	switch x.Kind {
	case kindExchange:
		r.Kind = talk.Exchange
	case kindChunk:
		r.Kind = talk.Transfer
	case kindEnd:
		r.Kind = talk.End
	case kindHead:
		p.turns.part(x.Cookie, x.Seq, (x.Flags&flagReceived != 0) == (x.Role == roleServer), x.First, tail[:min(int(x.RequestLen), len(tail))])
		return
	default:
		return // kindStir
	}
	if len(tail) < int(x.Room) {
		p.sink.Lost("ring", "malformed", 1)
		return
	}
	r.Flags, r.Cookie, r.Seq = x.Flags, x.Cookie, x.Seq
	r.Proc.PID, r.Proc.Birth = int32(x.Tgid), x.Birth
	r.Role = roleOf(x.Role)
	r.Start, r.First, r.Last = int64(x.Start), int64(x.First), int64(x.Last)
	if r.Kind == talk.Transfer {
		r.First, r.Last = r.Start, r.Start
	}
	r.In, r.Out = x.In, x.Out
	r.Family, r.NetNS, r.FarPID = x.Family, x.Netns, int32(x.Far)
	r.Local, r.Remote, r.LocalPort, r.RemotePort = x.Laddr, x.Raddr, x.Lport, x.Rport
	r.Response = tail[:min(x.ResponseLen, x.Room)]
	tail = tail[x.Room:]
	r.Request = tail[:min(int(x.RequestLen), len(tail))]
	if len(p.turns.waiting) > 0 {
		p.turns.complete(r)
	}
	p.Take(r)
}

func roleOf(role uint8) core.Role {
	switch role {
	case roleServer:
		return core.RoleServer
	case roleClient:
		return core.RoleClient
	}
	return core.RoleUnknown
}

// deliver hands on what was gathered.
func (p *intake) deliver() {
	p.Deliver()
	if p.Folded > 0 {
		p.sink.Samples([]core.Sample{{Desc: &routesFolded, Value: float64(p.Folded)}})
		p.Folded = 0
	}
}
