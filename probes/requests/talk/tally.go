package talk

import "vitals/core"

// tally gathers what goes to the sink in one batch.
type tally struct {
	sink   core.Sink
	batch  []core.Request
	cover  []core.Coverage
	at     map[core.ProcKey]int // index in cover
	last   core.ProcKey         // of the record before: most come in runs
	lastAt int
}

func newTally(sink core.Sink) tally {
	return tally{sink: sink, batch: make([]core.Request, 0, maxBatch), at: make(map[core.ProcKey]int), lastAt: -1}
}

// of finds the figures of a process in this batch. The result is valid until the
// next call of anything here.
func (t *tally) of(proc core.ProcKey) *core.Coverage {
	if t.lastAt < 0 || t.last != proc {
		i, ok := t.at[proc]
		if !ok {
			i = len(t.cover)
			t.at[proc] = i
			t.cover = append(t.cover, core.Coverage{Proc: proc})
		}
		t.last, t.lastAt = proc, i
	}
	return &t.cover[t.lastAt]
}

// next gives the place of the next request.
func (t *tally) next() *core.Request {
	if len(t.batch) == cap(t.batch) {
		t.hand()
	}
	t.batch = t.batch[:len(t.batch)+1]
	return &t.batch[len(t.batch)-1]
}

func (t *tally) hand() {
	if len(t.batch) > 0 {
		t.sink.Requests(t.batch)
		t.batch = t.batch[:0]
	}
}

// deliver hands everything on and starts anew with the same memory.
func (t *tally) deliver() {
	t.hand()
	if len(t.cover) > 0 {
		t.sink.Coverage(t.cover)
		t.cover = t.cover[:0]
		clear(t.at)
		t.lastAt = -1
	}
}
