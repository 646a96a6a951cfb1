package usage

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"testing"

	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// A whole look at this machine plus that many idle processes.
func BenchmarkLook(b *testing.B) {
	for _, n := range []int{0, 2000} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			kerntest.NeedRoot(b)
			for range n {
				cmd := exec.Command("/bin/sleep", "300")
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			}
			u := newUnit(kern.Env{Sink: &kerntest.Sink{}, Log: slog.New(slog.DiscardHandler)})
			if _, err := u.Attach(context.Background()); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = u.Detach(context.Background()) }()
			b.ReportAllocs()
			for b.Loop() {
				if err := u.look(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
