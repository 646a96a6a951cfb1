package http1

import (
	"fmt"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

const (
	get  = "GET /users/42 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// script makes turns of lines that begin with "> " or "< ".
func script(turns ...string) (rec wiretest.Recording) {
	for _, turn := range turns {
		from := wire.Client
		if turn[0] == '<' {
			from = wire.Server
		}
		rec = append(rec, wiretest.Turn{From: from, Data: []byte(turn[2:])})
	}
	return rec
}

// told gives exchanges as lines, without times and sizes.
func told(all []wire.Exchange) string {
	var b strings.Builder
	for i := range all {
		x := &all[i]
		fmt.Fprintf(&b, "%s %s %d", x.Method, x.Target, x.Status)
		for word, on := range map[string]bool{" " + x.Error: x.Error != "", " stream": x.Stream, " partial": x.Partial} {
			if on {
				b.WriteString(word)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestConversations(t *testing.T) {
	long := "GET /a HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"
	for _, c := range []struct {
		name  string
		turns wiretest.Recording
		want  string
	}{
		{"plain", script("> "+get, "< "+okay, "> "+get, "< "+okay), "GET /users/{id} 200\nGET /users/{id} 200\n"},
		{"pipelined", script("> "+get+"HEAD /b HTTP/1.1\r\n\r\n"+get, "< "+okay+"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"+"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
			"GET /users/{id} 200\nHEAD /b 204\nGET /users/{id} 503\n"},
		{"pipelined, answers meanwhile", script("> "+get+get, "< "+okay, "> "+get, "< "+okay+okay), strings.Repeat("GET /users/{id} 200\n", 3)},
		{"head", script("> HEAD /a HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "> "+get, "< "+okay), "HEAD /a 200\nGET /users/{id} 200\n"},
		{"interim", script("> POST /u HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "< HTTP/1.1 100 Continue\r\n\r\n", "> body", "< HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"), "POST /u 201\n"},
		{"chunked both ways", script("> POST /u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nGET\r\na\r\n0123456789\r\n0\r\nTrailer: GET / HTTP/1.1\r\n\r\n",
			"< HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nHTTP/\r\n0\r\n\r\n", "> "+get, "< "+okay), "POST /u 200\nGET /users/{id} 200\n"},
		{"early answer", script("> POST /u HTTP/1.1\r\nContent-Length: 9\r\n\r\n123", "< HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n", "> 456789"+get, "< "+okay), "POST /u 413\nGET /users/{id} 200\n"},
		{"read ahead", script("> "+get+"G", "< "+okay, "> "+get[1:], "< "+okay), "GET /users/{id} 200\nGET /users/{id} 200\n"},
		{"long header", script("> "+long, "< "+okay), "GET /a 200\n"},
		{"long target", script("> GET /a/"+strings.Repeat("b/", 40000)+" HTTP/1.1\r\nHost: h\r\n\r\n", "< HTTP/1.1 414 X\r\nContent-Length: 0\r\n\r\n"), "GET /a/b/b/b/b/b/b/b/b/b/b/b/* 414\n"},
		{"tunnel", script("> CONNECT a.example:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\n\r\n"), "CONNECT {authority} 200\n"},
		{"no tunnel", script("> CONNECT a.example:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "> "+get, "< "+okay), "CONNECT {authority} 407\nGET /users/{id} 200\n"},
		{"websocket", script("> GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "< HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), "GET /chat 101\n"},
		{"refused upgrade", script("> GET /chat HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "< "+okay, "> "+get, "< "+okay), "GET /chat 200\nGET /users/{id} 200\n"},
		{"events", script("> GET /events HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n3\r\n: k\r\n", "< 9\r\ndata: b\n\n\r\n0\r\n\r\n", "> "+get, "< "+okay), "GET /events 200 stream\nGET /users/{id} 200\n"},
		{"until the end", script("> GET /a HTTP/1.0\r\n\r\n", "< HTTP/1.0 200 OK\r\n\r\nbody", "< and more"), "GET /a 200 reset\n"},
		{"bare lines", script("> GET /a HTTP/1.1\nHost: h\n\n", "< HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), "GET /a 200\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := wiretest.Check
			if strings.Contains(c.name, "pipelined") { // a cut head may hide others
				check = wiretest.CheckSplits
			}
			r := check(t, &Protocol, c.turns)
			if got := told(r.Exchanges); got != c.want {
				t.Errorf("told\n%swant\n%s", got, c.want)
			}
		})
	}
}

// exchanges feeds turns as exchange mode does.
func exchanges(turns wiretest.Recording, joined bool, reason string) wiretest.Result {
	spans := turns.Exchanges(256, 64)
	for i := range spans {
		spans[i].Turn = true
	}
	return wiretest.Feed(&Protocol, spans, joined, reason)
}

func TestTurns(t *testing.T) {
	big := "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sat, 21 Nov 2026 06:00:00 GMT\r\n" + strings.Repeat("X: y\r\n", 50) + "\r\n" + strings.Repeat("z", 9000)
	head := "GET /a HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("x", 300) + "\r\n\r\n"
	half := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234"
	for _, c := range []struct {
		name     string
		turns    wiretest.Recording
		joined   bool
		want     string
		unpaired int
	}{
		{"told at once", script("> "+get, "< "+big), false, "GET /users/{id} 200\n", 0},
		{"heads beyond the capture", script("> "+head, "< "+big, "> "+head, "< "+big), false, "GET /a 200\nGET /a 200\n", 0},
		{"beyond the capture, read ahead", script("> "+head+"G", "< "+big, "> "+head[1:], "< "+big), false, "GET /a 200\nGET /a 200\n", 0},
		{"joined behind the first byte", script("> "+get[1:], "< "+big), true, "GET /users/{id} 200\n", 0},
		{"joined in a body", script("> abc", "< "+big, "> "+get, "< "+big), true, "GET /users/{id} 200\n", 1},
		{"joined in an answer", script("> "+get, "< zzz"), true, "GET /users/{id} 0 partial\n", 0},
		{"pipelined beyond the answers' capture", script("> "+get+get+get, "< "+big), false, "GET /users/{id} 200\n" + strings.Repeat("GET /users/{id} 0 partial\n", 2), 0},
		{"pipelined beyond the capture", script("> "+strings.Repeat(get, 9), "< "+big), false, "GET /users/{id} 200\n" + strings.Repeat("GET /users/{id} 0 partial\n", 5), 0},
		{"a body that was not seen whole", script("> "+get, "< "+half, "> "+get, "< "+okay), false, "GET /users/{id} 200 partial\nGET /users/{id} 200\n", 0},
		{"an upload of a gigabyte", script("> POST /u HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("GET / HTTP/1.1\r\n\r\n", 300)[:5000], "< "+okay, "> "+get, "< "+okay), false, "POST /u 200\nGET /users/{id} 200\n", 0},
		{"interim behind a long head", script("> POST /u HTTP/1.1\r\nCookie: "+strings.Repeat("x", 300)+"\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "< HTTP/1.1 100 Continue\r\n\r\n", "> body", "< "+okay), false, "POST /u 200\n", 0},
		{"an event stream whose type is beyond the capture", script("> GET /e HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n", "< "+big, "> "+get, "< "+big), false, "GET /e 200 stream\nGET /users/{id} 200\n", 0},
		{"no event stream after all", script("> GET /e HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n", "< HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"), false, "GET /e 200\n", 0},
		{"no answer", script("> " + get), false, "GET /users/{id} 0 reset\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := exchanges(c.turns, c.joined, "reset")
			if got := told(r.Exchanges); got != c.want || r.Unpaired != c.unpaired || r.Wrong {
				t.Errorf("told\n%swant\n%sunpaired %d, want %d; %+v", got, c.want, r.Unpaired, c.unpaired, r)
			}
		})
	}
}

func TestNotHTTP(t *testing.T) {
	for _, first := range []string{"*1\r\n$4\r\nPING\r\n", "\x16\x03\x01\x02", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET key\r\n", "gets a\r\n"} {
		if r := exchanges(script("> "+first, "< +OK\r\n"), false, ""); !r.Wrong || len(r.Exchanges) > 0 {
			t.Errorf("%q: %+v", first, r)
		}
		if v := Sniff(wire.Client, []byte(first), int64(len(first))); v != wire.No {
			t.Errorf("%q: verdict %d", first, v)
		}
	}
	var turns []string
	for range 20 {
		turns = append(turns, "> abc", "< def")
	}
	if r := exchanges(script(turns...), true, ""); !r.Wrong || len(r.Exchanges) > 0 {
		t.Errorf("joined: %+v", r)
	}
}

func TestUpgradesHandOver(t *testing.T) {
	for _, c := range []struct{ upgrade, to string }{{"websocket", "websocket"}, {"h2c, x", "http2"}, {"spdy/3.1", wire.Unknown}} {
		conn := newConn(wire.Options{Names: wire.NewNames(9, nil)})
		var out wire.Out
		ask := "GET /chat/7 HTTP/1.1\r\nHost: h\r\nUpgrade: " + c.upgrade + "\r\n\r\n"
		conn.Feed(&wire.Span{Data: []byte(ask), Size: int64(len(ask)), First: 5, Last: 5}, &out)
		reply := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + c.upgrade + "\r\n\r\nrest"
		conn.Feed(&wire.Span{From: wire.Server, Data: []byte(reply), Size: int64(len(reply)) + 10, First: 8, Last: 8}, &out)
		if out.Switch != c.to || out.Rest != 14 {
			t.Errorf("%s: switch %q, rest %d", c.upgrade, out.Switch, out.Rest)
		}
		if (out.Begun != nil) != (c.to != wire.Unknown) || out.Begun != nil && (out.Begun.Target != "/chat/{id}" || out.Begun.Start != 5) {
			t.Errorf("%s: begun %+v", c.upgrade, out.Begun)
		}
		if told := len(out.Exchanges); told != 1 && c.to != h2c || told != 0 && c.to == h2c {
			t.Errorf("%s: %d exchanges", c.upgrade, told)
		}
	}
}

func TestManyWait(t *testing.T) {
	conn := newConn(wire.Options{Names: wire.NewNames(9, nil)})
	var out wire.Out
	feed := func(from wire.Side, text string, n int) {
		for range n {
			conn.Feed(&wire.Span{From: from, Data: []byte(text), Size: int64(len(text)), First: 1, Last: 1}, &out)
		}
	}
	feed(wire.Client, get, 1000)
	if n, oldest := conn.Waiting(); n != maxPending || oldest != 1 {
		t.Errorf("%d wait since %d", n, oldest)
	}
	feed(wire.Server, okay, 1000)
	if len(out.Exchanges) != 1000 || out.Unpaired != 0 {
		t.Errorf("%d exchanges, %d unpaired", len(out.Exchanges), out.Unpaired)
	}
}

func TestEventsAreCounted(t *testing.T) {
	r := exchanges(script("> GET /e HTTP/1.1\r\n\r\n", "< HTTP/1.1 200 OK\r\nContent-Type:text/event-stream\r\n\r\ndata: 1\n\n"), false, "cancelled")
	if len(r.Exchanges) != 1 || !r.Exchanges[0].Stream || r.Exchanges[0].MessagesAnswered != 1 || r.Exchanges[0].Error != "" {
		t.Errorf("%+v", r)
	}
}

func FuzzConn(f *testing.F) {
	f.Add([]byte(get+get), []byte(okay+okay), uint8(3), false)
	f.Add([]byte(get[1:]), []byte("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n"), uint8(1), true)
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), []byte("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), uint8(7), false)
	f.Fuzz(func(t *testing.T, asked, answered []byte, split uint8, joined bool) {
		conn := newConn(wire.Options{Names: wire.NewNames(100, nil), Joined: joined})
		var out wire.Out
		var all []wire.Exchange
		var size int64
		step := int(split%64) + 1
		for at := int64(1); len(asked)+len(answered) > 0; at++ {
			s := wire.Span{First: at, Last: at, Turn: split&64 != 0}
			side := &asked
			if at%2 == 0 {
				s.From, side = wire.Server, &answered
			}
			n := min(step, len(*side))
			s.Data, s.Size = (*side)[:n], int64(n)
			*side = (*side)[n:]
			if split&128 != 0 {
				s.Size += int64(n) / 2
			}
			size += s.Size
			conn.Feed(&s, &out)
			if len(conn.queue)-conn.head > maxPending || len(conn.client.line) > maxLine || len(conn.server.line) > maxLine {
				t.Fatal("too much is kept")
			}
			all = append(all, out.Exchanges...)
			out.Reset()
		}
		conn.End(1<<40, "reset", &out)
		if err := wiretest.Sane(append(all, out.Exchanges...), size); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	req := "GET /users/42/orders/9f1c2b3a-1c2d-4e3f-8a9b-0123456789ab?x=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
	resp := "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 06"
	conn := newConn(wire.Options{Names: wire.NewNames(100, nil)})
	var out wire.Out
	ask := wire.Span{Data: []byte(req), Size: int64(len(req)), First: 1, Last: 1, Turn: true}
	reply := wire.Span{From: wire.Server, Data: []byte(resp), Size: 1200, First: 2, Last: 3, Turn: true}
	b.ReportAllocs()
	for b.Loop() {
		conn.Feed(&ask, &out)
		conn.Feed(&reply, &out)
		if len(out.Exchanges) != 1 {
			b.Fatal("not told")
		}
		out.Reset()
	}
}
