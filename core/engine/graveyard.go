package engine

import (
	"time"

	"vitals/core"
)

// graveyard remembers processes that ended a moment ago.
type graveyard struct {
	byKey map[core.ProcKey]*process
	order []grave
}

type grave struct {
	key core.ProcKey
	at  int64
}

// Limits of the graveyard: late records come within a second or so.
const (
	graveFor  = int64(30 * time.Second)
	maxGraves = 4096
)

func (g *graveyard) put(p *process, at int64) {
	g.byKey[p.ProcKey] = p
	g.order = append(g.order, grave{p.ProcKey, at})
	if len(g.order) > maxGraves {
		delete(g.byKey, g.order[0].key)
		g.order = g.order[1:]
	}
}

func (g *graveyard) take(k core.ProcKey) *process {
	p := g.byKey[k]
	delete(g.byKey, k)
	return p
}

func (g *graveyard) expire(now int64) {
	n := 0
	for n < len(g.order) && now-g.order[n].at > graveFor {
		delete(g.byKey, g.order[n].key)
		n++
	}
	if n > 0 {
		g.order = append(g.order[:0], g.order[n:]...)
	}
}
