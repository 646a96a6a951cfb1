package core

import (
	"context"
	"errors"
	"time"
)

// Outcome classifies how a call of ours ended.
type Outcome string

// Outcomes of calls.
const (
	OutcomeOK        Outcome = "ok"
	OutcomeError     Outcome = "error"
	OutcomeTimeout   Outcome = "timeout"
	OutcomeCancelled Outcome = "cancelled"
	OutcomePanic     Outcome = "panic"
)

// Recorder takes timed calls. Implementations are safe for concurrent use and
// allocate nothing.
type Recorder interface {
	Begin(op string)
	End(op string, o Outcome, d time.Duration)
}

// CallRow is what is known of one operation among the calls that vitals makes.
type CallRow struct {
	Op       string
	Begun    uint64
	Ended    map[Outcome]uint64 // only outcomes that happened
	InFlight int
	Oldest   time.Duration // age of the oldest call in flight, 0 without
	Last     time.Duration // duration of the newest call that ended
	Duration *Distribution // nil while none ended, or when only counts are kept
}

// Call times one call that leaves our process. It is a value: it holds its own
// start, needs no pairing, and the zero Call is a no-op. A recorder that panics
// does not reach whoever makes the call.
type Call struct {
	r     Recorder
	op    string
	start time.Time
	done  bool
}

// StartCall begins a call; r may be nil.
func StartCall(r Recorder, op string) (c Call) {
	if r == nil {
		return Call{}
	}
	c = Call{r: r, op: op, start: time.Now()}
	defer ignorePanic()
	r.Begin(op)
	return c
}

// End records the outcome of err. A second End does nothing.
func (c *Call) End(err error) {
	if c.r == nil || c.done {
		return
	}
	c.done = true
	c.tell(OutcomeOf(err), time.Since(c.start))
}

func (c *Call) tell(o Outcome, took time.Duration) {
	defer ignorePanic()
	c.r.End(c.op, o, took)
}

// ignorePanic keeps a recorder's fault from whoever makes the call.
func ignorePanic() { _ = recover() }

// Do times f as a call of op and returns its error. When f panics, the call has
// ended with that outcome, and the panic goes on to the caller.
func Do(ctx context.Context, r Recorder, op string, f func(context.Context) error) error {
	c := StartCall(r, op)
	returned := false
	defer func() {
		if !returned { // without recover the panic keeps its stack
			c.End(errPanicked)
		}
	}()
	err := f(context.WithValue(ctx, callKey{}, op))
	returned = true
	c.End(err)
	return err
}

// errPanicked stands for a panic that somebody further up deals with.
var errPanicked = &PanicError{Value: "the measured call panicked"}

type callKey struct{}

// ParentCall returns the operation of the call that ctx belongs to, "" outside
// of Do.
func ParentCall(ctx context.Context) string {
	op, _ := ctx.Value(callKey{}).(string)
	return op
}

// OutcomeOf classifies an error.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return OutcomeOK
	}
	if _, panicked := errors.AsType[*PanicError](err); panicked {
		return OutcomePanic
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return OutcomeTimeout
	case errors.Is(err, context.Canceled):
		return OutcomeCancelled
	}
	return OutcomeError
}
