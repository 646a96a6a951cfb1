package supervisor

import (
	"errors"
	"syscall"

	"vitals/core"
)

// ended says why an attempt to have a unit running ended unasked.
type ended struct {
	stage  string // "init", "attach", "select", "serve", "detach"
	err    error
	final  bool            // trying again cannot help
	late   <-chan struct{} // set when a call was abandoned; closed when it has come back
	remade int             // which spec it was
}

func (e *ended) unsupported() bool {
	return errors.Is(e.err, core.ErrUnsupported) || errors.Is(e.err, syscall.ENOSYS)
}

// cause is the error, nil for a nil e.
func (e *ended) cause() error {
	if e == nil {
		return nil
	}
	return e.err
}

// farewell says in words why an attempt is over.
func (a *actor) farewell(e *ended) string {
	o := a.ordered()
	switch {
	case e != nil && e.late != nil:
		return e.stage + " was abandoned"
	case e != nil:
		return e.why()
	case o.leave:
		return o.reason
	case o.on:
		return "its configuration changed"
	}
	return o.why
}

func (e *ended) why() string {
	if e.stage == "serve" {
		return "it stopped unasked"
	}
	return e.stage + " did not succeed"
}

// permanent reports whether trying again cannot help. For instrumentation the
// kernel's refusals count as well; elsewhere they may be a firewall's mood.
func permanent(c core.Class, err error) bool {
	if core.IsPermanent(err) {
		return true
	}
	if c != core.ClassInstrumentation {
		return false
	}
	for _, refusal := range []error{syscall.EPERM, syscall.ENOSYS, syscall.EOPNOTSUPP} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
