package diagnose

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"vitals/core"
)

// DefaultDeadline is how long a check may take where the unit says nothing else
// with a method CheckTimeout() time.Duration.
const DefaultDeadline = 5 * time.Second

// result is what one check came to.
type result struct {
	core.Finding
	at    time.Time
	took  time.Duration
	cause []string
	// Of a try: retrying cannot help, or this machine cannot have it.
	permanent, unsupported bool
}

// patient is implemented by checkers that need another deadline.
type patient interface{ CheckTimeout() time.Duration }

func deadlineOf(unit any, otherwise time.Duration) time.Duration {
	if p, ok := unit.(patient); ok {
		if d := p.CheckTimeout(); d > 0 {
			return d
		}
	}
	return otherwise
}

// found joins a checker's finding with its error: an error is never OK.
func (r redactor) found(f core.Finding, err error) result {
	out := result{Finding: f}
	out.Details = clone(f.Details)
	if err != nil {
		out.Status = core.StatusError
		out.cause = r.chain(err)
		if out.Message == "" {
			out.Message = textOf(err)
		}
		if remedy := remedyOf(err); remedy != "" {
			out.Details["remedy"] = r.text(remedy)
		}
	}
	if out.Status < core.StatusUnknown || out.Status > core.StatusError {
		out.Message = fmt.Sprintf("status %v is none: %s", out.Status, out.Message)
		out.Status = core.StatusUnknown
	}
	out.Message = r.text(out.Message)
	return out
}

// guarded calls a checker and makes a panic, and the end of its goroutine, an error.
func guarded(ctx context.Context, c core.Checker, r core.CheckRequest) (f core.Finding, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		f, err = core.Finding{}, errors.New("the check ended its goroutine from inside")
		if v := recover(); v != nil {
			err = &core.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	f, err = c.CheckHealth(ctx, r)
	returned = true
	return f, err
}

// programs is the check of probes, which need not implement one: their programs
// are in the kernel or they are not.
type programs struct{ core.Costed }

func (p programs) CheckHealth(context.Context, core.CheckRequest) (core.Finding, error) {
	list := p.Programs()
	if len(list) == 0 {
		return core.Finding{}, errors.New("none of its kernel programs is attached")
	}
	misses := uint64(0)
	for _, one := range list {
		misses += one.Misses
	}
	return core.Healthy(fmt.Sprintf("%d kernel programs are attached", len(list))).With(map[string]any{
		"programs": len(list), "misses": misses}), nil
}

// checkerOf is how a unit is checked, nil when it is not.
func checkerOf(unit core.Unit) core.Checker {
	switch u := unit.(type) {
	case core.Checker:
		return u
	case core.Costed:
		return programs{u}
	}
	return nil
}
