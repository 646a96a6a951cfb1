package diagnose

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vitals/core"
)

// Try checks a unit that does not run, from its recipe: it is made, attached,
// checked and detached again. Instrumentation is not attached: its recipe says
// whether it could be. Nor is a gateway. A single try is believed at once. It blocks at most until
// ctx ends, and for as long as Detach takes, limit at most; limit also bounds
// the check.
func Try(ctx context.Context, spec core.Spec, r core.CheckRequest, limit time.Duration) Health {
	if limit <= 0 {
		limit = DefaultDeadline
	}
	r.Unit, r.Kind = spec.ID, spec.Kind
	began := time.Now()
	done := make(chan result, 1)
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	go func() { done <- try(ctx, spec, r, limit) }()
	var found result
	select {
	case found = <-done:
	case <-ctx.Done():
		// What hangs is left behind: the process is about to end.
		select {
		case found = <-done:
		case <-time.After(limit):
			found = overdue(limit)
		}
	}
	h := Health{Unit: spec.ID, Class: spec.Class, Kind: spec.Kind, Status: found.Status, Message: found.Message,
		Details: clone(found.Details), Cause: found.cause, CheckedAt: time.Now(), Took: time.Since(began), Phase: core.PhaseNew}
	h.Since = h.CheckedAt
	switch found.Status {
	case core.StatusOK:
		h.Level = core.HealthOK
	case core.StatusError:
		h.Level, h.Failures = core.HealthRecovering, 1
	default:
		h.Level = core.HealthUnknown
	}
	if found.permanent {
		h.Level = core.HealthPermanent
	}
	if found.unsupported {
		h.Phase = core.PhaseUnsupp
	}
	return h
}

func try(ctx context.Context, spec core.Spec, r core.CheckRequest, limit time.Duration) result {
	redact := newRedactor()
	failed := func(stage string, err error) result {
		out := redact.found(core.Finding{}, fmt.Errorf("%s: %w", stage, err))
		out.permanent = core.IsPermanent(err)
		if errors.Is(err, core.ErrUnsupported) {
			out.Status, out.unsupported = core.StatusUnknown, true
		}
		return out
	}
	if spec.Class == core.ClassInstrumentation {
		return rehearse(spec, redact, failed)
	}
	var unit core.Unit
	if err := safely(func() (err error) { unit, err = spec.Make(); return err }); err != nil || unit == nil {
		return failed("init", errors.Join(err, madeNothing(unit, err)))
	}
	if spec.Class == core.ClassGateway {
		// Attaching it would take the address and the store of the one that runs.
		return result{Finding: core.Unsure("its settings are fine; whether it works is told by the vitals that runs it")}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		safely(func() error { return unit.Detach(ctx) })
	}()
	attaching, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var parts core.Parts
	if err := safely(func() (err error) { parts, err = unit.Attach(attaching); return err }); err != nil {
		return failed("attach", err)
	}
	checker := checkerOf(unit)
	if checker == nil {
		return result{Finding: core.Unsure("its settings are fine; it has no check that could tell more")}
	}
	checking, cancel := context.WithTimeout(ctx, deadlineOf(unit, limit))
	defer cancel()
	finding, err := guarded(checking, checker, r)
	if err != nil && checking.Err() != nil {
		return overdue(deadlineOf(unit, limit))
	}
	out := redact.found(finding, err)
	for name, err := range parts {
		if err != nil {
			out.Details["part "+name] = redact.text(textOf(err))
		}
	}
	return out
}

func rehearse(spec core.Spec, redact redactor, failed func(string, error) result) result {
	if spec.Check == nil {
		return result{Finding: core.Unsure("it does not run, and whether it could is told by attaching it only")}
	}
	if err := safely(spec.Check); err != nil {
		return failed("attach", err)
	}
	return redact.found(core.Healthy("it can be attached here, as far as that can be told without doing it"), nil)
}

func madeNothing(u core.Unit, err error) error {
	if u == nil && err == nil {
		return errors.New("its recipe made nothing")
	}
	return nil
}

// safely makes a panic of foreign code an error.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &core.PanicError{Value: v}
		}
	}()
	return f()
}
