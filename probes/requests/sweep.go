package requests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"vitals/core"
	"vitals/probes/kern"
)

const (
	sweepEvery = 250 * time.Millisecond
	// quietReads are as many reads without a record as make silence; in silence
	// the kernel wakes the reader, which looks by itself no more often than this.
	quietReads = 3
	longWait   = 10 * time.Second
)

// sweeper looks at all sockets now and then, only while there is something to
// see: the kernel ships responses that nothing has followed, and lists what is
// open. It also fetches what the kernel could not ship.
type sweeper struct {
	*probe
	att  *kern.Attachment
	pair *intake
	next time.Time
	open bool // the last sweep saw something open
	buf  []byte

	answering map[uint64]bool // sockets with an early record, still answering
	inFlight  map[flightKey]*core.InFlight
	list      []core.InFlight

	quiet int // reads without a record in a row

	lost, chunks, amendments, unpaired, contended, lateEnds uint64 // kernel counters at the last look

	known map[requestsProcess]known // the same of processes
}

type flightKey struct {
	proc core.ProcKey
	role core.Role
}

func newSweeper(p *probe, att *kern.Attachment, pair *intake) *sweeper {
	return &sweeper{probe: p, att: att, pair: pair, buf: make([]byte, kern.IterBuffer),
		answering: make(map[uint64]bool), inFlight: make(map[flightKey]*core.InFlight), known: make(map[requestsProcess]known)}
}

// due sweeps when it is time to.
func (s *sweeper) due(now time.Time) error {
	if now.Before(s.next) {
		return nil
	}
	s.next = now.Add(sweepEvery)
	s.troubles()
	if err := s.late(); err != nil {
		return nil // the end: Read tells it again
	}
	var dirty uint32
	if err := s.side.dirty.Get(&dirty); err != nil {
		return fmt.Errorf("look for open exchanges: %w", err)
	}
	if dirty == 0 && !s.open && !s.pair.Held() && !s.pair.Waits() {
		return nil
	}
	if err := s.side.dirty.Set(uint32(0)); err != nil {
		return fmt.Errorf("look for open exchanges: %w", err)
	}
	return s.look()
}

// rest says how long to wait for the next record, after a read of n. When
// nothing is going on the kernel is asked to tell of the first thing that does.
func (s *sweeper) rest(n int) (time.Duration, error) {
	var dirty, sleeping uint32
	if err := errors.Join(s.side.dirty.Get(&dirty), s.side.sleeping.Get(&sleeping)); err != nil {
		return 0, fmt.Errorf("look whether there is anything to do: %w", err)
	}
	if n > 0 || dirty != 0 || s.open || s.pair.Held() || s.pair.Waits() {
		s.quiet = 0
	}
	s.quiet++
	switch {
	case s.quiet < quietReads:
		return readWait, nil
	case s.quiet > quietReads && sleeping != 0:
		// It has been asked for a while: no program is running that has not seen it.
		return longWait, nil
	}
	if err := s.side.sleeping.Set(uint32(1)); err != nil {
		return 0, fmt.Errorf("ask to be woken: %w", err)
	}
	return readWait, nil
}

func (s *sweeper) look() error {
	clear(s.answering)
	clear(s.inFlight)
	s.open = false
	if err := kern.ReadIter(s.probe.sweep, s.buf, s.see); err != nil {
		select {
		case <-s.att.Stopping():
			return nil
		default:
			return fmt.Errorf("sweep sockets: %w", err)
		}
	}
	// What the sweep shipped comes before what it releases.
	if err := s.ring.Drain(s.pair.take); err != nil {
		return nil // the end: Read tells it again
	}
	s.pair.Release(s.answering)
	s.pair.Waiting(s.fly)
	had := len(s.list) > 0
	s.list = s.list[:0]
	for _, f := range s.inFlight {
		s.list = append(s.list, *f)
	}
	if had || len(s.list) > 0 {
		s.env.Sink.InFlight(s.list)
	}
	return nil
}

// last takes in what nothing will follow any more: responses of connections that
// are open and idle, and what was lost until now.
func (s *sweeper) last() error {
	if s.side.final.Set(uint32(1)) == nil {
		kern.ReadIter(s.probe.sweep, s.buf, s.see) // a closed iterator has nothing to tell
	}
	err := s.ring.Drain(s.pair.take)
	s.troubles()
	if err == nil {
		err = s.late()
	}
	s.pair.Release(nil)
	s.pair.deliver()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// settle takes in what is there now, as if nothing followed, and goes on.
func (s *sweeper) settle() {
	s.last() // an error comes back at the next read
	s.side.final.Set(uint32(0))
}

func (s *sweeper) see(o *requestsOpen) {
	s.open = true
	if o.State != stateRequest {
		if o.Shipped != 0 {
			s.answering[o.Cookie] = true
		}
		return
	}
	if s.pair.Recognised(o.Cookie) || begins(o.Head) {
		s.fly(core.ProcKey{PID: int32(o.Tgid), Birth: o.Birth}, roleOf(o.Role), 1, int64(o.Start))
	}
}

// fly adds requests that have begun and not ended.
func (s *sweeper) fly(proc core.ProcKey, role core.Role, n int, oldest int64) {
	key := flightKey{proc, role}
	f := s.inFlight[key]
	if f == nil {
		f = &core.InFlight{Proc: proc, Role: role, Oldest: oldest}
		s.inFlight[key] = f
	}
	f.Count += n
	f.Oldest = min(f.Oldest, oldest)
}

// begins reports whether an unfinished exchange begins as HTTP does: enough for
// one on a connection that nobody has read yet.
func begins(word [4]int8) bool {
	switch [4]byte{byte(word[0]), byte(word[1]), byte(word[2]), byte(word[3])} {
	case [4]byte([]byte("GET ")), [4]byte([]byte("POST")), [4]byte([]byte("HEAD")), [4]byte([]byte("PUT ")),
		[4]byte([]byte("DELE")), [4]byte([]byte("PATC")), [4]byte([]byte("OPTI")), [4]byte([]byte("CONN")):
		return true
	}
	return false
}

// troubles fetches what was lost and what had no request.
func (s *sweeper) troubles() {
	var contended uint64
	if s.side.contended.Get(&contended) == nil {
		s.env.Lost("kernel", "contended", contended-s.contended)
		s.contended = contended
	}
	var lost, chunks, amendments, unpaired uint64
	if s.side.lostExchanges.Get(&lost) != nil || s.side.lostChunks.Get(&chunks) != nil || s.side.lostAmendments.Get(&amendments) != nil || s.side.unpaired.Get(&unpaired) != nil {
		return
	}
	if lost == s.lost && chunks == s.chunks && unpaired == s.unpaired && amendments == s.amendments {
		return
	}
	s.env.Lost("ring", Kind, lost-s.lost)
	s.env.Lost("ring", "transfers", chunks-s.chunks)
	if n := amendments - s.amendments; n > 0 {
		s.env.Sink.Samples([]core.Sample{{Desc: &amendmentsLost, Value: float64(n)}})
	}
	s.lost, s.chunks, s.amendments, s.unpaired = lost, chunks, amendments, unpaired
	s.byProcess()
}

// late takes the ends of connections that did not fit into the ring, after
// everything that did. Its error is that of the ring.
func (s *sweeper) late() error {
	var n uint64
	if s.side.lateEnds.Get(&n) != nil || n == s.lateEnds {
		return nil
	}
	s.lateEnds = n
	var cookie uint64
	var record []byte
	ends := make(map[uint64][]byte)
	for it := s.side.endings.Iterate(); it.Next(&cookie, &record); {
		ends[cookie] = bytes.Clone(record)
	}
	// Only now is all in the ring that came before these.
	if err := s.ring.Drain(s.pair.take); err != nil {
		return err
	}
	for cookie, record := range ends {
		s.side.endings.Delete(cookie) // it is there: only this takes any away
		s.pair.take(record)
	}
	return nil
}
