package wiretest

import (
	"testing"

	"vitals/core/wire"
)

// Fuzz adds all recordings, and their halves, to the corpus, and shows hostile
// bytes to the parser in hostile pieces: each byte of plan says whose bytes come
// next, how many, and how many of them were captured.
func Fuzz(f *testing.F, p *wire.Protocol) {
	for _, rec := range LoadAll(f, "testdata") {
		var data, plan []byte
		for _, turn := range rec {
			for b := turn.Data; len(b) > 0; b = b[min(len(b), 60):] {
				data = append(data, b[:min(len(b), 60)]...)
				plan = append(plan, byte(min(len(b), 60))<<1|byte(turn.From), 0)
			}
		}
		f.Add(data, plan)
	}
	f.Fuzz(func(t *testing.T, data, plan []byte) {
		for _, joined := range []bool{false, true} {
			var spans []wire.Span
			var size int64
			rest := data
			for i := 0; i+1 < len(plan) && len(rest) > 0; i += 2 {
				n := min(int(plan[i]>>1)+1, len(rest))
				s := wire.Span{From: wire.Side(plan[i] & 1), Data: rest[:n], Size: int64(n) + int64(plan[i+1]&0x7f), Turn: plan[i+1]&0x80 != 0}
				s.First = int64(i+1) * Step
				s.Last = s.First + 1
				rest, size = rest[n:], size+s.Size
				spans = append(spans, s)
			}
			r := Feed(p, spans, joined, "reset")
			if !r.Wrong && r.Switch == "" && r.Blind == "" && r.Parsed+r.Skipped != size {
				t.Fatalf("parsed %d and skipped %d of %d bytes", r.Parsed, r.Skipped, size)
			}
			if err := Sane(r.Exchanges, size); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Bench measures one recording again and again on one connection, after its
// first skip turns, and reports the time of an exchange.
func Bench(b *testing.B, p *wire.Protocol, rec Recording, skip int) {
	spans := rec.Spans()
	conn := p.New(wire.Options{Names: wire.NewNames(1000, nil)})
	var out wire.Out
	for i := range spans {
		conn.Feed(&spans[i], &out)
	}
	out.Reset()
	spans = spans[skip:]
	exchanges := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range spans {
			conn.Feed(&spans[i], &out)
		}
		exchanges += len(out.Exchanges)
		out.Reset()
	}
	if exchanges == 0 {
		b.Fatal("nothing was understood")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(exchanges), "ns/exchange")
}
