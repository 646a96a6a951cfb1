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

// Call times one call that leaves our process. It is a value: it holds its own
// start, needs no pairing, and the zero Call is a no-op.
type Call struct {
	r     Recorder
	op    string
	start time.Time
	done  bool
}

// StartCall begins a call; r may be nil.
func StartCall(r Recorder, op string) Call {
	if r == nil {
		return Call{}
	}
	r.Begin(op)
	return Call{r: r, op: op, start: time.Now()}
}

// End records the outcome of err. A second End does nothing.
func (c *Call) End(err error) {
	if c.r == nil || c.done {
		return
	}
	c.done = true
	c.r.End(c.op, OutcomeOf(err), time.Since(c.start))
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
