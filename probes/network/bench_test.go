package network

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// A whole look at this machine plus that many open files and connections.
func BenchmarkLook(b *testing.B) {
	for _, n := range []struct{ files, connections int }{{0, 0}, {15_000, 0}, {0, 2_000}} {
		b.Run(fmt.Sprintf("files=%d/connections=%d", n.files, n.connections), func(b *testing.B) {
			kerntest.NeedRoot(b)
			openMany(b, n.files, n.connections)
			u := newUnit(kern.Env{Sink: &kerntest.Sink{}, Log: slog.New(slog.DiscardHandler)}, defaults(0))
			if _, err := u.Attach(context.Background()); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = u.Detach(context.Background()) }()
			b.ReportAllocs()
			for b.Loop() {
				if err := u.step(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func openMany(b *testing.B, files, connections int) {
	b.Helper()
	for range files {
		f, err := os.Open("/dev/null")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
	}
	if connections == 0 {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	for range connections {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close(); s.Close() })
	}
}

func BenchmarkTake(b *testing.B) {
	var chosen kern.Chosen
	chosen.Apply(core.Selection{Default: true})
	l := newLedger(&chosen)
	r := networkRow{RttSum: 100, RttWeight: 1}
	r.States[1], r.States[stateListen] = 5, 1
	key := core.ProcKey{PID: 1, Birth: 2}
	b.ReportAllocs()
	for b.Loop() {
		r.Sent += 100
		r.Look++
		l.take(key, &r, r.Look)
		l.drain()
	}
}
