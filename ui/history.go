package ui

import (
	"cmp"
	"time"
	"unsafe"

	"vitals/core"
)

const (
	maxLooks    = 300
	maxPast     = 16 << 20 // bytes that past looks keep alive, estimated
	lookSpacing = 900 * time.Millisecond
)

// history keeps the last looks, to rewind to. Rows that did not change are
// shared between looks; what a look adds is estimated, and the oldest looks go
// when their sum is too much.
type history struct {
	looks []past
	bytes int
	most  int // number of looks; 0 means maxLooks
}

type past struct {
	snap  *core.Snapshot
	bytes int // what this look keeps alive that the one before did not
}

// add keeps a look. Looks that follow each other closely replace each other.
func (h *history) add(s *core.Snapshot) {
	if n := len(h.looks); n > 1 {
		// A clock that was set back makes a new look, not a standstill.
		if d := s.At.Sub(h.looks[n-2].snap.At); d >= 0 && d < lookSpacing {
			h.bytes -= h.looks[n-1].bytes
			h.looks = h.looks[:n-1]
		}
	}
	var before *core.Snapshot
	if n := len(h.looks); n > 0 {
		before = h.looks[n-1].snap
	}
	// Events of the past are the older ones of the newest look.
	kept := *s
	kept.Events = nil
	p := past{&kept, added(before, s)}
	h.looks = append(h.looks, p)
	h.bytes += p.bytes
	drop, most := 0, cmp.Or(h.most, maxLooks)
	for len(h.looks)-drop > 1 && (len(h.looks)-drop > most || h.bytes > maxPast) {
		h.bytes -= h.looks[drop].bytes
		drop++
	}
	if drop > 0 {
		n := copy(h.looks, h.looks[drop:])
		clear(h.looks[n:])
		h.looks = h.looks[:n]
	}
}

// at is the look n steps before the newest, as far back as there are looks.
func (h *history) at(n int) *core.Snapshot {
	if len(h.looks) == 0 {
		return nil
	}
	return h.looks[max(len(h.looks)-1-n, 0)].snap
}

// steps is how many steps before the newest the look of a moment is.
func (h *history) steps(at time.Time) int {
	i := len(h.looks) - 1
	for i > 0 && h.looks[i].snap.At.After(at) {
		i--
	}
	return len(h.looks) - 1 - i
}

// added estimates the memory of rows in s that were not in before.
func added(before, s *core.Snapshot) int {
	if before == nil {
		before = &core.Snapshot{}
	}
	const perRow = 400 // strings and trends, on average
	n := int(unsafe.Sizeof(*s))
	n += 8 * (len(s.Processes) + len(s.Requests) + len(s.Services))
	n += fresh(before.Processes, s.Processes) * (int(unsafe.Sizeof(core.ProcessRow{})) + perRow)
	n += fresh(before.Services, s.Services) * (int(unsafe.Sizeof(core.ServiceRow{})) + 3*perRow)
	for i, r := range s.Requests {
		if i >= len(before.Requests) || before.Requests[i] != r {
			n += int(unsafe.Sizeof(*r)) + 8*(buckets(r.Duration)+buckets(r.FirstByte))
		}
	}
	return n
}

func fresh[T any](before, now []*T) (n int) {
	j := 0
	for _, r := range now {
		// Both are sorted the same way: a row that stayed is found by walking on.
		k := j
		for k < len(before) && k < j+64 && before[k] != r {
			k++
		}
		if k < len(before) && before[k] == r {
			j = k + 1
		} else {
			n++
		}
	}
	return n
}

func buckets(d *core.Distribution) int {
	if d == nil {
		return 0
	}
	return len(d.Buckets) + 12
}
