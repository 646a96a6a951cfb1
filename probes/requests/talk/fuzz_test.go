package talk

import (
	"testing"

	"vitals/core"
)

// FuzzTake plays sequences of records that the kernel may never write: no crash,
// no request counted twice, and nothing left when all connections have ended.
func FuzzTake(f *testing.F) {
	f.Add([]byte("\x00\x01\x01!a\x00\x01\x02!b\x02\x01\x02"))
	f.Add([]byte("\x10\x01\x01~a\x21\x01\x01~a\x00\x02\x05?nonsense"))
	f.Add([]byte("\x01\x03\x01!upgrade\x01\x03\x02#x\x40\x03\x03\x7f"))
	f.Fuzz(func(t *testing.T, script []byte) {
		s, p := play()
		records := uint64(0)
		for len(script) >= 8 {
			b := script[:8]
			script = script[8:]
			r := said(uint64(b[1]%5), uint32(b[2]%16), string(b[3:6]), string(b[5:8]))
			r.Kind, r.Role, r.Flags = Kind(b[0]%3), core.Role(b[0]>>2%3), uint16(b[0])<<4|uint16(b[7])
			r.RemotePort = uint16(b[6] % 3)
			p.Take(&r)
			records++
			if b[2] == 0xff {
				p.Release(map[uint64]bool{1: true})
			}
		}
		for cookie := range uint64(5) {
			p.Take(&Record{Kind: End, Cookie: cookie})
		}
		p.Release(nil)
		p.Deliver()
		if len(p.table.byCookie)+len(p.pairs)+len(p.streaming)+len(p.undecided)+len(p.held) != 0 {
			t.Errorf("left: %d connections, %d pairs, %d streaming, %d undecided, %d held", len(p.table.byCookie), len(p.pairs), len(p.streaming), len(p.undecided), len(p.held))
		}
		if got := uint64(len(s.seen)); got > records {
			t.Errorf("%d requests of %d records", got, records)
		}
	})
}
