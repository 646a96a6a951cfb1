package requests

import (
	"io"
	"net"
	"strings"
	"testing"

	"vitals/core"
	"vitals/probes/requests/talk"
)

// Flags of exchange.h.
const (
	closed   = 8
	joined   = 128
	received = 256
	ends     = 512
	switched = 2048
	greeting = 4096
)

func TestRecordsOfAConnection(t *testing.T) { bothPaths(t, recordsOfAConnection) }

func recordsOfAConnection(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	say(t, c, "ask 1")
	server.ask("s.recv(100); s.send(b'answer 1')")
	say(t, c, "ask 2")
	server.ask("s.recv(100); s.send(b'answer 2')")
	w.expect(w.one(), kindExchange, 1, 0, "ask 1", "answer 1")
	server.ask("s.close()")
	x := w.one()
	w.expect(x, kindExchange, 2, ends, "ask 2", "answer 2")
	if x.Role != roleServer || x.In != 5 || x.Out != 8 || x.Netns == 0 || x.Start == 0 || x.First < x.Start || x.Last < x.First {
		t.Errorf("%+v", x)
	}
	w.silent()
}

// What the server says first is told, and the end of a connection that has told
// everything else.
func TestGreetingAndEnd(t *testing.T) { bothPaths(t, greetingAndEnd) }

func greetingAndEnd(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	server.ask("s.send(b'hello')")
	w.expect(w.one(), kindChunk, 1, greeting, "hello", "")
	say(t, c, "ask")
	server.ask("s.recv(100); s.send(b'answer')")
	if _, err := io.ReadFull(c, make([]byte, len("helloanswer"))); err != nil {
		t.Fatal(err)
	}
	c.Close()
	server.ask("s.recv(100); s.close()")
	w.expect(w.one(), kindExchange, 2, 0, "ask", "answer")
	w.expect(w.one(), kindEnd, 2, 0, "", "")

	c = connect(t, server, addr)
	say(t, c, "never answered")
	server.ask("s.recv(100); s.close()")
	w.expect(w.one(), kindExchange, 1, closed|ends, "never answered", "")
	w.silent()
}

// Who missed bytes says so, once; who only waited has missed none.
func TestJoined(t *testing.T) { bothPaths(t, joinedInTheMiddle) }

func joinedInTheMiddle(t *testing.T) {
	server, addr := listening(t)
	used := connect(t, server, addr)
	say(t, used, "before")
	server.ask("s.recv(100); s.send(b'x'); u = s")
	idle := connect(t, server, addr)
	w := watch(t, server.key)
	server.ask("i = s; f = b'answer'")
	for _, c := range []struct {
		conn  net.Conn
		name  string
		flags uint16
	}{{used, "u", joined}, {idle, "i", 0}} {
		for range 2 {
			say(t, c.conn, "ask")
			server.ask(c.name + ".recv(100); " + c.name + ".send(f)")
		}
		w.expect(w.one(), kindExchange, 1, c.flags, "ask", "answer")
		server.ask(c.name + ".close()")
		w.expect(w.one(), kindExchange, 2, ends, "ask", "answer")
	}
}

// Switched off and on, a connection has a hole.
func TestHoleOfAToggle(t *testing.T) { bothPaths(t, holeOfAToggle) }

func holeOfAToggle(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	turn := func() {
		say(t, c, "ask")
		server.ask("s.recv(100); s.send(b'answer')")
	}
	turn()
	for _, on := range []bool{false, true} {
		turn()
		if err := w.Select(core.Selection{Set: map[core.ProcKey]bool{server.key: on}}); err != nil {
			t.Fatal(err)
		}
	}
	w.expect(w.one(), kindExchange, 1, 0, "ask", "answer")
	turn()
	turn()
	w.expect(w.one(), kindExchange, 2, 0, "ask", "answer")
	w.expect(w.one(), kindExchange, 3, joined, "ask", "answer")
}

// Tuned to go by chunk, a connection ships what it had and then each transfer.
func TestByChunk(t *testing.T) { bothPaths(t, byChunks) }

func byChunks(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	say(t, c, "ask")
	server.ask("s.recv(100); s.send(b'answer')")
	say(t, c, "begun")
	server.ask("s.recv(100)")
	x := w.one()
	steer := w.steer()
	steer.Connection(x.Cookie, core.RoleUnknown, talk.Capture{Stream: true, Head: 6000})
	big := strings.Repeat("0123456789", 700)
	say(t, c, " and ended")
	server.ask("s.recv(100)")
	w.expect(w.one(), kindChunk, 2, received|switched, "begun", "")
	w.expect(w.one(), kindChunk, 3, received, " and ended", "")
	say(t, c, big)
	server.ask("s.recv(len('" + big + "'), socket.MSG_WAITALL)")
	w.expect(w.one(), kindChunk, 4, received, big[:6000], "")
	server.ask("s.sendmsg([b'a'*100, b'b'*3000, b'', b'c'*4000])")
	w.expect(w.one(), kindChunk, 5, 0, strings.Repeat("a", 100)+strings.Repeat("b", 3000)+strings.Repeat("c", 2900), "")
	server.ask("s.send(b'small')")
	w.expect(w.one(), kindChunk, 6, 0, "small", "")

	steer.Connection(x.Cookie, core.RoleUnknown, talk.Capture{})
	say(t, c, "ask")
	server.ask("s.recv(100); s.send(b'answer'); s.close()")
	w.expect(w.one(), kindExchange, 7, ends, "ask", "answer")

	// The next connection of the port starts as this one was.
	steer.Endpoint(talk.Endpoint{NetNS: x.Netns, Port: x.Lport}, talk.Capture{Stream: true})
	c = connect(t, server, addr)
	say(t, c, "first")
	server.ask("s.recv(100)")
	w.expect(w.one(), kindChunk, 1, received, "first", "")
}

// The preface of HTTP/2 is recognised where it is, whole or in pieces.
func TestHTTP2Preface(t *testing.T) { bothPaths(t, http2Preface) }

func http2Preface(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	first := preface + strings.Repeat("h", 1000)
	say(t, c, first)
	server.ask("s.recv(10000); s.send(b'settings')")
	w.expect(w.one(), kindChunk, 1, received|switched, first, "")
	w.expect(w.one(), kindChunk, 2, 0, "settings", "")

	c = connect(t, server, addr)
	for _, part := range []string{"PR", preface[2:], "more"} {
		say(t, c, part)
		server.ask("s.recv(100)")
	}
	w.expect(w.one(), kindChunk, 1, received|switched, preface, "")
	w.expect(w.one(), kindChunk, 2, received, "more", "")
}

// Heads that are asked to be longer than a record has room for come before it.
func TestLongHeads(t *testing.T) { bothPaths(t, longHeads) }

func longHeads(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	c := connect(t, server, addr)
	say(t, c, "ask")
	server.ask("s.recv(100); s.send(b'answer')")
	say(t, c, "x")
	server.ask("s.recv(100)")
	x := w.one()
	w.steer().Connection(x.Cookie, core.RoleUnknown, talk.Capture{Head: 4000})
	say(t, c, strings.Repeat("q", 5000))
	server.ask("s.recv(5000, socket.MSG_WAITALL)")
	server.ask("s.send(b'a'*50); s.sendmsg([b'b'*100, b'c'*5000]); s.close()")
	var whole turns
	whole.waiting = make(map[uint64]*turn)
	for _, h := range w.next(2) {
		if h.Kind != kindHead || h.Seq != 2 {
			t.Fatalf("got %v", h)
		}
		whole.part(h.Cookie, h.Seq, h.Flags&received != 0, h.First, h.asked)
	}
	x = w.one()
	r := talk.Record{Kind: talk.Exchange, Cookie: x.Cookie, Seq: x.Seq, Request: x.asked, Response: x.said}
	whole.complete(&r)
	if want := "x" + strings.Repeat("q", 3999); string(r.Request) != want {
		t.Errorf("request %d bytes: %.40q", len(r.Request), r.Request)
	}
	if want := strings.Repeat("a", 50) + strings.Repeat("b", 100) + strings.Repeat("c", 3850); string(r.Response) != want {
		t.Errorf("response %d bytes: %.40q", len(r.Response), r.Response)
	}
}

// A socket whose role nobody knows shows its first transfers and then waits to be told.
func TestUnknownRole(t *testing.T) { bothPaths(t, unknownRole) }

func unknownRole(t *testing.T) {
	both := script(t, "a, b = socket.socketpair()\n")
	w := watch(t, both.key)
	turn := func() { both.ask("a.send(b'ask'); b.recv(100); b.send(b'answer'); a.recv(100)") }
	for range 5 {
		turn()
	}
	seen := map[uint64][]told{}
	for _, r := range w.next(8) {
		seen[r.Cookie] = append(seen[r.Cookie], r)
	}
	w.silent()
	if len(seen) != 2 {
		t.Fatalf("%d sockets: %v", len(seen), seen)
	}
	for cookie, records := range seen {
		role := core.RoleServer
		if records[0].Flags&received == 0 {
			role = core.RoleClient
		}
		if x := records[0]; x.Role != roleUnknown || x.Kind != kindChunk || string(x.asked) != "ask" || records[3].Seq != 4 {
			t.Errorf("%v", records)
		}
		w.steer().Connection(cookie, role, talk.Capture{})
	}
	turn()
	for _, x := range w.next(2) {
		if x.Kind != kindExchange || string(x.asked) != "ask" || string(x.said) != "answer" || x.Seq != 5 {
			t.Errorf("%v", x)
		}
	}
}
