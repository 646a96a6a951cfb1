// Package network tells how every process does over TCP: bytes, connections,
// round-trip times, retransmits, accept queues. Nothing is hooked per packet:
// the kernel keeps these figures in each socket, a pass over all open files
// reads them every other second, in all network namespaces, and two hooks per
// connection take the last figures of those that end in between.
package network

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vitals/core"
	"vitals/probes/kern"
)

// Kind is the kind of instrumentation.
const Kind = "network"

// soon after a choice the next look shows it: a toggle is answered within a second.
const soon = 250 * time.Millisecond

// chunk is how many rows are read at once.
const chunk = 1024

// settings are what tests turn.
type settings struct {
	pace kern.Pace
	rows uint32 // how many processes fit; 0: as compiled
}

// defaults: nobody needs looks more often than pictures are made, and with so many
// open files that looking would take more than its share of one core they become
// rarer.
func defaults(tick time.Duration) settings {
	return settings{pace: kern.Pace{Every: max(2*time.Second, tick), Share: 0.01}}
}

// Needs is what the probe cannot do without. Storage of sockets came to tracing
// programs with 5.11.
func Needs() kern.Needs {
	return kern.Needs{
		Since:       kern.Version{Major: 5, Minor: 11},
		Tracepoints: []string{"inet_sock_set_state", "tcp_destroy_sock"},
		Iterators:   []string{"task_file"},
		Helpers:     []string{"sock_from_file", "skc_to_tcp_sock"},
	}
}

// Spec makes the probe's recipe. Samples go to env.Sink.
func Spec(env kern.Env) core.Spec { return spec(env, defaults(env.Tick)) }

func spec(env kern.Env, with settings) core.Spec {
	return core.Spec{
		ID:          "instrumentation/" + Kind,
		Class:       core.ClassInstrumentation,
		Kind:        Kind,
		Title:       "Network",
		Help:        "TCP bytes, connections, round-trip times, retransmits and accept queues; nothing per packet, one look at the open files every other second",
		Fingerprint: Kind,
		Default:     true,
		PerProcess:  true,
		Make:        func() (core.Unit, error) { return newUnit(env, with), nil },
	}
}

// unit is one attachment. Serve alone touches what is below chosen.
type unit struct {
	env    kern.Env
	with   settings
	at     *kern.Attachment
	chosen kern.Chosen
	chose  chan struct{} // somebody chose since Serve looked here

	ledger  *ledger
	objects networkObjects
	iter    *link.Iter
	lost    *kern.Count
	look    uint32
	keys    []networkProcKey
	values  []networkRow
	gone    []networkProcKey
}

func newUnit(env kern.Env, with settings) *unit {
	u := &unit{
		env: env, with: with, chose: make(chan struct{}, 1), at: kern.NewAttachment("instrumentation/"+Kind, &env),
		keys: make([]networkProcKey, chunk), values: make([]networkRow, chunk),
	}
	u.ledger = newLedger(&u.chosen)
	return u
}

// Attach implements core.Unit. When it returns, what every existing connection
// had moved before is known, and is not counted.
func (u *unit) Attach(ctx context.Context) (_ core.Parts, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, u.at.Close(ctx))
		}
	}()
	if err := u.at.Require(Needs()); err != nil {
		return nil, err
	}
	spec, err := loadNetwork()
	if err != nil {
		return nil, err
	}
	if u.with.rows != 0 {
		spec.Maps[networkMapRows].MaxEntries = u.with.rows
	}
	if err := u.at.Load(spec, &u.objects); err != nil {
		return nil, err
	}
	u.lost = kern.NewCount(u.objects.Lost)
	if u.iter, err = u.at.Iterator(u.objects.EachFile, "task_file", nil); err != nil {
		return nil, err
	}
	if err := u.at.Tracepoint(u.objects.OnDestroy, "tcp_destroy_sock"); err != nil {
		return nil, err
	}
	if err := u.at.Tracepoint(u.objects.OnState, "inet_sock_set_state"); err != nil {
		return nil, err
	}
	if err := u.pass(); err != nil {
		return nil, err
	}
	if err := u.objects.Counting.Set(uint32(1)); err != nil {
		return nil, fmt.Errorf("begin to count: %w", err)
	}
	return nil, nil
}

// Serve implements core.Unit.
func (u *unit) Serve(ctx context.Context, ready func()) error {
	leave, ok := u.at.Enter()
	if !ok {
		return nil
	}
	defer leave()
	runtime.LockOSThread() // the pace is measured in this thread's time
	defer runtime.UnlockOSThread()
	pace := u.with.pace
	next := time.NewTimer(pace.Every)
	defer next.Stop()
	if err := u.tell(); err != nil {
		return err
	}
	ready()
	chose := u.chose
	wait := pace.Every
	for {
		select {
		case <-ctx.Done():
			return u.step()
		case <-u.at.Stopping():
			return u.step()
		case <-chose:
			chose = nil             // however many choose: the look is not put off again
			if wait == pace.Every { // looks are cheap here
				next.Reset(min(soon, wait))
			}
			continue
		case <-next.C:
		}
		chose = u.chose
		begun := time.Now()
		pace.Begin()
		if err := u.step(); err != nil {
			return err
		}
		wait = pace.Next()
		next.Reset(max(wait-time.Since(begun), 0))
	}
}

// step looks once and tells what it saw.
func (u *unit) step() error {
	if err := u.pass(); err != nil {
		return err
	}
	return u.tell()
}

// pass lets the kernel walk over all open files and bring its rows up to date.
func (u *unit) pass() error {
	u.look++
	if err := u.objects.Look.Set(u.look); err != nil {
		return fmt.Errorf("number the look: %w", err)
	}
	if err := kern.RunIter(u.iter); err != nil {
		return fmt.Errorf("look at all sockets: %w", err)
	}
	return nil
}

// tell reads the rows and hands on what they say.
func (u *unit) tell() error {
	var cursor ebpf.MapBatchCursor
	u.gone = u.gone[:0]
	for {
		n, err := u.objects.Rows.BatchLookup(&cursor, u.keys, u.values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read the rows of processes: %w", err)
		}
		for i := range n {
			if u.ledger.take(procKey(u.keys[i]), &u.values[i], u.look) {
				u.gone = append(u.gone, u.keys[i])
			}
		}
		if err != nil {
			break
		}
	}
	for i := range u.gone {
		if err := u.objects.Rows.Delete(&u.gone[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget process %d: %w", u.gone[i].Pid, err)
		}
	}
	lost, err := u.lost.Added()
	if err != nil {
		return err
	}
	u.env.Lost("map", Kind, lost)
	if samples := u.ledger.drain(); len(samples) > 0 {
		u.env.Sink.Samples(samples)
	}
	return nil
}

// Select implements core.Selective. What was moved since the last look follows
// the new choice.
func (u *unit) Select(s core.Selection) error {
	u.chosen.Apply(s)
	select {
	case u.chose <- struct{}{}:
	default:
	}
	return nil
}

// Detach implements core.Unit.
func (u *unit) Detach(ctx context.Context) error { return u.at.Close(ctx) }

// Programs implements core.Costed.
func (u *unit) Programs() []core.Program { return u.at.Programs() }
