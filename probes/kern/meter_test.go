package kern

import (
	"context"
	"testing"
	"time"
)

// Only what ran while statistics were on is counted, and it is what ran.
func TestMeterMeasures(t *testing.T) {
	w := newWriter(t, 0)
	m := NewMeter()
	untrack := m.Track("unit", "here", w.prog)
	w.write(t, 10) // not measured
	ctx, cancel := context.WithCancel(context.Background())
	measured := make(chan error, 1)
	go func() { measured <- m.measure(ctx, time.Minute) }()
	const runs = 200
	waitForWindow(t, m)
	w.write(t, runs)
	cancel()
	if err := <-measured; err != nil {
		t.Fatal(err)
	}
	list := m.Programs()
	if len(list) != 1 {
		t.Fatalf("%d programs, want 1", len(list))
	}
	p := list[0]
	if p.Unit != "unit" || p.Attached != "here" || p.Runs != runs || p.RunTime <= 0 || p.Measured <= 0 || p.RunTime > p.Measured {
		t.Errorf("got %+v, want %d runs", p, runs)
	}
	if p.MapBytes == 0 {
		t.Error("the ring's memory is not counted")
	}
	if len(m.Of("other")) != 0 || len(m.Of("unit")) != 1 {
		t.Error("programs are not listed by unit")
	}
	// Shared maps are charged once.
	defer m.Track("second", "there", w.prog)()
	var bytes uint64
	for _, p := range m.Programs() {
		bytes += p.MapBytes
	}
	if bytes != p.MapBytes {
		t.Errorf("%d bytes of maps in all, want %d", bytes, p.MapBytes)
	}
	untrack()
	if len(m.Of("unit")) != 0 {
		t.Error("still there after untrack")
	}
}

// waitForWindow waits until the meter counts what runs.
func waitForWindow(t *testing.T, m *Meter) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		m.mu.Lock()
		in := m.tracked[0].in
		m.mu.Unlock()
		if in {
			return
		}
	}
	t.Fatal("the window has not begun after 30 s")
}

func TestMeterLeavesAnIdleKernelAlone(t *testing.T) {
	if err := NewMeter().measure(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
}

func TestMeterRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := NewMeter().Run(ctx); err != nil {
		t.Fatal(err)
	}
}
