package http2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// conversation makes random requests that overlap, and their truth by path, which
// each has for its own or shares with few.
func conversation(r *rand.Rand) (rec wiretest.Recording, truth map[string]int) {
	c, s := newPeer(), newPeer()
	truth = make(map[string]int)
	rec = wiretest.Recording{{From: wire.Client, Data: append([]byte(preface), raw(typeSettings, 0, 0, "")...)}}
	var open []uint32
	paths := make(map[uint32]string)
	send := func(from wire.Side, b []byte) {
		if n := len(rec) - 1; r.IntN(2) == 0 && rec[n].From == from {
			rec[n].Data = append(rec[n].Data, b...)
			return
		}
		rec = append(rec, wiretest.Turn{From: from, Data: b})
	}
	for id := uint32(1); id < 80 || len(open) > 0; {
		if id < 80 && (len(open) == 0 || r.IntN(2) == 0) {
			paths[id] = fmt.Sprintf("/%c/%c", 'a'+r.IntN(26), 'a'+r.IntN(3))
			body := r.IntN(2) == 0
			noise := fmt.Sprintf("x-%c", 'a'+r.IntN(26))
			send(wire.Client, c.headers(id, !body, ":method", "PUT", ":scheme", "http", ":path", paths[id], ":authority", "h", noise, noise))
			if body {
				send(wire.Client, raw(typeData, endStream, id, strings.Repeat("d", r.IntN(900))))
			}
			open = append(open, id)
			id += 2
			continue
		}
		i := r.IntN(len(open))
		done := open[i]
		open = append(open[:i], open[i+1:]...)
		status := fmt.Sprint(200 + r.IntN(300))
		truth["PUT "+paths[done]+" "+status]++
		send(wire.Server, s.headers(done, false, ":status", status, "server", "x"))
		send(wire.Server, raw(typeData, endStream, done, strings.Repeat("d", r.IntN(900))))
	}
	return rec, truth
}

// Whatever is captured of a connection, what is told of it is true: paths and
// statuses are right or not there, and nothing is told that never was.
func TestWhatIsToldIsTrue(t *testing.T) {
	all, part, named := 0, 0, 0
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 9))
		rec, truth := conversation(r)
		whole := wiretest.Feed(&Protocol, rec.Spans(), false, "")
		equal(t, tally(whole.Exchanges), truth)
		all += len(whole.Exchanges)
		spans := rec.Spans()
		most := 20 + r.IntN(1200)
		for i := range spans {
			spans[i].Data = spans[i].Data[:min(most, len(spans[i].Data))]
		}
		if seed%3 == 0 {
			spans = spans[r.IntN(len(spans)):]
		}
		routes := make(map[string]bool)
		for line := range truth {
			routes[strings.Fields(line)[1]] = true
		}
		for _, x := range wiretest.Feed(&Protocol, spans, seed%3 == 0, "reset").Exchanges {
			part++
			hidden := x.Target == wire.UnknownJoined || x.Target == wire.UnknownLost
			if !hidden && !routes[x.Target] || x.Method != "PUT" && x.Method != wire.Unknown {
				t.Fatalf("seed %d: nobody asked for %s %s", seed, x.Method, x.Target)
			}
			if hidden {
				continue
			}
			named++
			if x.Status != 0 && truth[fmt.Sprintf("PUT %s %d", x.Target, x.Status)] == 0 {
				t.Fatalf("seed %d: %s was never answered %d: %+v\n%v", seed, x.Target, x.Status, x, truth)
			}
		}
	}
	t.Logf("%d requests, %d told of short captures, %d with their names", all, part, named)
	if part < all/3 || named < part/2 {
		t.Errorf("of %d requests %d were told, %d with their names", all, part, named)
	}
}
