// Package kittest helps to test integrations.
package kittest

import (
	"context"
	"log/slog"
	"math"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/dial"
	"vitals/core/integrations/kit"
)

// Env is the world as an integration sees it that runs beside its server.
func Env(testing.TB) kit.Env {
	here := dial.Here()
	return kit.Env{
		Shared: kit.Shared{Instance: "test"}, Dial: here.Dial, DialAs: here.DialAs, Owner: here.Owner,
		Log: slog.New(slog.DiscardHandler),
	}
}

// Open makes a collector of settings as the framework would, closed at the end of the test.
func Open(t testing.TB, k kit.Kind, settings any) kit.Collector {
	t.Helper()
	s, id, err := k.Prepare(settings, Env(t).Shared)
	if err != nil || id == "" {
		t.Fatalf("prepare %s %q: %v", k.Name, id, err)
	}
	c, err := k.Open(s, Env(t))
	if err != nil {
		t.Fatalf("open %s: %v", k.Name, err)
	}
	t.Cleanup(c.Close)
	return c
}

// patience is with a server on a machine that is busy with something else.
const patience = 30 * time.Second

// Round is one collection.
func Round(t testing.TB, k kit.Kind, c kit.Collector) (kit.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b := kit.NewBatch(time.Now(), k.MaxSeries, 64)
	if err := c.Collect(ctx, b); err != nil {
		return kit.Result{}, err
	}
	return b.Done(), nil
}

// Collect opens a collector, collects once and fails the test when that fails.
func Collect(t testing.TB, k kit.Kind, settings any) kit.Result {
	t.Helper()
	r, err := Round(t, k, Open(t, k, settings))
	if err != nil {
		t.Fatalf("collect %s: %v", k.Name, err)
	}
	return r
}

// Probe asks as the framework would, with more time than it gives.
func Probe(t testing.TB, k kit.Kind, settings any) (found any, saw string, err error) {
	t.Helper()
	return ProbeWithin(t, patience, k, settings)
}

// ProbeWithin asks as the framework would, with so much time.
func ProbeWithin(t testing.TB, limit time.Duration, k kit.Kind, settings any) (found any, saw string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return k.Probe(ctx, settings, Env(t))
}

// Value is that of the one series of a metric whose labels include the given
// ones, name, value, name, value; NaN when there is none, or more than one.
func Value(r kit.Result, metric string, labels ...string) float64 {
	found := math.NaN()
	for i := range r.Families {
		if r.Families[i].Name != metric {
			continue
		}
		n := 0
		for _, s := range r.Families[i].Series {
			if Has(s.Labels, labels...) {
				n++
				found = s.V
			}
		}
		if n != 1 {
			return math.NaN()
		}
	}
	return found
}

// Has reports whether labels include the given ones, name, value, name, value.
func Has(labels []core.Label, want ...string) bool {
	for i := 0; i+1 < len(want); i += 2 {
		ok := false
		for _, l := range labels {
			ok = ok || l.Name == want[i] && l.Value == want[i+1]
		}
		if !ok {
			return false
		}
	}
	return true
}
