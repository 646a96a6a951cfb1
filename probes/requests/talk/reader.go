package talk

import (
	"vitals/core"
	"vitals/core/wire"
)

// Limits of what is remembered.
const (
	maxNames = 12288
	maxHeld  = 4096
	maxSpare = 1024
	// Sockets of datagrams end untold: those that are silent for so long, in
	// nanoseconds, are over, and what they asked was not answered in time.
	maxSilence   = int64(20e9)
	maxDatagrams = 4096
	// ageNames is how long, in nanoseconds, there is no room for new names when
	// there are too many: one process that makes them up does not take those of
	// others away for good.
	ageNames = int64(60e9)
	maxBatch = 1024
	maxLossy = 4096 // processes
	lostHead = 32   // bytes of each of the lost transfers that an end tells of
)

// Tuner tells the kernel how to hand connections over. It is called by the
// goroutine that calls Take, rarely.
type Tuner interface {
	// Connection sets how one socket is captured from now on, and its role in case
	// that the kernel does not know it.
	Connection(cookie uint64, role core.Role, how Capture)
	// Endpoint does it for the connections to come at a place.
	Endpoint(at Endpoint, how Capture)
}

// Capture is what a protocol needs of the kernel.
type Capture struct {
	Stream bool // each transfer, else each exchange
	Head   int  // bytes of each transfer that are worth capturing, 0 for the least
	Mute   bool // nothing at all: it is read elsewhere
}

func captureFor(p *wire.Protocol) Capture {
	return Capture{Stream: p.Stream || p.Datagram, Head: p.Head}
}

// Reader turns the records of the kernel into requests: it finds out what each
// connection speaks, lets the parser of that read it, and counts what nobody can
// read. It belongs to one goroutine and allocates only for what is new.
type Reader struct {
	sink  core.Sink
	table *table
	// datagrams are sockets of which nobody tells the end.
	datagrams *table
	judge     *judge
	names     *wire.Names
	peers     *peers
	pairs     map[endsKey]*both
	tune      Tuner
	tally

	held      map[*connection]struct{} // with a record that may be amended
	streaming map[*connection]struct{} // read transfer by transfer
	undecided map[*connection]struct{} // with records that wait for a decision
	now, aged int64                    // CLOCK_MONOTONIC as far as known; when names were aged
	asking    int                      // datagram sockets that wait for an answer, as of the last Waiting
	stirred   bool                     // something moved among streaming
	lossy     map[core.ProcKey]int64   // processes of which transfers were lost, and when that was noticed
	forgot    bool                     // there was no room for a connection
	late      map[*connection]struct{} // with answers that wait for their requests
	spare     []*kept
	// TLS says that what is read was encrypted; set it before the first record.
	TLS bool
	// Secret tells whether the plain text of a process' TLS is read elsewhere, and
	// if not, why. Nil means that it is not. Set it before the first record.
	Secret func(core.ProcKey) (readable bool, why string)
	// Program gives the base name of a process' executable, "" unknown: it speaks
	// for protocols. Nil for not at all. Set it before the first record.
	Program func(core.ProcKey) string
	// Clock is CLOCK_MONOTONIC in nanoseconds; nil leaves it to the records to say
	// what time it is. Set it before the first record.
	Clock func() int64
	// Folded is how many names were counted as other, the caller may reset it.
	Folded   uint64
	turn     wire.Span // the one that is fed
	out      wire.Out
	told     uint64 // of the record so far: what the parser told
	read     int64  // and the bytes that it understood
	unpaired int    // answers without a request
	holes    int64  // signs that something was not captured
}

// New makes a reader of the given protocols. tune may be nil.
func New(sink core.Sink, list []*wire.Protocol, tune Tuner) *Reader {
	p := &Reader{
		sink:      sink,
		judge:     newJudge(list),
		names:     wire.NewNames(maxNames, func(s string) string { return core.Clean(s, core.MaxRoute) }),
		pairs:     make(map[endsKey]*both),
		tune:      tune,
		tally:     newTally(sink),
		held:      make(map[*connection]struct{}),
		streaming: make(map[*connection]struct{}),
		undecided: make(map[*connection]struct{}),
		late:      make(map[*connection]struct{}),
		lossy:     make(map[core.ProcKey]int64),
	}
	p.peers = newPeers(p.names)
	p.table = newTable(maxConns, p.evicted)
	p.datagrams = newTable(maxDatagrams, p.evicted)
	return p
}

// Take handles one record.
func (p *Reader) Take(r *Record) {
	p.now = max(p.now, r.Start, r.Last)
	c := p.tableOf(r.datagram()).get(r.Cookie)
	if r.Kind == End {
		if c != nil {
			p.end(c, r)
		} else if len(r.Request) > 0 {
			p.ended(r)
		}
		return
	}
	if c == nil {
		c = p.begin(r)
	} else {
		if c.held != nil && p.amended(c, r) || !p.inOrder(c, r) {
			return
		}
		c.proc = r.Proc
		if c.role != core.RoleUnknown {
			r.Role = c.role
		}
	}
	if r.Flags&Early != 0 && p.hold(c, r) {
		return
	}
	if p.delay(c, r) {
		return
	}
	p.understand(c, r)
	if c.delayed != nil {
		p.catchUp(c)
	}
	if r.Flags&(Closed|Ends) != 0 {
		p.giveUp(c)
		p.forget(c)
	}
}

func (p *Reader) tableOf(datagram bool) *table {
	if datagram {
		return p.datagrams
	}
	return p.table
}

// begin remembers a connection at its first record.
func (p *Reader) begin(r *Record) *connection {
	c := p.tableOf(r.datagram()).add(r.Cookie)
	c.proc, c.role, c.seq, c.datagram = r.Proc, r.Role, r.Seq, r.datagram()
	c.nameless = r.Role == core.RoleUnknown
	if r.Kind == Transfer && !c.nameless && r.Flags&Greeting == 0 { // by what is known of the place, or seen by the kernel
		c.captured = Capture{Stream: true}
		if known := p.judge.lessons[r.endpoint()]; known.how.Stream {
			c.captured = known.how
		}
	}
	c.joined = r.Flags&Joined != 0 || r.Seq > 1
	// One that was forgotten may have been counted; no others begin with a hole.
	c.missed = r.Flags&Joined == 0 && r.Seq > 1 && !p.forgot && r.Family != FamilyUnix
	p.meet(c, r)
	t := p.of(c.proc)
	t.Connections++
	if c.joined {
		t.Joined++
	}
	return c
}

// inOrder notes the sequence of a record: what was told already counts nothing,
// and what is missing is told to the parser.
func (p *Reader) inOrder(c *connection, r *Record) bool {
	if r.Seq == 0 {
		return true
	}
	ahead := int32(r.Seq - c.seq)
	if ahead <= 0 {
		return false
	}
	c.seq = r.Seq
	if ahead > 1 || r.Flags&Joined != 0 {
		p.gap(c, r)
	}
	return true
}

// gap tells the parser that records are missing before r.
func (p *Reader) gap(c *connection, r *Record) {
	p.of(r.Proc).Gaps++
	if c.conn == nil {
		r.Flags |= afterGap // for the parser to come
		return
	}
	p.hole(c, r)
}

// hole tells the parser what gap has found.
func (p *Reader) hole(c *connection, r *Record) {
	r.Flags &^= afterGap
	c.conn.Gap(&p.out)
	p.harvest(c, r)
	if again, ok := c.conn.(wire.Rejoiner); ok && r.Flags&Joined != 0 {
		again.Rejoin()
	}
}

// understand hands a record to the parser of its connection, or finds one.
func (p *Reader) understand(c *connection, r *Record) {
	if c.elsewhere {
		return
	}
	c.last = p.now
	t := p.of(r.Proc)
	t.BytesIn += r.In
	t.BytesOut += r.Out
	switch {
	case c.conn != nil:
		p.feed(c, r)
	case c.blind != "":
		p.generic(c, r)
	default:
		p.wonder(c, r)
	}
}

// keep copies a record into memory that is used again.
func (p *Reader) keep(r *Record) *kept {
	var k *kept
	if n := len(p.spare); n > 0 {
		k, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		k = &kept{}
	}
	k.keep(r)
	return k
}

// lay puts the memory of a kept record aside.
func (p *Reader) lay(k *kept) {
	if len(p.spare) < maxSpare && cap(k.bytes) <= 4096 {
		p.spare = append(p.spare, k)
	}
}

// end is the end of a connection.
func (p *Reader) end(c *connection, r *Record) {
	p.release1(c)
	p.catchUp(c)
	p.giveUp(c)
	if int32(r.Seq-c.seq) > 0 && r.Seq != 0 {
		p.gap(c, r)
	}
	if w, ok := c.conn.(wire.Witness); ok {
		for heads := r.Request; len(heads) >= lostHead; heads = heads[lostHead:] {
			w.Lost(heads[:lostHead])
		}
	}
	if c.conn != nil {
		c.conn.End(r.Last, reason(r.Flags), &p.out)
		p.harvest(c, r)
	} else {
		p.finish(c)
	}
	p.forget(c)
}

// ended is the end of a connection of which nothing else was heard. What is spoken
// at its place may tell what was missed.
func (p *Reader) ended(r *Record) {
	known, ok := p.judge.lessons[r.endpoint()]
	if !ok || r.datagram() {
		return
	}
	c := p.begin(r)
	c.proto = p.judge.list[known.proto]
	c.conn = c.proto.New(wire.Options{Names: p.names, Joined: true, Missed: c.missed, Port: r.serverPort()})
	p.gap(c, r)
	c.seq = r.Seq
	p.end(c, r)
}

// evicted lets go of a connection that there is no room for.
func (p *Reader) evicted(c *connection) {
	p.release1(c)
	p.catchUp(c)
	p.giveUp(c)
	r := Record{Cookie: c.cookie, Proc: c.proc, Role: c.role}
	if c.conn != nil {
		c.conn.Gap(&p.out)
		p.harvest(c, &r)
	} else {
		p.finish(c)
	}
	p.leave(c)
	p.forgot = p.forgot || !c.datagram
}

func (p *Reader) forget(c *connection) {
	p.leave(c)
	p.tableOf(c.datagram).drop(c)
}

// leave takes a connection out of everything but the table.
func (p *Reader) leave(c *connection) {
	p.ignore(c)
	delete(p.undecided, c)
	delete(p.held, c)
	delete(p.late, c)
	p.part(c)
}

func reason(flags uint16) string {
	switch {
	case flags&Timeout != 0:
		return "timeout"
	case flags&Reset != 0:
		return "reset"
	}
	return "cancelled"
}

// Held tells whether something waits that time alone will settle: records that
// may be amended, undecided connections, unread exchanges.
func (p *Reader) Held() bool { return len(p.held)+len(p.undecided)+len(p.late)+p.asking > 0 }

// Waiting tells of requests that wait for their answers on connections that are
// read transfer by transfer: the kernel does not know of those.
func (p *Reader) Waiting(each func(proc core.ProcKey, role core.Role, n int, oldest int64)) {
	p.stirred = false
	p.asking = 0
	for c := range p.streaming {
		if n, oldest := c.conn.Waiting(); n > 0 {
			if c.datagram {
				p.asking++
			}
			each(c.proc, c.role, n, oldest)
		}
	}
}

// Waits tells whether Waiting has anything new to tell.
func (p *Reader) Waits() bool { return p.stirred }

// Recognised tells whether somebody reads the connection of a socket.
func (p *Reader) Recognised(cookie uint64) bool {
	c := p.table.byCookie[cookie]
	return c != nil && c.conn != nil
}

// Deliver hands everything to the sink. Call it after each batch of records.
func (p *Reader) Deliver() {
	p.deliver()
	if p.names.Folded == 0 {
		return
	}
	p.Folded += p.names.Folded
	p.names.Folded = 0
	if p.now-p.aged > ageNames {
		p.aged = p.now
		p.names.Age()
	}
}

// Coverage gives the completeness figures of a process in the batch that is
// gathered, to add to. It is valid until the next call.
func (p *Reader) Coverage(proc core.ProcKey) *core.Coverage { return p.of(proc) }
