package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"vitals/core"
)

func checkStdout(s *settings) error {
	if s.Out == nil {
		return errors.New("push to stdout: there is none that is free: a dashboard is drawn on it")
	}
	s.shown, s.target = Stdout, Stdout
	return nil
}

// stdout writes one exposition after the other. A reader that does not read
// blocks one write, and nothing else: the pushes meanwhile fail.
type stdout struct {
	*settings
	enc     encoder
	writing chan error // of the write that goes on; nil when none does
}

func openStdout(s *settings) (sender, error) { return &stdout{settings: s}, nil }

func (o *stdout) deliver(ctx context.Context, p payload) (answer, int) {
	if err := o.settle(ctx); err != nil {
		return o.failed(err), 0
	}
	body, _, err := o.enc.encode(p.families, encoding{o.Format.codec(), None})
	if err != nil {
		return answer{verdict: permanent, err: fmt.Errorf("push to %s: encode: %w", o.shown, err)}, 0
	}
	// The encoder's buffer is used again, and the write may outlive this push.
	body = bytes.Clone(body)
	done := make(chan error, 1)
	o.writing = done
	go func() {
		_, err := o.Out.Write(body)
		done <- err
	}()
	if err := o.settle(ctx); err != nil {
		return o.failed(err), 0
	}
	return answer{}, len(body)
}

// settle waits for the write that goes on.
func (o *stdout) settle(ctx context.Context) error {
	if o.writing == nil {
		return nil
	}
	select {
	case err := <-o.writing:
		o.writing = nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *stdout) failed(err error) answer {
	if errors.Is(err, context.Canceled) {
		return answer{verdict: cancelled, err: fmt.Errorf("push to %s: %w", o.shown, err)}
	}
	a := answer{verdict: transient, err: fmt.Errorf("push to %s: %w", o.shown, err)}
	if errors.Is(err, context.DeadlineExceeded) {
		a.err = &core.Remedied{Err: a.err, Remedy: "does anybody read it?"}
	}
	return a
}

func (o *stdout) check(context.Context) (string, error) { return "open", nil }

func (o *stdout) remove(context.Context) error { return nil }
func (o *stdout) close()                       {}
