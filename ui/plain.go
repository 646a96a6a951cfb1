package ui

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"vitals/core"
	"vitals/ui/format"
	"vitals/ui/page"
)

// runPlain writes lines of text, one block for each interval, that a screen
// reader, a pipe or a paper terminal can take: no cursor movement, no colour,
// words instead of signs. Where nobody watches it writes one block.
func runPlain(ctx context.Context, cfg Config, t terminal) error {
	if t.hint != "" {
		fmt.Fprintln(cfg.Err, "vitals: "+t.hint)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(cfg.Err, "vitals: "+w)
	}
	s := firstLook(ctx, cfg.Source)
	for {
		if err := writePlain(cfg.Out, s); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if t.once {
			return nil
		}
		timer := time.NewTimer(plainInterval(cfg.Refresh))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if cause := context.Cause(ctx); cause != context.Canceled {
				return cause
			}
			return nil
		}
		s = cfg.Source.Latest()
	}
}

// plainInterval is the time between blocks: one a second would never be read
// to its end, so that is taken for the dashboard's default.
func plainInterval(refresh time.Duration) time.Duration {
	if refresh <= time.Second {
		return 5 * time.Second
	}
	return refresh
}

// firstLook waits a moment for the first snapshot that has processes and knows
// what they use, for which it takes two readings.
func firstLook(ctx context.Context, src core.Source) *core.Snapshot {
	deadline := time.NewTimer(3 * time.Second)
	defer deadline.Stop()
	for {
		changed := src.Changed()
		if s := src.Latest(); len(s.Processes) > 0 && !math.IsNaN(s.Totals.CPURatio) {
			return s
		}
		select {
		case <-changed:
		case <-deadline.C:
			return src.Latest()
		case <-ctx.Done():
			return src.Latest()
		}
	}
}

const plainServices, plainBusiest = 20, 10

func writePlain(w io.Writer, s *core.Snapshot) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, linux %s: %s, %d instrumented, %d attaching, %d failed; vitals uses %s of a core, lost %s\n",
		s.At.Local().Format("15:04:05"), s.Host.Name, s.Host.Kernel, format.Plural(s.Totals.Processes, "process", "processes"),
		s.Totals.Instrumented, s.Totals.Attaching, s.Totals.Failed,
		page.Percent(s.Self.CPURatio), format.Of(format.Count, float64(s.Self.LostTotal)))
	if s.Self.Notice != "" {
		fmt.Fprintf(&b, "note: %s\n", s.Self.Notice)
	}
	if worst := page.Worst(s); worst != nil {
		fmt.Fprintf(&b, "service %s: %s\n", worst.Name, worst.Message)
	}
	services := page.NewServices()
	services.Update(s.Services, func(r *core.ServiceRow) bool { return r.Server.Count+r.Client.Count > 0 })
	for _, r := range services.Rows[:min(len(services.Rows), plainServices)] {
		red, side := page.RED(&r.Server, &r.Client)
		fmt.Fprintf(&b, "service %s, %s: %s requests per second, %s errors, p50 %s, p99 %s, cpu %s\n", r.Name, side,
			format.Of(format.Count, red.Rate), page.Percent(red.ErrRatio),
			format.Of(format.Seconds, red.P50), format.Of(format.Seconds, red.P99), page.Percent(r.CPURatio))
	}
	if n := len(services.Rows) - plainServices; n > 0 {
		fmt.Fprintf(&b, "and %s more\n", format.Plural(n, "service", "services"))
	}
	for _, r := range page.Busiest(nil, s, plainBusiest) {
		if len(services.Rows) > 0 {
			break
		}
		fmt.Fprintf(&b, "process %d %s: cpu %s, memory %s\n", r.PID, page.Name(r.Process),
			page.Percent(r.CPURatio), format.Of(format.Bytes, float64(r.Usage.RSS)))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
