package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// startDnsmasq knows one name, and that there are no others below example. It
// gives its address and its log.
func startDnsmasq(t *testing.T) (addr, log string) {
	t.Helper()
	path := wiretest.Program(t, "dnsmasq", "/usr/sbin/dnsmasq")
	port := wiretest.Itoa(wiretest.FreePort(t))
	log = filepath.Join(t.TempDir(), "log")
	args := []string{"--keep-in-foreground", "--conf-file=/dev/null", "--port=" + port, "--listen-address=127.0.0.1", "--bind-interfaces",
		"--no-resolv", "--no-hosts", "--local=/example/", "--address=/shop.example/10.1.2.3", "--address=/shop.example/fd00::1",
		"--txt-record=text.example,hello", "--log-queries", "--log-facility=" + log, "--pid-file="}
	if os.Getuid() == 0 {
		args = append(args, "--user=root")
	}
	addr = "127.0.0.1:" + port
	wiretest.Serve(t, "tcp", addr, path, args...)
	return addr, log
}

// relay hands datagrams on and shows them to a parser, a connection for each
// client, as each client's socket is one.
type relay struct {
	sync.Mutex
	names *wire.Names
	conns map[string]wire.Conn
	out   wire.Out
}

func newRelay(t *testing.T, server string) (r *relay, addr string) {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = &relay{names: wire.NewNames(100, nil), conns: make(map[string]wire.Conn)}
	var wg sync.WaitGroup
	backs := make(map[string]net.Conn)
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, client, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			back := backs[client.String()]
			if back == nil {
				if back, err = net.Dial("udp", server); err != nil {
					t.Error(err)
					return
				}
				backs[client.String()] = back
				wg.Go(func() {
					buf := make([]byte, 4096)
					for {
						n, err := back.Read(buf)
						if err != nil {
							return
						}
						r.take(client.String(), wire.Server, buf[:n])
						front.WriteTo(buf[:n], client)
					}
				})
			}
			r.take(client.String(), wire.Client, buf[:n])
			back.Write(buf[:n])
		}
	})
	t.Cleanup(func() {
		front.Close()
		for _, b := range backs {
			b.Close()
		}
		wg.Wait()
	})
	return r, front.LocalAddr().String()
}

func (r *relay) take(client string, from wire.Side, b []byte) {
	r.Lock()
	defer r.Unlock()
	c := r.conns[client]
	if c == nil {
		c = UDP.New(wire.Options{Names: r.names})
		r.conns[client] = c
	}
	now := time.Now().UnixNano()
	c.Feed(&wire.Span{From: from, Data: b, Size: int64(len(b)), First: now, Last: now}, &r.out)
}

// dnsmasq says what it was asked, and the parser must say the same.
func TestLookupsAgreeWithTheLog(t *testing.T) {
	addr, log := startDnsmasq(t)
	r, udp := newRelay(t, addr)
	tcp := wiretest.NewProxy(t, "tcp", addr)
	dig := wiretest.Program(t, "dig")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			host, port, _ := net.SplitHostPort(udp)
			args := []string{"@" + host, "-p", port, "+tries=1", "+time=30"}
			if i == 3 {
				host, port, _ = net.SplitHostPort(tcp.Addr)
				args = []string{"@" + host, "-p", port, "+tcp", "+keepopen", "+time=30"}
			}
			for range 3 {
				args = append(args, "shop.example", "A", "shop.example", "AAAA", "text.example", "TXT", "gone.example", "A", "elsewhere.test", "A", "-x", "10.9.8.7")
			}
			wiretest.Run(t, dig, args...)
		})
	}
	wg.Wait()
	tcp.Save(t, "dig-tcp")
	want := make(map[string]int)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// dnsmasq[1]: query[A] shop.example from 127.0.0.1
		if _, q, ok := strings.Cut(line, "query["); ok {
			kind, rest, _ := strings.Cut(q, "] ")
			name, _, _ := strings.Cut(rest, " ")
			if strings.HasSuffix(name, ".in-addr.arpa") {
				name = "{ip}.in-addr.arpa"
			}
			want[kind+" "+name]++
		}
	}
	r.Lock()
	defer r.Unlock()
	got, codes := make(map[string]int), make(map[string]int)
	for _, x := range append(r.out.Exchanges, tcp.Exchanges(&TCP)...) {
		got[x.Method+" "+x.Target]++
		codes[x.Target+" "+x.Code]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(want) != 6 || r.out.Unpaired != 0 {
		t.Errorf("look-ups %v, unpaired %d\ndnsmasq says %v", got, r.out.Unpaired, want)
	}
	if codes["gone.example NXDOMAIN"] != 12 || codes["elsewhere.test REFUSED"] != 12 || codes["shop.example NOERROR"] != 24 {
		t.Errorf("outcomes %v", codes)
	}
	addrs := make(map[string]int)
	for _, a := range r.out.Resolved {
		addrs[a.Name+" "+a.Addr.String()]++
	}
	if len(addrs) != 2 || addrs["shop.example 10.1.2.3"] != 9 || addrs["shop.example fd00::1"] != 9 {
		t.Errorf("resolved %v", addrs)
	}
}

func TestRecordings(t *testing.T) {
	for name, rec := range wiretest.LoadAll(t, "testdata") {
		t.Run(name, func(t *testing.T) {
			if r := wiretest.Check(t, &TCP, rec); len(r.Exchanges) != 18 {
				t.Errorf("%d look-ups", len(r.Exchanges))
			}
		})
	}
}
