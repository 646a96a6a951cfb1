package gateway

import (
	"container/heap"
	"time"
)

// expiry is the groups that have an end, the earliest first.
type expiry []*group

func (e expiry) Len() int           { return len(e) }
func (e expiry) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }
func (e expiry) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].slot, e[j].slot = i, j
}

func (e *expiry) Push(x any) {
	g := x.(*group)
	g.slot = len(*e)
	*e = append(*e, g)
}

func (e *expiry) Pop() any {
	old := *e
	g := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	g.slot = -1
	return g
}

// expireAt sets when g ends; zero means never.
func (s *state) expireAt(g *group, at time.Time) {
	g.expires = at
	switch {
	case at.IsZero() && g.slot >= 0:
		heap.Remove(&s.expiry, g.slot)
	case at.IsZero():
	case g.slot >= 0:
		heap.Fix(&s.expiry, g.slot)
	default:
		heap.Push(&s.expiry, g)
	}
}

// tombstone is what is left of a group that expired.
type tombstone struct {
	id  string
	key Key
	at  time.Time
}

// maxTombs bounds the tombstones; the oldest go first.
const maxTombs = 1000

func (s *state) bury(g *group, now time.Time) {
	s.expired++
	s.unbury(g.id)
	s.tombs = append(s.tombs, tombstone{g.id, g.key, now})
	if len(s.tombs) > maxTombs {
		s.tombs = append(s.tombs[:0:0], s.tombs[1:]...)
	}
}

// unbury forgets the tombstone of a group that came back or was deleted.
func (s *state) unbury(id string) {
	for i, t := range s.tombs {
		if t.id == id {
			s.tombs = append(append(s.tombs[:0:0], s.tombs[:i]...), s.tombs[i+1:]...)
			return
		}
	}
}
