// Package feed is what parsers of byte streams share: Input cuts the spans of
// one side into pieces whatever the transfers looked like, and Queue remembers
// which requests wait, in order.
//
// Neither is safe for concurrent use. Both are bounded by what they are asked
// to keep and allocate only while they grow to that.
package feed

import (
	"bytes"

	"vitals/core/wire"
)

// Input is what one side sent, as far as it was captured. Usage, for each span:
//
//	in.Begin(s)
//	for {
//		b := in.Peek(n)               // or Line
//		if len(b) < n {
//			if !in.Cut() { break }    // the rest comes with the next span
//			...                       // it never comes: use b and Skip, or Lose
//		}
//		in.Skip(size of the message)
//	}
//	in.Finish(out)
//
// The zero value begins at the first byte of a connection.
type Input struct {
	carry []byte // bytes that are not consumed and do not wait in data
	old   int    // how many of them were told as parsed with earlier spans
	data  []byte // captured bytes of this span that are not consumed
	hole  int64  // bytes of this span that follow data and were not captured
	skip  int64  // bytes that are to be passed over in spans to come
	size  int64  // of this span
	gone  int64  // bytes of this span that were lost
	since int64  // when the first byte of carry went by
	first int64  // when the first byte of this span went by
	lost  bool
}

// maxCarry bounds what is kept of a span that the parser left alone.
const maxCarry = 16 << 10

// Begin takes the next span. Its data is used until Finish.
func (in *Input) Begin(s *wire.Span) {
	in.data, in.size, in.gone, in.first = s.Data, max(s.Size, int64(len(s.Data))), 0, s.First
	in.hole = in.size - int64(len(in.data))
	if in.skip > 0 {
		n := in.skip
		in.skip = 0
		in.Skip(n)
	}
}

// Lost reports that the next byte may be anywhere in a message. The parser looks
// at Rest and calls Found, or Drop.
func (in *Input) Lost() bool { return in.lost }

// Found says that a message begins at the next byte.
func (in *Input) Found() { in.lost = false }

// Rest is what is left of the captured bytes of this span.
func (in *Input) Rest() []byte { return in.data }

// Left is how many bytes of this span are left, captured or not.
func (in *Input) Left() int64 { return int64(len(in.carry)) + int64(len(in.data)) + in.hole }

// Drop gives the rest of the span up, and stays lost.
func (in *Input) Drop() {
	in.gone += in.Left() - int64(in.old)
	in.carry, in.old, in.data, in.hole, in.lost = in.carry[:0], 0, nil, 0, true
}

// Lose gives up what is left of the span, which was not captured up to the end
// of its message, and is lost from there.
func (in *Input) Lose() { in.Drop() }

// Forget is for a gap: bytes are missing before the next span.
func (in *Input) Forget() {
	in.carry, in.old, in.data, in.hole, in.skip, in.lost = in.carry[:0], 0, nil, 0, 0, true
}

// Cut reports that the bytes after the captured ones never come.
func (in *Input) Cut() bool { return in.hole > 0 }

// First is when the first byte of the piece went by that Peek or Line gives next.
func (in *Input) First() int64 {
	if len(in.carry) > 0 {
		return in.since
	}
	return in.first
}

// Peek gives the next n bytes without consuming them, or fewer: what there is.
// Fewer are kept until the next span unless Cut. The result is valid until the
// next call.
func (in *Input) Peek(n int) []byte {
	if len(in.carry) == 0 {
		if len(in.data) >= n {
			return in.data[:n]
		}
		if in.hole > 0 {
			return in.data
		}
	}
	if want := n - len(in.carry); want > 0 {
		in.stash(min(want, len(in.data)))
	}
	return in.carry[:min(n, len(in.carry))]
}

// Line gives the next line without its "\n" or "\r\n" and without consuming it,
// with the bytes that Skip must pass to consume it. ok is false without an end
// of line within max bytes: the line is then as much as there is of it, and too
// long when that is max bytes.
func (in *Input) Line(max int) (line []byte, size int, ok bool) {
	b := in.data
	if len(in.carry) > 0 || len(b) < max && in.hole == 0 && bytes.IndexByte(b, '\n') < 0 {
		b = in.line(max)
	}
	if len(b) > max {
		b = b[:max]
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, len(b), false
	}
	if i > 0 && b[i-1] == '\r' {
		return b[:i-1], i + 1, true
	}
	return b[:i], i + 1, true
}

// line moves bytes to carry, up to the end of the line.
func (in *Input) line(max int) []byte {
	if bytes.IndexByte(in.carry, '\n') < 0 {
		n := bytes.IndexByte(in.data, '\n') + 1
		if n == 0 {
			n = len(in.data)
		}
		in.stash(min(n, max-min(max, len(in.carry))))
	}
	return in.carry
}

func (in *Input) stash(n int) {
	if len(in.carry) == 0 {
		in.since = in.first
	}
	in.carry = append(in.carry, in.data[:n]...)
	in.data = in.data[n:]
}

// Skip consumes the next n bytes, whether they were captured or are yet to come.
func (in *Input) Skip(n int64) {
	if c := int64(len(in.carry)); n < c {
		in.carry = in.carry[:copy(in.carry, in.carry[n:])]
		in.old = max(in.old-int(n), 0)
		return
	} else if c > 0 {
		n -= c
		in.carry, in.old = in.carry[:0], 0
	}
	k := min(n, int64(len(in.data)))
	in.data = in.data[k:]
	n -= k
	if n == 0 {
		return
	}
	k = min(n, in.hole)
	in.hole -= k
	in.skip = n - k
}

// Finish ends the span: what was consumed and kept is parsed, the rest skipped.
func (in *Input) Finish(out *wire.Out) {
	if in.hole > 0 {
		in.Lose()
	}
	if len(in.data) > maxCarry {
		in.Lose()
	}
	if len(in.data) > 0 {
		in.stash(len(in.data))
	}
	out.Skipped += in.gone
	out.Parsed += max(in.size-in.gone, 0)
	in.data, in.size, in.gone, in.old = nil, 0, 0, len(in.carry)
}

// Pending is how many bytes of what was skipped are still to come.
func (in *Input) Pending() int64 { return in.skip }
