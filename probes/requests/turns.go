package requests

import "vitals/probes/requests/talk"

// maxTurns is how many exchanges may wait for their end with longer heads than
// a record of theirs has room for; each takes 32 KiB at most.
const maxTurns = 512

// turns keeps the parts of turns until the exchange comes that they belong to.
type turns struct {
	waiting map[uint64]*turn // by cookie
	spare   []*turn
}

// turn is what came of one exchange so far.
type turn struct {
	seq  uint32
	asks part
	says part
}

// part is one direction: bytes that begin at from; what is before that fitted
// into the exchange's own head.
type part struct {
	from  int
	bytes []byte
}

// add takes what the kernel captured at an offset. After a hole nothing more is taken.
func (p *part) add(offset uint64, captured []byte, fits int) {
	switch {
	case len(p.bytes) == 0 && offset <= uint64(fits):
		p.from = int(offset)
	case offset != uint64(p.from+len(p.bytes)):
		return
	}
	p.bytes = append(p.bytes, captured[:min(len(captured), maxHead-len(p.bytes))]...)
}

// behind gives head with what is longer; the result is p's.
func (p *part) behind(head []byte) []byte {
	if len(p.bytes) == 0 || p.from > len(head) {
		return head
	}
	p.bytes = append(p.bytes, head[:p.from]...) // for the room
	copy(p.bytes[p.from:], p.bytes)
	copy(p.bytes, head[:p.from])
	return p.bytes
}

func (t *turn) reset(seq uint32) {
	t.seq = seq
	t.asks.bytes, t.says.bytes = t.asks.bytes[:0], t.says.bytes[:0]
	t.asks.from, t.says.from = 0, 0
}

// part takes a part of a turn.
func (ts *turns) part(cookie uint64, seq uint32, asks bool, offset uint64, captured []byte) {
	t := ts.waiting[cookie]
	if t == nil {
		if len(ts.waiting) >= maxTurns {
			clear(ts.waiting) // their exchanges were lost, or they last long
		}
		t = ts.fresh()
		t.reset(seq)
		ts.waiting[cookie] = t
	}
	if t.seq != seq {
		t.reset(seq)
	}
	if asks {
		t.asks.add(offset, captured, requestHead)
	} else {
		t.says.add(offset, captured, responseHead)
	}
}

// complete gives an exchange the heads that came before it. They hold until the
// next call of part.
func (ts *turns) complete(r *talk.Record) {
	t := ts.waiting[r.Cookie]
	if t == nil || t.seq > r.Seq && r.Kind == talk.Exchange {
		return
	}
	delete(ts.waiting, r.Cookie)
	if t.seq == r.Seq {
		r.Request = t.asks.behind(r.Request)
		r.Response = t.says.behind(r.Response)
	}
	ts.spare = append(ts.spare, t)
}

func (ts *turns) fresh() *turn {
	n := len(ts.spare)
	if n == 0 {
		return &turn{}
	}
	t := ts.spare[n-1]
	ts.spare = ts.spare[:n-1]
	return t
}
