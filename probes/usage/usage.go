// Package usage tells what every process consumes: processor time, memory,
// threads, faults, context switches, storage and open files. Nothing is hooked:
// once a tick a kernel iterator walks over all tasks, which costs a hundredth of
// reading /proc.
package usage

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
const Kind = "usage"

// share of one core that looking may take; where there are so many tasks that
// it would be more, looks become rarer.
const share = 0.02

// wholeEvery is how often a look reads every process: memory of one that sleeps
// changes only when the kernel takes some back.
const wholeEvery = 5 * time.Second

// Needs is what the probe cannot do without.
func Needs() kern.Needs { return kern.Needs{Iterators: []string{"task"}} }

// Spec makes the probe's recipe. A look at all processes goes to env.Sink every env.Tick.
func Spec(env kern.Env) core.Spec {
	return core.Spec{
		ID:          "instrumentation/" + Kind,
		Class:       core.ClassInstrumentation,
		Kind:        Kind,
		Title:       "Usage",
		Help:        "CPU, memory, threads, faults and disk of every process; nothing is hooked, one look a second costs some microseconds a process",
		Fingerprint: Kind,
		Default:     true,
		Make:        func() (core.Unit, error) { return newUnit(env), nil },
	}
}

// unit is one attachment. Serve alone touches iter and table.
type unit struct {
	env   kern.Env
	at    *kern.Attachment
	iter  *link.Iter
	whole *ebpf.Variable
	next  time.Time // of the next whole look
	table *table
	buf   []byte
}

func newUnit(env kern.Env) *unit {
	return &unit{env: env, at: kern.NewAttachment("instrumentation/"+Kind, &env), table: newTable(), buf: make([]byte, kern.IterBuffer)}
}

// Attach implements core.Unit.
func (u *unit) Attach(ctx context.Context) (_ core.Parts, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, u.at.Close(ctx))
		}
	}()
	if err := u.at.Require(Needs()); err != nil {
		return nil, err
	}
	spec, err := loadUsage()
	if err != nil {
		return nil, err
	}
	var o usageObjects
	if err := u.at.Load(spec, &o); err != nil {
		return nil, err
	}
	u.whole = o.Whole
	u.iter, err = u.at.Iterator(o.EachTask, "task", nil)
	return nil, err
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
	pace := kern.Pace{Every: u.env.Tick, Share: share}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.at.Stopping():
			return nil
		case <-next.C:
		}
		begun := time.Now()
		pace.Begin()
		if err := u.look(); err != nil {
			return fmt.Errorf("look at all tasks: %w", err)
		}
		ready()
		next.Reset(max(pace.Next()-time.Since(begun), 0))
	}
}

// look walks over all tasks once and hands on what their processes have consumed.
func (u *unit) look() error {
	var whole uint32
	if now := time.Now(); !now.Before(u.next) {
		whole, u.next = 1, now.Add(wholeEvery)
	}
	if err := u.whole.Set(whole); err != nil {
		return fmt.Errorf("say what to look at: %w", err)
	}
	u.table.begin(whole != 0)
	if err := kern.ReadIter(u.iter, u.buf, u.table.add); err != nil {
		return err
	}
	u.env.Sink.Usage(u.table.end())
	return nil
}

// Detach implements core.Unit.
func (u *unit) Detach(ctx context.Context) error { return u.at.Close(ctx) }

// Programs implements core.Costed.
func (u *unit) Programs() []core.Program { return u.at.Programs() }
