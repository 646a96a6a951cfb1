package http2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2/hpack"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

func TestRecordings(t *testing.T) {
	want := map[string]map[string]int{
		"go": {
			"GET /users/{id} 200": 1, "GET /events 200 stream": 1, "GET /busy 503": 1, "grpc /shop.v1beta1.Cart/Add OK": 1,
			"grpc /shop.v1beta1.Cart/Missing NOT_FOUND": 1, "grpc /shop.v1beta1.Cart/Watch OK stream": 1,
		},
		"nginx-curl":   {"GET /nothing/{id} 404": 1},
		"nginx-nghttp": {"GET /page.html 200": 1, "GET /nothing 404": 1},
	}
	for name, rec := range wiretest.LoadAll(t, "testdata") {
		t.Run(name, func(t *testing.T) {
			r := wiretest.Check(t, &Protocol, rec)
			equal(t, tally(r.Exchanges), want[name])
			for _, x := range r.Exchanges {
				if x.Stream && x.Target == "/events" && x.MessagesAnswered != 3 || x.Target == "/shop.v1beta1.Cart/Watch" && (x.MessagesAsked != 1 || x.MessagesAnswered != 4 || x.Method != "Watch") {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}

// peer writes frames as an implementation of somebody else would.
type peer struct {
	buf bytes.Buffer
	enc *hpack.Encoder
}

func newPeer() *peer {
	p := new(peer)
	p.enc = hpack.NewEncoder(&p.buf)
	return p
}

func raw(typ, flags byte, stream uint32, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), typ, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}, payload...)
}

func (p *peer) headers(stream uint32, end bool, pairs ...string) []byte {
	flags := byte(endHeaders)
	if end {
		flags |= endStream
	}
	return raw(typeHeaders, flags, stream, string(header(p.enc, &p.buf, pairs...)))
}

func (p *peer) get(stream uint32, path string) []byte {
	return p.headers(stream, true, ":method", "GET", ":scheme", "http", ":path", path, ":authority", "shop.example")
}

func (p *peer) ok(stream uint32) []byte {
	return p.headers(stream, true, ":status", "200", "server", "x")
}

// talk feeds transfers and gives what is told at the end.
type talk struct {
	t    *testing.T
	conn *conn
	out  wire.Out
	at   int64
	size int64
}

func newTalk(t *testing.T, joined bool) *talk {
	return &talk{t: t, conn: newConn(wire.Options{Names: wire.NewNames(100, nil), Joined: joined})}
}

func (k *talk) send(from wire.Side, b []byte, beyond int64) {
	k.at++
	k.size += int64(len(b)) + beyond
	k.conn.Feed(&wire.Span{From: from, Data: b, Size: int64(len(b)) + beyond, First: k.at, Last: k.at}, &k.out)
}

func (k *talk) want(want map[string]int, unpaired int) {
	k.t.Helper()
	equal(k.t, tally(k.out.Exchanges), want)
	if k.out.Unpaired != unpaired {
		k.t.Errorf("unpaired %d, want %d", k.out.Unpaired, unpaired)
	}
	if err := wiretest.Sane(k.out.Exchanges, k.size); err != nil {
		k.t.Error(err)
	}
}

func TestOrderOfAnswers(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, append([]byte(preface), raw(typeSettings, 0, 0, "")...), 0)
	k.send(wire.Client, append(c.get(1, "/a"), c.get(3, "/b")...), 0)
	k.send(wire.Server, s.ok(3), 0)
	if n, oldest := k.conn.Waiting(); n != 1 || oldest != 2 {
		t.Errorf("%d wait since %d", n, oldest)
	}
	k.send(wire.Server, s.headers(1, false, ":status", "103", "link", "x"), 0)
	k.send(wire.Server, s.ok(1), 0)
	// An answer that is reported before its request, and one without any.
	k.send(wire.Server, append(s.ok(5), s.ok(7)...), 0)
	k.send(wire.Client, c.get(7, "/late"), 0)
	k.want(map[string]int{"GET /a 200": 1, "GET /b 200": 1, "GET /late 200": 1}, 1)
	if !k.out.Exchanges[2].Partial {
		t.Error("the late one is not partial")
	}
}

func TestHowStreamsEnd(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, []byte(preface), 0)
	for i := range uint32(5) {
		k.send(wire.Client, c.get(1+2*i, "/a"), 0)
	}
	k.send(wire.Client, raw(typeReset, 0, 1, "\x00\x00\x00\x08"), 0)
	k.send(wire.Server, raw(typeReset, 0, 3, "\x00\x00\x00\x07"), 0)
	k.send(wire.Server, raw(typeGoAway, 0, 0, "\x00\x00\x00\x05\x00\x00\x00\x00bye"), 0)
	k.send(wire.Server, s.ok(5), 0)
	k.conn.End(99, "timeout", &k.out)
	k.want(map[string]int{"GET /a 0 cancelled": 1, "GET /a 0 reset": 3, "GET /a 200": 1}, 0)
	if x := k.out.Exchanges; x[0].Code != "CANCEL" || x[1].Code != "REFUSED_STREAM" {
		t.Errorf("%+v", x)
	}
}

func TestPaddingPriorityContinuationPush(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	block := string(header(c.enc, &c.buf, ":method", "GET", ":path", "/padded", ":authority", "h"))
	all := raw(typeHeaders, padded|priority|endStream, 1, "\x03\x00\x00\x00\x00\x10"+block[:4]+"\x00\x00\x00")
	all = append(all, raw(typeContinuation, 0, 1, block[4:6])...)
	all = append(all, raw(typeContinuation, 0, 1, "")...)
	all = append(all, raw(typeContinuation, endHeaders, 1, block[6:])...)
	k.send(wire.Client, append([]byte(preface), all...), 0)
	promise := string(header(s.enc, &s.buf, ":method", "GET", ":path", "/pushed", ":status", "200"))
	k.send(wire.Server, raw(typePush, endHeaders, 1, "\x00\x00\x00\x02"+promise), 0)
	k.send(wire.Server, s.ok(2), 0)
	k.send(wire.Server, raw(0xfa, 0xff, 1, "an extension"), 0)
	k.send(wire.Server, s.headers(1, false, ":status", "200"), 0)
	k.send(wire.Server, raw(typeData, endStream|padded, 1, "\x02hello\x00\x00"), 0)
	k.want(map[string]int{"GET /padded 200": 1}, 0)
}

func TestDataIsSkippedAndLostHeadersAreSaid(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, append([]byte(preface), c.get(1, "/a/b")...), 0)
	k.send(wire.Server, s.headers(1, false, ":status", "200"), 0)
	data := raw(typeData, endStream, 1, string(make([]byte, 16000)))
	k.send(wire.Server, data[:50], int64(len(data)-50)) // cut, and its length is known
	k.want(map[string]int{"GET /a/b 200": 1}, 0)
	k.out.Reset()

	// The second is beyond the capture: its headers are missing, and the table
	// they were added to is not the same any more.
	lost := c.get(5, "/x/y")
	k.send(wire.Client, c.get(3, "/a/b"), int64(len(lost)))
	k.send(wire.Client, c.get(7, "/x/y"), 0)
	for _, id := range []uint32{3, 5, 7} {
		k.send(wire.Server, s.ok(id), 0)
	}
	k.send(wire.Client, c.get(9, "/new"), 0)
	k.send(wire.Client, c.get(11, "/new"), 0)
	k.send(wire.Server, append(s.ok(9), s.ok(11)...), 0)
	k.want(map[string]int{"GET /a/b 200": 1, "GET " + wire.UnknownLost + " 200": 1, "GET /new 200": 2}, 0)
}

func TestJoinedInTheMiddle(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, true)
	c.get(1, "/seen/by/nobody")
	s.ok(1)
	k.send(wire.Server, s.ok(1), 0)
	k.send(wire.Client, []byte("the middle of some data"), 0)
	k.send(wire.Client, c.get(3, "/seen/by/nobody"), 0)
	k.send(wire.Server, s.ok(3), 0)
	k.send(wire.Client, c.get(5, "/new"), 0)
	k.send(wire.Server, s.ok(5), 0)
	k.want(map[string]int{"GET " + wire.UnknownJoined + " 200": 1, "GET /new 200": 1}, 1)
}

func TestUpgraded(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.conn.Adopt(&wire.Exchange{Method: "GET", Target: "/up", Peer: "h", Start: 1, Asked: 50})
	k.size = 50
	k.send(wire.Server, raw(typeSettings, 0, 0, ""), 0)
	k.send(wire.Client, append([]byte(preface), c.get(3, "/b")...), 0)
	k.send(wire.Server, append(s.ok(1), s.ok(3)...), 0)
	k.want(map[string]int{"GET /up 200": 1, "GET /b 200": 1}, 0)
}

func TestGapAndOverflow(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, false)
	k.send(wire.Client, []byte(preface), 0)
	for i := range uint32(1000) {
		k.send(wire.Client, c.get(1+2*i, "/a"), 0)
	}
	if len(k.conn.streams.list) > maxStreams || len(k.out.Exchanges) != 1000-maxStreams {
		t.Errorf("%d open, %d told", len(k.conn.streams.list), len(k.out.Exchanges))
	}
	k.send(wire.Server, append(s.ok(1), s.ok(1999)...), 0)
	k.conn.Gap(&k.out)
	k.send(wire.Server, s.ok(1997), 0)
	if len(k.out.Exchanges) != 1000 || k.out.Unpaired != 0 {
		t.Errorf("%d told, %d unpaired", len(k.out.Exchanges), k.out.Unpaired)
	}
}

func TestNotHTTP2(t *testing.T) {
	for _, b := range []string{"GET / HTTP/1.1\r\n\r\n", "PRIORITY", "*1\r\n$4\r\nPING\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", string(make([]byte, 100)), ""} {
		for _, side := range []wire.Side{wire.Client, wire.Server} {
			if v := Sniff(side, []byte(b), int64(len(b))); v != wire.No {
				t.Errorf("%q: verdict %d", b, v)
			}
		}
		if k := newTalk(t, false); b != "" {
			k.send(wire.Client, []byte(b), 0)
			if !k.out.Wrong {
				t.Errorf("%q is believed", b)
			}
		}
	}
	for _, n := range []int{14, 24} { // Go reads the first line without its end
		if v := Sniff(wire.Client, []byte(preface[:n]), int64(n)); v != wire.Sure {
			t.Errorf("%d bytes of the preface: verdict %d", n, v)
		}
	}
	two := append(raw(typeSettings, 0, 0, "123456"), raw(typeWindow, 0, 0, "1234")...)
	if v := Sniff(wire.Server, two, int64(len(two))); v != wire.Likely {
		t.Errorf("two frames: verdict %d", v)
	}
	k := newTalk(t, true)
	for range maxMisses {
		k.send(wire.Client, []byte("nothing of the kind"), 0)
	}
	if !k.out.Wrong || len(k.out.Exchanges) > 0 {
		t.Error("joined: believed for ever")
	}
}

func FuzzConn(f *testing.F) {
	c, s := newPeer(), newPeer()
	f.Add(append([]byte(preface), c.get(1, "/a")...), s.ok(1), uint8(3), false)
	f.Add(c.headers(3, false, ":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"), append(s.ok(3), raw(typeReset, 0, 5, "abcd")...), uint8(70), true)
	f.Add(raw(typeHeaders, padded, 1, "\xff\x82"), raw(typeGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00"), uint8(200), true)
	f.Fuzz(func(t *testing.T, asked, answered []byte, split uint8, joined bool) {
		k := newTalk(t, joined)
		step := int(split%64) + 1
		for turn := 0; len(asked)+len(answered) > 0; turn++ {
			from, side := wire.Client, &asked
			if turn%2 == 1 {
				from, side = wire.Server, &answered
			}
			n := min(step, len(*side))
			beyond := int64(0)
			if split&128 != 0 {
				beyond = int64(n) / 2
			}
			k.send(from, (*side)[:n], beyond)
			*side = (*side)[n:]
			if split&64 != 0 && turn%5 == 4 {
				k.conn.Gap(&k.out)
			}
			if len(k.conn.streams.list) > maxStreams || len(k.conn.client.gathered) > maxBlock {
				t.Fatal("too much is kept")
			}
		}
		k.conn.End(1<<40, "reset", &k.out)
		if k.out.Missed < 0 || k.out.Missed > maxMissed*(1+int(k.size)) {
			t.Errorf("%d missed", k.out.Missed)
		}
		if err := wiretest.Sane(k.out.Exchanges, k.size); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	c, s := newPeer(), newPeer()
	call := func() []byte {
		return append(c.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/helloworld.Greeter/SayHello", ":authority", "h:1", "content-type", "application/grpc", "te", "trailers"),
			raw(typeData, endStream, 1, string(message(12)))...)
	}
	reply := func() []byte {
		b := append(s.headers(1, false, ":status", "200", "content-type", "application/grpc"), raw(typeData, 0, 1, string(message(12)))...)
		return append(b, s.headers(1, true, "grpc-status", "0")...)
	}
	conn := newConn(wire.Options{Names: wire.NewNames(100, nil)})
	var out wire.Out
	feed := func(from wire.Side, data []byte) {
		conn.Feed(&wire.Span{From: from, Data: data, Size: int64(len(data)), First: 1, Last: 1}, &out)
	}
	feed(wire.Client, []byte(preface))
	feed(wire.Client, call())
	feed(wire.Server, reply())
	asked, answered := call(), reply() // as encoded from the second on
	id := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		id += 2
		for _, m := range [][]byte{asked, answered} {
			for at := 0; at < len(m); at += frameHead + int(m[at+1])<<8 + int(m[at+2]) {
				m[at+5], m[at+6], m[at+7], m[at+8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
			}
		}
		out.Reset()
		feed(wire.Client, asked)
		feed(wire.Server, answered)
		if len(out.Exchanges) != 1 || out.Exchanges[0].Code != "OK" {
			b.Fatalf("%+v", out)
		}
	}
}

// A call whose headers are hidden is known by its messages.
func TestJoinedCalls(t *testing.T) {
	c, s, k := newPeer(), newPeer(), newTalk(t, true)
	call := func(id uint32, body string) ([]byte, []byte) {
		ask := append(c.headers(id, false, ":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"), raw(typeData, endStream, id, body)...)
		reply := append(s.headers(id, false, ":status", "200", "content-type", "application/grpc"), raw(typeData, 0, id, body)...)
		return ask, append(reply, s.headers(id, true, "grpc-status", "0")...)
	}
	call(1, "seen by nobody")
	for id, body := range map[uint32]string{3: string(message(10)), 5: `{"some":"json"}`} {
		k = newTalk(t, true)
		ask, reply := call(id, body)
		k.send(wire.Client, ask, 0)
		k.send(wire.Server, reply, 0)
		want := map[string]int{"grpc " + wire.UnknownJoined + " ": 1}
		if id == 5 {
			want = map[string]int{"POST " + wire.UnknownJoined + " 200": 1}
		}
		k.want(want, 0)
	}
}

// Joined anywhere, a connection gives names that are right, or none.
func TestJoinedNamesAreNeverWrong(t *testing.T) {
	for name, rec := range wiretest.LoadAll(t, "testdata") {
		right := map[string]bool{wire.UnknownJoined: true}
		for _, x := range wiretest.Feed(&Protocol, rec.Spans(), false, "").Exchanges {
			right[x.Target] = true
		}
		known, all := 0, 0
		for at := range rec {
			for _, cut := range []int{0, 1, 9, len(rec[at].Data) / 3} {
				spans := rec.Spans()[at:]
				spans[0].Data = spans[0].Data[min(cut, len(spans[0].Data)):]
				spans[0].Size = int64(len(spans[0].Data))
				for _, x := range wiretest.Feed(&Protocol, spans, true, "reset").Exchanges {
					all++
					if !right[x.Target] || x.Method == "" {
						t.Errorf("%s joined at turn %d, byte %d: %s %s", name, at, cut, x.Method, x.Target)
					}
					if x.Target != wire.UnknownJoined {
						known++
					}
				}
			}
		}
		t.Logf("%s: %d of %d named", name, known, all)
	}
}
