// Package lifecycle tells which processes begin, change their program and end,
// in the order in which they do, a moment after they do. It costs one small
// record for each fork, exec and exit, and nothing between them.
//
// Threads are no processes: a thread's birth and end are not told, and a thread
// that execs is its process. Kernel threads are left out.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"vitals/core"
	"vitals/probes/kern"
)

// Kind is the kind of instrumentation.
const Kind = "lifecycle"

const (
	// batch is how many events are handed on at once, at most.
	batch = 1024
	// pause after a batch: the kernel wakes a reader that has caught up for every
	// single record, and a storm of them need not cost more than this many wake-ups.
	pause = 500 * time.Microsecond
	// idle is how often losses are looked for while nothing happens: events are
	// lost while the ring is full, so that its next reading tells of them.
	idle = 5 * time.Second
)

// Needs is what the probe cannot do without.
func Needs() kern.Needs {
	return kern.Needs{Tracepoints: []string{"sched_process_fork", "sched_process_exec", "sched_process_exit"}}
}

// Spec makes the probe's recipe. Events go to env.Processes.
func Spec(env kern.Env) core.Spec { return spec(env, 0) }

func spec(env kern.Env, ring uint32) core.Spec {
	return core.Spec{
		ID:          "instrumentation/" + Kind,
		Class:       core.ClassInstrumentation,
		Kind:        Kind,
		Title:       "Lifecycle",
		Help:        "Tells which processes begin, exec and end the moment they do; costs one small record each",
		Fingerprint: Kind,
		Default:     true,
		Make:        func() (core.Unit, error) { return newUnit(env, ring), nil },
	}
}

// unit is one attachment. Serve alone touches what is below ring.
type unit struct {
	env      kern.Env
	ringSize uint32 // 0: as compiled
	at       *kern.Attachment
	ring     *kern.Ring
	lost     *kern.Count
	events   []core.ProcessEvent
	bad      uint64 // records that could not be read
}

func newUnit(env kern.Env, ring uint32) *unit {
	return &unit{env: env, ringSize: ring, at: kern.NewAttachment("instrumentation/"+Kind, &env), events: make([]core.ProcessEvent, 0, batch)}
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
	spec, err := loadLifecycle()
	if err != nil {
		return nil, err
	}
	if u.ringSize != 0 {
		spec.Maps[lifecycleMapEvents].MaxEntries = u.ringSize
	}
	var o lifecycleObjects
	if err := u.at.Load(spec, &o); err != nil {
		return nil, err
	}
	if u.ring, err = u.at.Ring(o.Events); err != nil {
		return nil, err
	}
	u.lost = kern.NewCount(o.RingLost)
	// Exits first: a process whose fork is told must not end unseen.
	if err := u.at.Tracepoint(o.OnExit, "sched_process_exit"); err != nil {
		return nil, err
	}
	if err := u.at.Tracepoint(o.OnExec, "sched_process_exec"); err != nil {
		return nil, err
	}
	return nil, u.at.Tracepoint(o.OnFork, "sched_process_fork")
}

// Serve implements core.Unit.
func (u *unit) Serve(ctx context.Context, ready func()) error {
	leave, ok := u.at.Enter()
	if !ok {
		return nil
	}
	defer leave()
	ending, release := u.at.Ending(ctx, func() { _ = u.ring.Flush() })
	defer release()
	ready()
	return u.read(ending)
}

// read hands on what comes until the ring is flushed to end it.
func (u *unit) read(ending <-chan struct{}) error {
	asked := u.env.Settling.Join(func() { _ = u.ring.Flush() })
	defer asked.Leave()
	for {
		n, err := u.ring.Read(idle, batch, u.decode)
		u.deliver()
		switch {
		case errors.Is(err, kern.ErrFlushed):
			asked.Answer(func() {})
			select {
			case <-ending:
				return nil
			default:
				u.ring.Resume()
			}
		case errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("read process events: %w", err)
		case n > 0:
			time.Sleep(pause)
		}
	}
}

// decode turns one record into an event.
func (u *unit) decode(raw []byte) {
	e, err := kern.View[lifecycleEvent](raw)
	if err != nil || e.Kind < uint32(core.ProcessFork) || e.Kind > uint32(core.ProcessExit) {
		u.bad++
		return
	}
	event := core.ProcessEvent{
		Kind:    core.ProcessEventKind(e.Kind),
		ProcKey: core.ProcKey{PID: int32(e.Pid), Birth: e.Birth},
		PPID:    int32(e.Ppid),
		Comm:    comm(&e.Comm),
		At:      int64(e.At),
	}
	if event.Kind == core.ProcessExit {
		event.Exit = exit(e.Status)
	}
	u.events = append(u.events, event)
}

// deliver hands on what was decoded, and what was lost since the last time.
func (u *unit) deliver() {
	lost, err := u.lost.Added()
	if err != nil {
		u.env.Log.Warn("losses of process events are unknown", "error", err)
	}
	if lost += u.bad; lost > 0 {
		u.env.Lost("ring", Kind, lost)
		u.events = append(u.events, core.ProcessEvent{Kind: core.ProcessLost, N: lost, At: kern.Mono()})
		u.bad = 0
	}
	if len(u.events) > 0 {
		u.env.Processes(u.events)
		u.events = u.events[:0]
	}
}

// comm is the task's name, up to the first zero.
func comm(c *[16]int8) string {
	b := (*[16]byte)(unsafe.Pointer(c))[:]
	n := 0
	for n < len(b) && b[n] != 0 {
		n++
	}
	return core.Clean(string(b[:n]), core.MaxName)
}

// exit reads a status as wait(2) gives it.
func exit(status int32) core.Exit {
	return core.Exit{
		Known:  true,
		Code:   int(status>>8) & 0xff,
		Signal: int(status) & 0x7f,
		Core:   status&0x80 != 0,
	}
}

// Detach implements core.Unit.
func (u *unit) Detach(ctx context.Context) error { return u.at.Close(ctx) }

// Programs implements core.Costed.
func (u *unit) Programs() []core.Program { return u.at.Programs() }
