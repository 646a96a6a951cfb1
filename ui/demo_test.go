package ui

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"vitals/core"
)

// idle is a machine with many processes of which few change from look to look.
func idle() func(uint64) *core.Snapshot {
	base := many(2000)
	return func(seq uint64) *core.Snapshot {
		s := *base
		s.Seq, s.At = seq, sampleAt.Add(time.Duration(seq)*time.Second)
		s.Processes = slices.Clone(base.Processes)
		for i := 20; i < 30; i++ {
			row := *s.Processes[i]
			row.CPURatio = float64(seq%50+uint64(i)) / 100
			s.Processes[i] = &row
		}
		s.Self.CPURatio = float64(seq%7) / 1000
		return &s
	}
}

// TestDemo runs the dashboard on invented data in the terminal it is started in:
//
//	go test -c -o /tmp/ui.test ./ui && VITALS_DEMO=busy /tmp/ui.test -test.run TestDemo
//
// VITALS_DEMO is busy, calm, many or idle (2,000 processes that do nothing, to
// measure what looking costs).
func TestDemo(t *testing.T) {
	kind := os.Getenv("VITALS_DEMO")
	if kind == "" {
		t.Skip("set VITALS_DEMO to look at the dashboard")
	}
	make := map[string]func(uint64) *core.Snapshot{
		"busy": sampleSeq,
		"calm": func(seq uint64) *core.Snapshot { s := calm(); s.Seq = seq; return s },
		"many": func(seq uint64) *core.Snapshot { s := many(10000); s.Seq = seq; return s },
		"idle": idle(),
	}[kind]
	src := newFake(make(1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for seq := uint64(2); ; seq++ {
			select {
			case <-tick.C:
				s := make(seq)
				for _, in := range src.intents() {
					s.Toggles.Choices[in.Key] = in.Choice
					for _, r := range s.Processes {
						for i := range r.Instr {
							if in.Key.Proc == r.ProcKey && in.Key.Kind == r.Instr[i].Kind {
								r.Instr[i].On, r.Instr[i].Reason = in.Choice == core.On, string(in.Choice)+" for this process"
							}
						}
					}
				}
				src.publish(s)
			case <-ctx.Done():
				return
			}
		}
	}()
	if err := Run(ctx, Config{Source: src, Control: src, Warnings: []string{"this is invented data"}}); err != nil {
		t.Fatal(err)
	}
}
