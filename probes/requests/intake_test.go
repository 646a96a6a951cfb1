package requests

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/probes/requests/talk"
)

// record makes a ring record as the kernel does.
func record(x requestsExchange, req, resp string) []byte {
	x.RequestLen = uint16(min(len(req), 256))
	x.ResponseLen = uint16(len(resp))
	x.Room = x.ResponseLen
	if x.Tgid == 0 {
		x.Tgid, x.Birth = 7, 70
	}
	if x.Role == 0 {
		x.Role = roleServer
	}
	if x.In == 0 {
		x.In, x.Out = uint64(len(req)), uint64(len(resp))
		if x.Role == roleClient {
			x.In, x.Out = x.Out, x.In
		}
	}
	if x.Start == 0 {
		x.Start, x.First, x.Last = 1000, 3000, 6000
	}
	raw := append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&x)), unsafe.Sizeof(x))...)
	return append(append(raw, resp...), req[:min(len(req), 256)]...)
}

const (
	get  = "GET /users/42 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	okay = "HTTP/1.1 200 OK\r\n\r\n"
)

func TestPairing(t *testing.T) {
	proc := core.ProcKey{PID: 7, Birth: 70}
	for _, c := range []struct {
		name    string
		records [][]byte
		want    map[string]uint64
		cover   core.Coverage
	}{
		{"plain", [][]byte{record(requestsExchange{}, get, okay)},
			map[string]uint64{"server GET /users/{id} 200": 1}, core.Coverage{Exchanges: 1, Parsed: 1}},
		{"client errors", [][]byte{record(requestsExchange{Role: roleClient, Flags: talk.Closed | talk.Reset}, get, "")},
			map[string]uint64{"client GET /users/{id} 0 reset": 1}, core.Coverage{Exchanges: 1, Parsed: 1}},
		{"interim", [][]byte{
			record(requestsExchange{Cookie: 1, Seq: 1}, "POST /u HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
			record(requestsExchange{Cookie: 1, Seq: 2}, "body", "HTTP/1.1 201 Created\r\n\r\n")},
			map[string]uint64{"server POST /u 201": 1}, core.Coverage{Exchanges: 1, Parsed: 1}},
		{"rest of a body, then a request", [][]byte{
			record(requestsExchange{Cookie: 1, Seq: 1}, "POST /u HTTP/1.1\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 413 X\r\n\r\n"),
			record(requestsExchange{Cookie: 1, Seq: 2}, "123456789"+get, okay)},
			map[string]uint64{"server POST /u 413": 1, "server GET /users/{id} 200": 1}, core.Coverage{Exchanges: 2, Parsed: 2}},
		{"first byte read ahead", [][]byte{record(requestsExchange{}, get+"G", okay), record(requestsExchange{}, get[1:], okay)},
			map[string]uint64{"server GET /users/{id} 200": 2}, core.Coverage{Exchanges: 2, Parsed: 2}},
		{"answer alone", [][]byte{record(requestsExchange{Flags: talk.Joined}, "abc", okay)}, nil, core.Coverage{Exchanges: 1, Unpaired: 1}},
		{"nothing known", [][]byte{record(requestsExchange{}, "\x00\x01hello", "\x00\x02you")},
			map[string]uint64{"server   0": 1}, core.Coverage{Exchanges: 1, Unknown: 1}},
		{"pipelined", [][]byte{record(requestsExchange{}, get+get+get, okay)},
			map[string]uint64{"server GET /users/{id} 200": 1, "server GET /users/{id} 0": 2}, core.Coverage{Exchanges: 3, Parsed: 3}},
		{"amended", [][]byte{
			record(requestsExchange{Cookie: 2, Seq: 1, Flags: talk.Early}, get, okay),
			record(requestsExchange{Cookie: 2, Seq: 1, Flags: talk.Amend, Start: 1000, First: 3000, Last: 9000}, get, okay)},
			map[string]uint64{"server GET /users/{id} 200": 1}, core.Coverage{Exchanges: 1, Parsed: 1}},
		{"early, never amended", [][]byte{
			record(requestsExchange{Cookie: 2, Seq: 1, Flags: talk.Early}, get, okay),
			record(requestsExchange{Cookie: 2, Seq: 2, Flags: talk.Early}, get, okay)},
			map[string]uint64{"server GET /users/{id} 200": 2}, core.Coverage{Exchanges: 2, Parsed: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSink()
			p := newIntake(s, nil)
			for _, r := range c.records {
				p.take(r)
			}
			p.Release(nil)
			p.deliver()
			same(t, c.name, s.of(proc), c.want)
			got := s.cover[proc]
			if got = (core.Coverage{Exchanges: got.Exchanges, Parsed: got.Parsed, Unpaired: got.Unpaired, Unknown: got.Unknown}); got != c.cover {
				t.Errorf("coverage %+v, want %+v", got, c.cover)
			}
			if c.name == "amended" && s.seen[0].Duration != 8*time.Microsecond {
				t.Errorf("duration %v was not amended", s.seen[0].Duration)
			}
		})
	}
}

func TestPeers(t *testing.T) {
	inet := requestsExchange{Role: roleClient, Family: talk.FamilyInet, Rport: 8080}
	copy(inet.Raddr[:], []byte{10, 0, 0, 1})
	six := requestsExchange{Role: roleClient, Family: 10, Rport: 80}
	six.Raddr[15] = 1
	unix := requestsExchange{Role: roleClient, Family: talk.FamilyUnix}
	copy(unix.Laddr[:], "/run/docker.soc")
	unix.Laddr[15] = 'k'
	nameless := "GET / HTTP/1.0\r\n\r\n"
	for want, raw := range map[string][]byte{
		"shop.example":          record(inet, get, okay),
		"10.0.0.1:8080":         record(inet, nameless, okay),
		"[::1]:80":              record(six, nameless, okay),
		"unix:/run/docker.sock": record(unix, nameless, okay),
		"a·b":                   record(inet, "GET / HTTP/1.1\r\nHost: a\x1bb\r\n\r\n", okay),
	} {
		s := newSink()
		p := newIntake(s, nil)
		p.take(raw)
		p.deliver()
		if len(s.seen) != 1 || s.seen[0].Peer != want {
			t.Errorf("%+v, want peer %q", s.seen, want)
		}
	}
}

// What the kernel never writes must not crash the reader either.
func FuzzTake(f *testing.F) {
	f.Add(record(requestsExchange{}, get, okay))
	f.Add(record(requestsExchange{Cookie: 1, Flags: talk.Early}, get+"G", okay))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := newIntake(newSink(), nil)
		p.take(raw)
		p.take(raw)
		p.Release(nil)
		p.deliver()
	})
}

// silent is a sink that keeps nothing.
type silent struct {
	sink
	parsed uint64
}

func (*silent) Requests([]core.Request) {}
func (s *silent) Coverage(list []core.Coverage) {
	for i := range list {
		s.parsed += list[i].Parsed
	}
}

// BenchmarkTake is what a record costs from the ring to the batch for the sink:
// to find its connection, to read it, to make a request of it.
func BenchmarkTake(b *testing.B) {
	query := "UPDATE pgbench_accounts SET abalance = abalance + 2718 WHERE aid = 28;\x00"
	for _, c := range []struct{ name, req, resp string }{
		{"http", "GET /users/42/orders/9f1c2b3a-1c2d-4e3f-8a9b-0123456789ab?x=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
			"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 06"},
		{"redis", "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxxx\r\n", "+OK\r\n"},
		{"postgresql", "Q" + string([]byte{0, 0, 0, byte(4 + len(query))}) + query, "C\x00\x00\x00\x0dUPDATE 1\x00Z\x00\x00\x00\x05T"},
		{"mysql", "\x0d\x00\x00\x00\x03SELECT 1 + 1", "\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"},
		{"memcached", "get key:42\r\n", "VALUE key:42 0 3\r\nabc\r\nEND\r\n"},
		{"unknown", "\x00\x01hello", "\x00\x02you"},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw := record(requestsExchange{Role: roleClient, Family: talk.FamilyInet, Rport: portOf(c.name), Seq: 1}, c.req, c.resp)
			s := &silent{}
			p := newIntake(s, nil)
			n := uint64(0)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				n++
				binary.LittleEndian.PutUint64(raw, n%64)                // another socket
				binary.LittleEndian.PutUint32(raw[60:], uint32(n/64)+1) // and its next exchange
				p.take(raw)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(n), "cpu-ns/op")
			p.deliver()
			if c.name != "unknown" && s.parsed < n*9/10 {
				b.Errorf("%d of %d records were understood", s.parsed, n)
			}
		})
	}
}

// cpuTime is what this process has used: on a machine that others use, too, the
// time on the wall says little.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func portOf(protocol string) uint16 {
	return map[string]uint16{"postgresql": 5432, "mysql": 3306, "memcached": 11211, "redis": 6379}[protocol]
}

// What is kept of 20,000 open connections is bounded, whatever they speak.
func TestMemoryOfConnections(t *testing.T) {
	for _, c := range []struct{ name, req, resp string }{
		{"http", get, okay}, {"redis", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
		{"postgresql", "Q\x00\x00\x00\x0dSELECT 1\x00", "C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I"},
	} {
		p := newIntake(&silent{}, nil)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first one has finalised
		runtime.ReadMemStats(&before)
		const open = 20000
		x := requestsExchange{Family: talk.FamilyInet, Lport: portOf(c.name), Seq: 1}
		for i := range uint64(2 * open) { // more than are kept
			x.Cookie, x.Rport = i+1, uint16(i)
			p.take(record(x, c.req, c.resp))
		}
		p.deliver()
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / open
		t.Logf("%s: %d bytes a connection", c.name, each)
		if each > 2048 || each <= 0 {
			t.Errorf("%s: %d bytes a connection", c.name, each)
		}
		runtime.KeepAlive(p)
	}
}
