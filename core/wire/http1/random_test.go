package http1

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// message makes a body and the headers that announce it, of one of all shapes.
func message(r *rand.Rand, head string) string {
	if r.IntN(3) == 0 {
		head += "X-Long: " + strings.Repeat("y", r.IntN(600)) + "\r\n"
	}
	body := strings.Repeat("GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n", 40)[:r.IntN(900)]
	switch r.IntN(3) {
	case 0:
		return head + "Content-Length: 0\r\n\r\n"
	case 1:
		return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	var b strings.Builder
	b.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := 1 + r.IntN(len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// conversation makes random requests, some of them pipelined, and their truth.
func conversation(r *rand.Rand) (rec wiretest.Recording, truth []string) {
	for range 1 + r.IntN(8) {
		var ask, reply strings.Builder
		depth := 1
		if r.IntN(4) == 0 {
			depth = 1 + r.IntN(5)
		}
		for range depth {
			verb, path := []string{"POST", "PUT", "PATCH"}[r.IntN(3)], fmt.Sprintf("/%c/%c", 'a'+r.IntN(26), 'a'+r.IntN(26))
			status := 200 + r.IntN(300)
			if status == 204 || status == 304 {
				status = 404
			}
			ask.WriteString(message(r, verb+" "+path+" HTTP/1.1\r\nHost: h\r\n"))
			if r.IntN(6) == 0 {
				reply.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
			}
			reply.WriteString(message(r, fmt.Sprintf("HTTP/1.1 %d X\r\n", status)))
			truth = append(truth, fmt.Sprintf("%s %s %d", verb, path, status))
		}
		rec = append(rec, wiretest.Turn{From: wire.Client, Data: []byte(ask.String())}, wiretest.Turn{From: wire.Server, Data: []byte(reply.String())})
	}
	return rec, truth
}

// Whatever is captured of a conversation, what is told of it is true: all of it
// when everything was captured, else a part, in its order, and statuses only where
// they were seen.
func TestWhatIsToldIsTrue(t *testing.T) {
	whole, part, named := 0, 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 9))
		rec, truth := conversation(r)
		if got := strings.TrimSpace(told(wiretest.Feed(&Protocol, rec.Spans(), false, "").Exchanges)); got != strings.Join(truth, "\n") {
			t.Fatalf("seed %d: told\n%s\nthe truth is\n%s", seed, got, strings.Join(truth, "\n"))
		}
		whole += len(truth)
		spans := rec.Exchanges(16+r.IntN(600), 12+r.IntN(200))
		for i := range spans {
			spans[i].Turn = true
		}
		got := wiretest.Feed(&Protocol, spans, seed%2 == 0, "reset")
		if got.Wrong {
			t.Fatalf("seed %d: not believed any more", seed)
		}
		at := 0
		for _, x := range got.Exchanges {
			line := fmt.Sprintf("%s %s %d", x.Method, x.Target, x.Status)
			for at < len(truth) && !agrees(line, truth[at], &x) {
				at++
			}
			if at == len(truth) {
				t.Fatalf("seed %d: %q (%+v) is not true, or not in order; the truth is\n%s\ntold\n%s", seed, line, x, strings.Join(truth, "\n"), told(got.Exchanges))
			}
			at++
			part++
			if x.Status != 0 {
				named++
			}
		}
	}
	t.Logf("%d requests, %d told of short captures, %d with their status", whole, part, named)
	if part < whole/2 || named < part/2 {
		t.Errorf("of %d requests %d were told, %d with their status", whole, part, named)
	}
}

// agrees reports whether what was told can be that request: a cut target ends in
// a star, a status that was not seen is 0 and the exchange partial.
func agrees(line, truth string, x *wire.Exchange) bool {
	var verb, path string
	var status int
	fmt.Sscan(truth, &verb, &path, &status)
	if target, cut := strings.CutSuffix(x.Target, "*"); cut && strings.HasPrefix(path, target) {
		path = x.Target
	}
	if x.Status == 0 && x.Partial {
		status = 0
	}
	return line == fmt.Sprintf("%s %s %d", verb, path, status)
}
