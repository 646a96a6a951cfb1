package ui

import (
	"context"
	"testing"

	"vitals/themes"
)

func benchApp(b *testing.B, rows int) (*app, *fake) {
	f := newFake(many(rows))
	th, err := themes.Load(themes.DefaultDark)
	if err != nil {
		b.Fatal(err)
	}
	cfg := Config{Source: f, Control: f, Width: 160, Height: 48, Theme: &th}
	if err := cfg.fill(); err != nil {
		b.Fatal(err)
	}
	a := newApp(context.Background(), cfg, terminal{})
	b.ReportAllocs()
	return a, f
}

// BenchmarkView is one frame of each page at 160x48 with 10,000 processes; the
// limit is 2 ms, the goal 0.5 ms.
func BenchmarkView(b *testing.B) {
	for _, c := range []struct {
		name string
		keys []string
	}{{"overview", nil}, {"processes", []string{"2", "down"}}, {"services", []string{"2", "tab"}}, {"map", []string{"3"}}, {"requests", []string{"4"}}, {"integrations", []string{"5"}}, {"events", []string{"6"}}, {"probes", []string{"7"}}, {"process", []string{"2", "enter"}}} {
		b.Run(c.name, func(b *testing.B) {
			a, _ := benchApp(b, 10000)
			for _, k := range c.keys {
				a.Update(press(k))
			}
			for b.Loop() {
				a.dirty = true
				a.View()
			}
		})
	}
}

// BenchmarkKey is a key press with its frame: the limit of Update is 1 ms.
func BenchmarkKey(b *testing.B) {
	a, _ := benchApp(b, 10000)
	a.Update(press("2"))
	down, up := press("down"), press("up")
	for b.Loop() {
		a.Update(down)
		a.View()
		a.Update(up)
		a.View()
	}
}

// BenchmarkLook is what happens once for each snapshot: filter and sort.
func BenchmarkLook(b *testing.B) {
	for _, c := range []struct {
		name string
		keys []string
	}{{"overview", nil}, {"processes", []string{"2"}}, {"filtered", []string{"2", "/", "s", "v", "c", "-", "1", "enter"}}, {"tree", []string{"2", "t"}}} {
		b.Run(c.name, func(b *testing.B) {
			a, _ := benchApp(b, 10000)
			for _, k := range c.keys {
				a.Update(press(k))
			}
			for b.Loop() {
				a.page().Update(&a.pc)
			}
		})
	}
}

func BenchmarkHistory(b *testing.B) {
	s := many(10000)
	var h history
	for b.Loop() {
		c := *s
		h.add(&c)
	}
}
