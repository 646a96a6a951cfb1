package core

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnsupported is wrapped by errors that say that this kernel, machine or
// user cannot do a thing. It is a state to show, not a failure to retry.
var ErrUnsupported = errors.New("not supported")

// Remedied is an error that comes with what to do about it.
type Remedied struct {
	Err    error
	Remedy string
	// Permanent errors are not retried: only a change from outside helps.
	Permanent bool
	// After is how long to wait at least before trying again, 0 says nothing.
	After time.Duration
}

// Error gives "what happened (what to do)".
func (e *Remedied) Error() string {
	if e.Remedy == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%v (%s)", e.Err, e.Remedy)
}

// Unwrap gives the cause.
func (e *Remedied) Unwrap() error { return e.Err }

// IsPermanent reports whether retrying err cannot help.
func IsPermanent(err error) bool {
	var r *Remedied
	return errors.Is(err, ErrUnsupported) || (errors.As(err, &r) && r.Permanent)
}

// PauseAfter is the longest Remedied.After among the causes of err, 0 without one.
func PauseAfter(err error) time.Duration {
	var r *Remedied
	if !errors.As(err, &r) {
		return 0
	}
	return max(r.After, PauseAfter(r.Err))
}

// PanicError is a panic of foreign code that was caught and made an error.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

// Error gives the panic's value; the stack is for the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }
