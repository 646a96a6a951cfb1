package requests

import (
	"errors"
	"time"

	"vitals/core"
)

// How long the kernel keeps the troubles of a process that has no new ones, and
// how many processes make it forget them at once: there is room for 8192.
const (
	keepTroubles = time.Minute
	manyTroubles = 4096
)

// known is what was told of a process' troubles, and since when nothing was new.
type known struct {
	requestsTrouble
	at time.Time
}

// byProcess tells what is new of the troubles of each process. The kernel goes on
// counting meanwhile in what it has found in its map: only what has long stood
// still may be taken away.
func (s *sweeper) byProcess() {
	var key requestsProcess
	var v requestsTrouble
	var old []requestsProcess
	now := time.Now()
	for it := s.side.troubles.Iterate(); it.Next(&key, &v); {
		was, ok := s.known[key]
		switch {
		case !ok || v != was.requestsTrouble:
			s.trouble(key, v)
			s.known[key] = known{v, now}
		case now.Sub(was.at) > keepTroubles || len(s.known) > manyTroubles:
			old = append(old, key)
		}
	}
	for _, key := range old {
		// Together where the kernel can (5.14).
		if s.side.troubles.LookupAndDelete(key, &v) == nil || errors.Join(s.side.troubles.Lookup(key, &v), s.side.troubles.Delete(key)) == nil {
			s.trouble(key, v)
		}
		delete(s.known, key)
	}
}

// trouble tells what is new in v.
func (s *sweeper) trouble(key requestsProcess, v requestsTrouble) {
	was := s.known[key]
	proc := core.ProcKey{PID: int32(key.Tgid), Birth: key.Birth}
	if v.Chunks > was.Chunks {
		s.pair.Lossy(proc)
	}
	if v == was.requestsTrouble {
		return
	}
	c := s.pair.Coverage(proc)
	c.Exchanges += v.Lost - was.Lost
	c.Lost += v.Lost - was.Lost
	c.Unpaired += v.Unpaired - was.Unpaired
}
