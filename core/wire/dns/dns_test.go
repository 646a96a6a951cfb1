package dns

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// ask makes a question; extra bits go into the flags.
func ask(id uint16, name string, kind, flags uint16) []byte {
	b := make([]byte, headSize, 64)
	binary.BigEndian.PutUint16(b, id)
	binary.BigEndian.PutUint16(b[2:], flags|0x100)
	b[5] = 1
	for _, l := range strings.Split(strings.Trim(name, "."), ".") {
		if l != "" {
			b = append(append(b, byte(len(l))), l...)
		}
	}
	return append(b, 0, byte(kind>>8), byte(kind), 0, 1)
}

// reply answers q with records of a type.
func reply(q []byte, rcode uint16, kind uint16, data ...[]byte) []byte {
	b := append([]byte(nil), q...)
	binary.BigEndian.PutUint16(b[2:], 0x8180|rcode)
	b[7] = byte(len(data))
	for _, d := range data {
		b = append(b, 0xc0, headSize, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 60, byte(len(d)>>8), byte(len(d)))
		b = append(b, d...)
	}
	return b
}

func told(all []wire.Exchange) (lines []string) {
	for i := range all {
		x := &all[i]
		l := fmt.Sprintf("%s %s %s", x.Method, x.Target, x.Code)
		if x.Protocol != "" {
			l = x.Protocol + " " + l
		}
		if x.Error != "" {
			l += x.Error
		}
		if x.Retries > 0 {
			l += fmt.Sprintf(" again %d", x.Retries)
		}
		if x.Partial {
			l += " partial"
		}
		lines = append(lines, l)
	}
	return lines
}

type datagrams struct {
	c    wire.Conn
	out  wire.Out
	at   int64
	size int64
}

func newDatagrams(o wire.Options) *datagrams {
	o.Names = wire.NewNames(100, nil)
	return &datagrams{c: UDP.New(o)}
}

func (d *datagrams) send(from wire.Side, b []byte) {
	d.at += 1e6
	d.size += int64(len(b))
	d.c.Feed(&wire.Span{From: from, Data: b, Size: int64(len(b)), First: d.at, Last: d.at}, &d.out)
}

func (d *datagrams) want(t *testing.T, unpaired int, lines ...string) {
	t.Helper()
	got := told(d.out.Exchanges)
	if strings.Join(got, "\n") != strings.Join(lines, "\n") || d.out.Unpaired != unpaired {
		t.Errorf("told %q, unpaired %d\nwant %q, %d", got, d.out.Unpaired, lines, unpaired)
	}
	if err := wiretest.Sane(d.out.Exchanges, d.size); err != nil {
		t.Error(err)
	}
}

func TestLookups(t *testing.T) {
	d := newDatagrams(wire.Options{})
	a, aaaa := ask(1, "Shop.Example", typeA, 0), ask(2, "shop.example", typeAAAA, 0)
	d.send(wire.Client, a)
	d.send(wire.Client, aaaa)
	d.send(wire.Client, a) // again
	if n, oldest := d.c.Waiting(); n != 2 || oldest != 1e6 {
		t.Errorf("%d wait since %d", n, oldest)
	}
	d.send(wire.Server, reply(aaaa, 0, typeAAAA, make([]byte, 16)))
	d.send(wire.Server, reply(a, 0, typeA, []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}))
	d.send(wire.Server, reply(a, 0, typeA, []byte{10, 0, 0, 1})) // of the second try
	d.send(wire.Server, reply(ask(9, "x.example", typeA, 0), 0, typeA))
	lost := ask(3, "gone.example", typeA, 0)
	d.send(wire.Client, lost)
	d.send(wire.Server, reply(lost, 3, typeA))
	d.send(wire.Client, ask(4, "slow.example", 16, 0))
	d.at += 20e9
	d.send(wire.Client, ask(5, "4.3.2.1.in-addr.arpa", 12, 0))
	d.c.End(d.at+5, "cancelled", &d.out)
	d.want(t, 1, "AAAA shop.example NOERROR", "A shop.example NOERROR again 1", "A gone.example NXDOMAIN",
		"TXT slow.example timeout", "PTR {ip}.in-addr.arpa cancelled")
	if r := d.out.Resolved; len(r) != 3 || r[1].Name != "shop.example" || r[1].Addr.String() != "10.0.0.1" || !r[0].Addr.Is6() {
		t.Errorf("resolved %v", r)
	}
	if x := d.out.Exchanges[2]; x.FailedServer || !x.FailedClient {
		t.Errorf("a name that does not exist: %+v", x)
	}
}

func TestRelatives(t *testing.T) {
	d := newDatagrams(wire.Options{Port: portMDNS})
	d.send(wire.Client, ask(0, "_ipp._tcp.local", 12, 0))
	d.send(wire.Server, reply(ask(0, "_ipp._tcp.local", 12, 0), 0, 12, []byte{0}))
	d.want(t, 0, "mdns PTR _ipp._tcp.local ")
	if !d.out.Exchanges[0].Stream || d.out.Messages != 1 {
		t.Errorf("%+v", d.out)
	}
	d = newDatagrams(wire.Options{Port: portLLMNR})
	q := ask(7, "printer", typeA, 0)
	d.send(wire.Client, q)
	d.send(wire.Server, reply(q, 0, typeA, []byte{10, 0, 0, 9}))
	d.want(t, 0, "llmnr A printer NOERROR")
}

func TestNameClasses(t *testing.T) {
	for name, want := range map[string]string{
		"": ".", "example": "example", "shop.example.com": "shop.example.com",
		"9f1c2b3a1c2d.cdn.example": "{id}.cdn.example", "2.pool.ntp.org": "{id}.pool.ntp.org",
		"db-7.eu-west-1.example.org": "db-7.eu-west-1.example.org", "_sip._tcp.example.com": "_sip._tcp.example.com",
		"1.0.0.127.in-addr.arpa": "{ip}.in-addr.arpa", "b.a.9.8.ip6.arpa": "{ip}.ip6.arpa",
		"a\x00b.example": "a?b.example", "1234.example": "1234.example",
	} {
		var m message
		if !m.parse(ask(1, name, typeA, 0), true) || string(m.name()) != want {
			t.Errorf("%q: %q, want %q", name, m.name(), want)
		}
	}
}

func TestLongestClass(t *testing.T) {
	var m message
	if !m.parse(ask(1, strings.Repeat("1.", 127), typeA, 0), true) || !strings.HasPrefix(string(m.name()), "{id}.{id}") || len(m.name()) > maxClass {
		t.Errorf("%q", m.name())
	}
}

func TestHostileMessages(t *testing.T) {
	loop := append(ask(1, "a.example", typeA, 0)[:headSize], 0xc0, headSize, 0, 1, 0, 1)
	endless := ask(1, strings.Repeat("abcdefg.", 40), typeA, 0)
	many := reply(ask(1, "a.example", typeA, 0), 0, typeA)
	many[6], many[7], many[8], many[9] = 0xff, 0xff, 0xff, 0xff
	for _, b := range [][]byte{loop, endless, {}, make([]byte, 11)} {
		var m message
		if m.parse(b, true) {
			t.Errorf("%q is a message", b)
		}
	}
	d := newDatagrams(wire.Options{})
	d.send(wire.Client, ask(1, "a.example", typeA, 0))
	d.send(wire.Server, append(many, 0xc0, 0xff, 0, 1, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 1))
	d.want(t, 0, "A a.example NOERROR")
	d = newDatagrams(wire.Options{})
	for i := range uint16(5000) {
		d.send(wire.Client, ask(i, "a.example", typeA, 0))
	}
	if n, _ := d.c.Waiting(); n > maxPending || len(d.out.Exchanges) != 5000-maxPending {
		t.Errorf("%d wait, %d told", n, len(d.out.Exchanges))
	}
	d = newDatagrams(wire.Options{})
	d.send(wire.Client, []byte("GET / HTTP/1.1\r\n\r\n"))
	if !d.out.Wrong {
		t.Error("believed")
	}
}

func TestShortCaptures(t *testing.T) {
	q := ask(1, "shop.example", typeA, 0)
	a := reply(q, 2, typeA, []byte{1, 2, 3, 4})
	for n := headSize; n <= len(a); n++ {
		d := newDatagrams(wire.Options{})
		d.send(wire.Client, q)
		d.c.Feed(&wire.Span{From: wire.Server, Data: a[:n], Size: int64(len(a)), First: 5e6, Last: 5e6}, &d.out)
		d.size += int64(len(a))
		d.want(t, 0, "A shop.example SERVFAIL")
	}
}

func TestSniff(t *testing.T) {
	q := ask(1, "shop.example", typeA, 0)
	if v := UDP.Sniff(wire.Client, q, int64(len(q))); v != wire.Likely {
		t.Errorf("a question: %d", v)
	}
	if v := TCP.Sniff(wire.Client, append([]byte{0, byte(len(q))}, q...), int64(len(q)+2)); v != wire.Likely {
		t.Errorf("a question on a connection: %d", v)
	}
	for _, b := range [][]byte{make([]byte, 40), []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), append(q, 'x'), reply(q, 0, typeA)} {
		if v := UDP.Sniff(wire.Client, b, int64(len(b))); v != wire.No {
			t.Errorf("%q: verdict %d", b, v)
		}
	}
}

func FuzzDatagrams(f *testing.F) {
	q := ask(1, "shop.example", typeA, 0)
	f.Add(q, reply(q, 0, typeA, []byte{1, 2, 3, 4}), uint16(53))
	f.Add(ask(0, "_x._tcp.local", 12, 0), reply(q, 3, typeOPT, []byte{0xc0, 0x0c}), uint16(portMDNS))
	f.Fuzz(func(t *testing.T, asked, answered []byte, port uint16) {
		d := newDatagrams(wire.Options{Port: port})
		for range 2 {
			d.send(wire.Client, asked)
			d.send(wire.Server, answered)
		}
		d.c.End(1<<40, "reset", &d.out)
		if err := wiretest.Sane(d.out.Exchanges, d.size); err != nil {
			t.Error(err)
		}
		for _, x := range d.out.Exchanges {
			if len(x.Target) > 2*maxName {
				t.Errorf("a target of %d bytes", len(x.Target))
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	d := newDatagrams(wire.Options{})
	q := ask(1, "api.shop.example.com", typeA, 0)
	a := reply(q, 0, typeA, []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2})
	ask := wire.Span{Data: q, Size: int64(len(q)), First: 1, Last: 1}
	answer := wire.Span{From: wire.Server, Data: a, Size: int64(len(a)), First: 2, Last: 2}
	b.ReportAllocs()
	for b.Loop() {
		d.out.Reset()
		d.c.Feed(&ask, &d.out)
		d.c.Feed(&answer, &d.out)
		if len(d.out.Exchanges) != 1 || len(d.out.Resolved) != 2 {
			b.Fatal("not told")
		}
	}
}

// After a hole nothing is counted twice: what waited is told then, what was asked
// unseen is counted where datagrams are lost.
func TestAnswersAfterAHole(t *testing.T) {
	a, lost := ask(1, "a.example", typeA, 0), ask(2, "lost.example", typeA, 0)
	d := newDatagrams(wire.Options{})
	d.send(wire.Client, a)
	d.c.Gap(&d.out)
	d.send(wire.Server, reply(lost, 0, typeA))
	d.send(wire.Server, reply(a, 0, typeA))
	d.send(wire.Client, a) // somebody else asks, or again: the server counts it, too
	d.send(wire.Server, reply(a, 0, typeA))
	d.at += 20e9
	d.send(wire.Server, reply(lost, 0, typeA))
	d.want(t, 1, "A a.example  partial", "A a.example NOERROR")
	if d.out.Missed != 0 {
		t.Errorf("%d missed", d.out.Missed)
	}
	d = newDatagrams(wire.Options{Joined: true, Missed: true})
	d.send(wire.Server, reply(lost, 0, typeA))
	d.want(t, 0)
}

// On a connection nobody counts what is lost: an answer tells of its question.
func TestAnswersOnAConnectionAfterAHole(t *testing.T) {
	framed := func(b []byte) []byte { return append([]byte{0, byte(len(b))}, b...) }
	c := TCP.New(wire.Options{Names: wire.NewNames(100, nil)})
	var out wire.Out
	feed := func(from wire.Side, b []byte) {
		c.Feed(&wire.Span{From: from, Data: b, Size: int64(len(b)), First: 1e9, Last: 1e9}, &out)
	}
	a, lost := ask(1, "a.example", typeA, 0), ask(2, "lost.example", typeA, 0)
	feed(wire.Client, framed(a))
	c.Gap(&out)
	feed(wire.Server, framed(reply(a, 0, typeA)))
	feed(wire.Server, framed(reply(lost, 0, typeA)))
	if out.Missed != 1 || out.Unpaired != 0 || len(out.Exchanges) != 1 || !out.Exchanges[0].Partial {
		t.Errorf("%+v", out)
	}
}
