package supervisor

import (
	"errors"
	"runtime/debug"
	"time"

	"vitals/core"
)

// errVanished is reported when foreign code ended its goroutine (runtime.Goexit).
var errVanished = errors.New("its goroutine was ended from inside")

// guarded calls f and makes a panic in it an error.
func guarded(f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &core.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	err = f()
	returned = true
	return err
}

// pending is foreign code at work in its own goroutine. err is valid once done is closed.
type pending struct {
	done chan struct{}
	err  error
}

// start runs f so that neither a panic nor a hang in it reaches the caller. The
// call is timed as op when r is not nil.
func start(r core.Recorder, op string, f func() error) *pending {
	p := &pending{done: make(chan struct{}), err: errVanished}
	go func() {
		defer close(p.done)
		c := core.StartCall(r, op)
		defer func() { c.End(p.err) }()
		p.err = guarded(f)
	}()
	return p
}

// within waits for p at most d, and reports whether it came back.
func (p *pending) within(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// errorText makes an error fit for a screen.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	var text string
	if guarded(func() error { text = err.Error(); return nil }) != nil {
		text = "an error whose text cannot be told"
	}
	return core.Clean(text, core.MaxCmdline)
}
