package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"vitals/core"
)

// Once pushes one fresh snapshot to all destinations and returns how that ended:
// the errors of those that failed. With nothing to push it sends nothing and
// returns nil. It does not retry, so that a script learns soon and decides itself.
func Once(ctx context.Context, all ...Config) error {
	pushers := make([]*pusher, len(all))
	for i, c := range all {
		s, err := c.check()
		if err != nil {
			return err
		}
		if pushers[i], err = newPusher(s); err != nil {
			return err
		}
		defer pushers[i].close()
	}
	if len(all) == 0 {
		return nil
	}
	families := gatherFresh(ctx, pushers[0].settings)
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, p := range pushers {
		wait.Go(func() { errs[i] = p.once(ctx, families) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (p *pusher) once(ctx context.Context, families []*dto.MetricFamily) error {
	status := newStatus(p.settings)
	r := p.pushFamilies(ctx, func() []*dto.MetricFamily { return families })
	if err := ctx.Err(); err != nil && r.err == nil && r.verdict != delivered {
		return err
	}
	status.record(r, time.Now())
	status.publish()
	return r.err
}

// gatherFresh gives the families of a fresh snapshot.
func gatherFresh(ctx context.Context, s *settings) []*dto.MetricFamily {
	return s.Families(s.fresh(ctx, s.Timeout))
}

// DryRun writes what Once would send, and where, and sends nothing. The body is
// shown in the text format whatever goes over the wire.
func DryRun(ctx context.Context, w io.Writer, all ...Config) error {
	var families []*dto.MetricFamily
	for i, c := range all {
		s, err := c.check()
		if err != nil {
			return err
		}
		if i == 0 {
			families = gatherFresh(ctx, s)
		}
		if err := s.dryRun(ctx, w, families); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) dryRun(ctx context.Context, w io.Writer, families []*dto.MetricFamily) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	load, err := s.shape(families)
	if err != nil {
		return err
	}
	if len(load.families) == 0 {
		_, err := fmt.Fprintf(w, "# nothing to push to %s\n", core.Clean(s.target, maxPath))
		return err
	}
	var enc encoder
	first := s.encodings()[0]
	if s.Kind != Pushgateway {
		first.packed = None
	}
	body, packed, err := enc.encode(load.families, first)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	verb, compression := "WRITE", ""
	if s.Kind == Pushgateway {
		verb = s.Method
	}
	if packed != None {
		compression = "# Content-Encoding: " + string(packed) + "\n"
	}
	if _, err := fmt.Fprintf(w, "# %s %s\n# Content-Type: %s\n%s# %s, %d bytes, %d on the wire\n",
		verb, s.target, first.format.ContentType(), compression, load.describe(), enc.plain.Len(), len(body)); err != nil {
		return err
	}
	for _, f := range load.families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}
