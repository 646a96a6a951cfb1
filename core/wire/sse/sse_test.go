package sse

import (
	"strings"
	"testing"
)

func TestEvents(t *testing.T) {
	for in, want := range map[string]int{
		"":                                      0,
		"data: a\n\n":                           1,
		"data: a\r\n\r\n":                       1,
		"data: a\r\rdata: b\r\r":                2,
		"data\n\n":                              1,
		": keep-alive\n\n":                      0,
		"\n\n\n\n":                              0,
		"event: x\nid: 1\ndata: a\n\n":          1,
		"data: a\ndata: b\n\n":                  1,
		"database: a\n\n":                       0,
		"event: x\n\n":                          0,
		"data: a\n":                             0,
		"data: a\r\n\r\ndata: b\r\n\r\n: c\n\n": 2,
		"\ufeffid: 1\ndata: a\n\n":              1,
		"id: data\n\ndata: {\"a\":1}\n\n":       1,
	} {
		for _, step := range []int{len(in) + 1, 1, 2, 3} {
			var c Counter
			n := 0
			for b := []byte(in); len(b) > 0; b = b[min(step, len(b)):] {
				n += c.Feed(b[:min(step, len(b))])
			}
			if n != want {
				t.Errorf("%q by %d: %d events, want %d", in, step, n, want)
			}
		}
	}
}

func TestSkip(t *testing.T) {
	var c Counter
	c.Feed([]byte("data: a"))
	c.Skip()
	if n := c.Feed([]byte("rest\n\ndata: b\n\n")); n != 1 {
		t.Errorf("%d events after a gap, want 1", n)
	}
}

func FuzzCounter(f *testing.F) {
	f.Add([]byte("data: a\r\n\r\n: c\n\nevent: x\ndata\n\n"), 3)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		var one, two Counter
		if at < 0 || at > len(b) {
			at = len(b) / 2
		}
		want := one.Feed(b)
		if got := two.Feed(b[:at]) + two.Feed(b[at:]); got != want {
			t.Errorf("%q split at %d: %d events, whole %d", b, at, got, want)
		}
	})
}

func BenchmarkFeed(b *testing.B) {
	in := []byte("id: 7\nevent: price\ndata: " + strings.Repeat("x", 100) + "\n\n")
	var c Counter
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if c.Feed(in) != 1 {
			b.Fatal("no event")
		}
	}
}
