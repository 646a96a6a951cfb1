package network

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"vitals/core"
	"vitals/probes/kern"
)

// says gives samples in a form that can be compared.
func says(list []core.Sample) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%s{%s} %v", s.Desc.Short, s.Label, s.Value))
	}
	return strings.Join(out, ", ")
}

func TestLedger(t *testing.T) {
	var chosen kern.Chosen
	chosen.Apply(core.Selection{Default: true})
	l := newLedger(&chosen)
	key := core.ProcKey{PID: 7, Birth: 1}
	var states, listening networkRow
	states.States[1] = 2
	listening.States[stateListen] = 1
	row := func(levels networkRow, look uint32, sent, received uint64) *networkRow {
		levels.Look, levels.Sent, levels.Received = look, sent, received
		return &levels
	}
	withRTT := states
	withRTT.RttSum, withRTT.RttWeight = 3000, 2
	queue := listening
	queue.AcceptLength, queue.AcceptLimit = 3, 128

	for i, c := range []struct {
		row  *networkRow
		want string
	}{
		{row(withRTT, 1, 10, 0), "NET{transmit} 10, NET{receive} 0, RETR{} 0, CONNS{established} 2, RTT{} 0.0015"},
		{row(withRTT, 2, 10, 5), "NET{receive} 5, CONNS{established} 2, RTT{} 0.0015"},
		{row(states, 3, 10, 5), "CONNS{established} 2, RTT{} NaN"},
		{row(queue, 4, 10, 5), "CONNS{established} 0, CONNS{listen} 1, ACCQ{} 3, ACCMAX{} 128"},
		{row(queue, 4, 12, 5), "NET{transmit} 2, CONNS{listen} 0, ACCQ{} NaN, ACCMAX{} NaN"}, // not held any more
		{row(queue, 4, 12, 5), ""},
	} {
		if l.take(key, c.row, uint32(i+1)) {
			t.Fatalf("look %d: forgotten", i+1)
		}
		if got := says(l.drain()); got != c.want {
			t.Errorf("look %d: %s\nwant %s", i+1, got, c.want)
		}
	}
}

func TestLedgerForgetsWhoIsGone(t *testing.T) {
	var chosen kern.Chosen
	l := newLedger(&chosen)
	key := core.ProcKey{PID: 7, Birth: 1}
	r := &networkRow{Sent: 5, Look: 1}
	looks := uint32(1)
	for ; !l.take(key, r, looks); looks++ {
		if looks > 100 {
			t.Fatal("never forgotten")
		}
	}
	if looks != 1+forgetAfter || len(l.known) != 0 {
		t.Errorf("forgotten at look %d, %d are known", looks, len(l.known))
	}
}

// A child that has not made itself another program follows its parent.
func TestLedgerInherits(t *testing.T) {
	var chosen kern.Chosen
	l := newLedger(&chosen)
	child := core.ProcKey{PID: 8, Birth: 2}
	chosen.Apply(core.Selection{Set: map[core.ProcKey]bool{{PID: 7, Birth: 1}: true}})
	r := &networkRow{Look: 1, Sent: 4, Forked: 1, Parent: networkProcKey{Pid: 7, Birth: 1}}
	l.take(child, r, 1)
	if n := len(l.drain()); n == 0 {
		t.Error("the child of a chosen process says nothing")
	}
	r.Forked, r.Sent = 0, 9
	l.take(child, r, 1)
	if list := l.drain(); len(list) != 0 {
		t.Errorf("after its exec it still says %s", says(list))
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	if !math.IsNaN(ratio(0, 0)) || ratio(3, 2) != 1.5 {
		t.Error("a mean of nothing is unknown")
	}
}

func TestTakingDoesNotAllocate(t *testing.T) {
	var chosen kern.Chosen
	chosen.Apply(core.Selection{Default: true})
	l := newLedger(&chosen)
	key, r := core.ProcKey{PID: 1, Birth: 2}, networkRow{}
	if n := testing.AllocsPerRun(100, func() {
		r.Sent++
		l.take(key, &r, r.Look)
		l.drain()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
