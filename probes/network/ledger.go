package network

import (
	"math"

	"vitals/core"
	"vitals/probes/kern"
)

// forgetAfter is how many looks in a row a process has held no socket and moved
// nothing before its row is given up.
const forgetAfter = 5

// ledger turns the kernel's rows into samples. It remembers what was told of
// each process, so that counters are increments and levels that end are told
// to have ended.
type ledger struct {
	chosen  *kern.Chosen
	states  [numStates]string
	known   map[core.ProcKey]*account
	samples []core.Sample
	parent  func(core.ProcKey) (core.ProcKey, bool)
}

type account struct {
	sent, received, retransmits uint64
	look                        uint32
	idle                        int // looks without sockets and without change
	told                        bool
	connections                 [numStates]uint32
	rtt, listening              bool
	parent                      core.ProcKey
	forked                      bool
}

func newLedger(chosen *kern.Chosen) *ledger {
	l := &ledger{chosen: chosen, states: stateLabels(), known: map[core.ProcKey]*account{}}
	l.parent = func(key core.ProcKey) (core.ProcKey, bool) {
		a := l.known[key]
		if a == nil || !a.forked {
			return core.ProcKey{}, false
		}
		return a.parent, true
	}
	return l
}

func procKey(k networkProcKey) core.ProcKey {
	return core.ProcKey{PID: int32(k.Pid), Birth: k.Birth}
}

// take takes the row of a process as the look of that number left it, and
// reports whether the row has been idle for so long that it can be given up.
func (l *ledger) take(key core.ProcKey, r *networkRow, look uint32) (forget bool) {
	a := l.known[key]
	if a == nil {
		a = &account{}
		l.known[key] = a
	}
	held := r.Look == look
	sent, received, retransmits := r.Sent-a.sent, r.Received-a.received, r.Retransmits-a.retransmits
	a.sent, a.received, a.retransmits = r.Sent, r.Received, r.Retransmits
	a.parent, a.forked = procKey(r.Parent), r.Forked != 0
	if held || sent|received|retransmits != 0 {
		a.idle = 0
	} else {
		a.idle++
	}
	if l.chosen.On(key, l.parent) {
		first := !a.told
		a.told = true
		l.count(key, descIO, "transmit", sent, first)
		l.count(key, descIO, "receive", received, first)
		l.count(key, descRetransmits, "", retransmits, first)
		l.levels(key, a, r, held)
	} else {
		*a = account{sent: a.sent, received: a.received, retransmits: a.retransmits, idle: a.idle, parent: a.parent, forked: a.forked}
	}
	if a.idle < forgetAfter {
		return false
	}
	delete(l.known, key)
	return true
}

// count tells an increment; a counter that nobody has seen yet is told at zero too.
func (l *ledger) count(key core.ProcKey, d *core.Desc, label string, n uint64, first bool) {
	if n > 0 || first {
		l.samples = append(l.samples, core.Sample{Proc: key, Desc: d, Label: label, Value: float64(n)})
	}
}

// levels tells those levels that there are, and once the end of those that there
// were: zero connections, but an unknown round-trip time.
func (l *ledger) levels(key core.ProcKey, a *account, r *networkRow, held bool) {
	var none networkRow
	if !held {
		r = &none
	}
	for state, n := range r.States {
		if (n > 0 || a.connections[state] > 0) && l.states[state] != "" {
			l.level(key, descConnections, l.states[state], float64(n))
		}
		a.connections[state] = n
	}
	if rtt := r.RttWeight > 0; rtt || a.rtt {
		l.level(key, descRTT, "", ratio(r.RttSum, r.RttWeight)/1e6)
		a.rtt = rtt
	}
	if listening := r.States[stateListen] > 0; listening || a.listening {
		length, limit := math.NaN(), math.NaN()
		if listening {
			length, limit = float64(r.AcceptLength), float64(r.AcceptLimit)
		}
		l.level(key, descAcceptLength, "", length)
		l.level(key, descAcceptLimit, "", limit)
		a.listening = listening
	}
}

const stateListen = 10

func (l *ledger) level(key core.ProcKey, d *core.Desc, label string, v float64) {
	l.samples = append(l.samples, core.Sample{Proc: key, Desc: d, Label: label, Value: v})
}

// ratio is unknown, not zero, when nothing was counted.
func ratio(sum, n uint64) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(sum) / float64(n)
}

// drain returns the samples so far; they are valid until the next take.
func (l *ledger) drain() []core.Sample {
	list := l.samples
	l.samples = l.samples[:0]
	return list
}
