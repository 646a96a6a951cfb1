package feed

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"vitals/core/wire"
)

// frames reads messages of one length byte and as many bytes, of which it wants
// the first three.
func frames(in *Input, s *wire.Span, out *wire.Out) (got []string) {
	in.Begin(s)
	for {
		h := in.Peek(1)
		if len(h) < 1 {
			if in.Cut() {
				in.Lose()
			}
			break
		}
		size := int(h[0]) + 1
		want := min(size, 4)
		b := in.Peek(want)
		if len(b) < want && !in.Cut() {
			break
		}
		got = append(got, string(b[1:]))
		in.Skip(int64(size))
	}
	in.Finish(out)
	return got
}

func TestFramesComeOutOfAnySplit(t *testing.T) {
	stream := []byte("\x05hello\x00\x01a\x02bc\x03def\x04ghij")
	want := []string{"hel", "", "a", "bc", "def", "ghi"}
	for try := range 500 {
		r := rand.New(rand.NewPCG(1, uint64(try)))
		var in Input
		var got []string
		var out wire.Out
		for b := stream; len(b) > 0; {
			n := 1 + r.IntN(min(len(b), 1+try%9))
			got = append(got, frames(&in, &wire.Span{Data: bytes.Clone(b[:n]), Size: int64(n)}, &out)...)
			b = b[n:]
		}
		if len(got) != len(want) || out.Skipped != 0 || out.Parsed != int64(len(stream)) {
			t.Fatalf("%q, parsed %d, skipped %d", got, out.Parsed, out.Skipped)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
}

func TestHolesAreSkippedByLengthOrLost(t *testing.T) {
	for _, c := range []struct {
		data string
		size int64
		lost bool
		got  int
	}{
		{"\x05he", 6, false, 1},
		{"\x05he", 7, true, 1}, // one byte of another message
		{"\x05he", 4, false, 1},
		{"\x01a", 3, true, 1},
		{"", 5, true, 0},
	} {
		var in Input
		var out wire.Out
		got := frames(&in, &wire.Span{Data: []byte(c.data), Size: c.size}, &out)
		if in.Lost() != c.lost || len(got) != c.got || out.Parsed+out.Skipped != c.size || c.lost != (out.Skipped > 0) {
			t.Errorf("%q of %d: lost %v, got %q, parsed %d, skipped %d", c.data, c.size, in.Lost(), got, out.Parsed, out.Skipped)
		}
	}
	var in Input
	var out wire.Out
	frames(&in, &wire.Span{Data: []byte("\x05he"), Size: 4}, &out)
	if got := frames(&in, &wire.Span{Data: []byte("lo\x01a"), Size: 4}, &out); len(got) != 1 || got[0] != "a" {
		t.Errorf("after the rest of a message: %q", got)
	}
}

func TestLines(t *testing.T) {
	stream := []byte("one\r\ntwo\n\r\nfour")
	for size := 1; size <= len(stream); size++ {
		var in Input
		var out wire.Out
		var got []string
		for b := stream; len(b) > 0; {
			n := min(size, len(b))
			in.Begin(&wire.Span{Data: bytes.Clone(b[:n]), Size: int64(n)})
			b = b[n:]
			for {
				line, skip, ok := in.Line(64)
				if !ok {
					break
				}
				got = append(got, string(line))
				in.Skip(int64(skip))
			}
			in.Finish(&out)
		}
		if len(got) != 3 || got[0] != "one" || got[1] != "two" || got[2] != "" || string(in.carry) != "four" {
			t.Errorf("in pieces of %d: %q and %q", size, got, in.carry)
		}
	}
	var in Input
	in.Begin(&wire.Span{Data: []byte("0123456789"), Size: 10})
	if line, _, ok := in.Line(4); ok || len(line) != 4 {
		t.Errorf("a line that is too long: %q %v", line, ok)
	}
}

func TestFirstIsWhenThePieceBegan(t *testing.T) {
	var in Input
	var out wire.Out
	in.Begin(&wire.Span{Data: []byte("ab"), Size: 2, First: 1})
	in.Peek(4)
	in.Finish(&out)
	in.Begin(&wire.Span{Data: []byte("cdef"), Size: 4, First: 2})
	if b := in.Peek(4); string(b) != "abcd" || in.First() != 1 {
		t.Errorf("%q at %d", b, in.First())
	}
	in.Skip(4)
	if in.First() != 2 {
		t.Errorf("the next one at %d", in.First())
	}
}

func TestQueueKeepsOrderBeyondItsLimit(t *testing.T) {
	var q Queue[int]
	for i := range 10 {
		if q.Push(i, 6) != (i < 6) {
			t.Fatalf("push %d", i)
		}
	}
	for i := range 10 {
		v, held, ok := q.Pop()
		if !ok || held != (i < 6) || held && v != i {
			t.Fatalf("pop %d: %d %v %v", i, v, held, ok)
		}
		if i == 6 && q.Push(99, 6) {
			t.Fatal("overtook those that were refused")
		}
	}
	if _, held, ok := q.Pop(); held || !ok {
		t.Fatal("the refused one is forgotten")
	}
	if _, _, ok := q.Pop(); ok || q.Len() != 0 || !q.Push(1, 6) || *q.Oldest() != 1 || *q.Newest() != 1 {
		t.Fatal("not empty, or not usable, after everything is answered")
	}
}

func TestSteadyInputAllocatesNothing(t *testing.T) {
	var in Input
	var out wire.Out
	var q Queue[int]
	s := &wire.Span{Data: []byte("\x05hel"), Size: 4}
	rest := &wire.Span{Data: []byte("lo"), Size: 2}
	if n := testing.AllocsPerRun(100, func() {
		for _, s := range []*wire.Span{s, rest} {
			in.Begin(s)
			if b := in.Peek(6); len(b) == 6 {
				in.Skip(6)
			}
			in.Finish(&out)
		}
		q.Push(1, 4)
		q.Pop()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
