package push

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/expfmt"
)

// Once pushes one fresh snapshot and returns how that ended. With nothing to
// push it sends nothing and returns nil. It does not retry, so that a script
// learns soon and decides itself.
func Once(ctx context.Context, c Config) error {
	s, err := c.check()
	if err != nil {
		return err
	}
	p, err := newPusher(s)
	if err != nil {
		return err
	}
	defer p.close()
	status := newStatus(s)
	r := p.push(ctx, s.fresh(ctx, s.Timeout))
	if err := ctx.Err(); err != nil && r.err == nil && r.verdict != delivered {
		return err
	}
	status.record(r, time.Now())
	status.publish()
	return r.err
}

// DryRun writes what Once would send, and where, and sends nothing. The body is
// shown in the text format whatever goes over the wire.
func DryRun(ctx context.Context, w io.Writer, c Config) error {
	s, err := c.check()
	if err != nil {
		return err
	}
	snap := s.fresh(ctx, s.Timeout)
	if err := ctx.Err(); err != nil {
		return err
	}
	load, err := prepare(s.Families(snap), s.group)
	if err != nil {
		return err
	}
	var enc encoder
	first := encodings()[0]
	body, zipped, err := enc.encode(load.families, first)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	plain := enc.plain.Len()
	if len(load.families) == 0 {
		_, err := fmt.Fprintf(w, "# nothing to push to %s\n", s.target)
		return err
	}
	compression := ""
	if zipped {
		compression = "# Content-Encoding: gzip\n"
	}
	if _, err := fmt.Fprintf(w, "# %s %s\n# Content-Type: %s\n%s# %s, %d bytes, %d on the wire\n",
		s.Method, s.target, first.format, compression, load.describe(), plain, len(body)); err != nil {
		return err
	}
	for _, f := range load.families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}
