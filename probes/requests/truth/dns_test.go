package truth

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vitals/core"
)

// startDNS runs a server with an address of its own, since only port 53 is watched
// for datagrams. It gives the log of its queries, too.
func startDNS(t testing.TB) (s *server, log string) {
	t.Helper()
	needRoot(t)
	dir := room(t, "dnsmasq")
	address := fmt.Sprintf("127.0.%d.%d", 1+os.Getpid()%200, 1+os.Getpid()/200%200)
	log = filepath.Join(dir, "queries")
	cmd := as("", dir, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=dnsmasq", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address="+address,
		"--port=53", "--log-queries", "--log-facility="+log, "--address=/here.example/127.0.0.1", "--address=/gone.example/", "--cache-size=0", "--pid-file="+filepath.Join(dir, "pid"), "--local=/example/")
	return start(t, cmd, 53, address), log
}

// lookUp is a client that looks a name up and talks to the address that it got,
// in a protocol that does not say the name.
func lookUp() {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", os.Getenv("VITALS_TRUTH_DNS")+":53")
	}}
	addrs, err := r.LookupHost(context.Background(), "cache.here.example.")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := net.Dial("tcp", net.JoinHostPort(addrs[0], os.Getenv("VITALS_TRUTH_ADDR")))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	answers := bufio.NewReader(c)
	for range 10 {
		fmt.Fprint(c, "*1\r\n$4\r\nPING\r\n")
		answers.ReadString('\n')
	}
}

// A peer is called what the process itself looked up.
func TestPeersAreNamedAfterLookUps(t *testing.T) {
	dns, _ := startDNS(t)
	redis := startRedis(t)
	self, _ := os.Executable()
	l := watch(t, roomy)
	l.asked = []int{int(dns.key.PID), int(redis.key.PID)}
	client := as("", room(t, ""), self)
	client.Env = append(client.Env, "VITALS_TRUTH_HELPER=lookup", "VITALS_TRUTH_DNS="+dns.host, fmt.Sprintf("VITALS_TRUTH_ADDR=%d", redis.port))
	run(t, client)
	l.settle()
	l.stop()
	pings := 0
	for i := range l.seen {
		r := &l.seen[i]
		if r.Proc.PID != int32(client.Process.Pid) || r.Protocol != "redis" {
			continue
		}
		pings++
		if want := fmt.Sprintf("cache.here.example:%d", redis.port); r.Peer != want {
			t.Errorf("peer %q, want %q", r.Peer, want)
		}
	}
	if pings != 10 {
		t.Errorf("%d pings", pings)
	}
	if t.Failed() {
		for i := range l.seen {
			if r := &l.seen[i]; r.Proc.PID == int32(client.Process.Pid) {
				t.Logf("%+v", *r)
			}
		}
	}
}

// Each query that the server has logged is counted here, over UDP and TCP.
func TestDNSQueriesAreCountedExactly(t *testing.T) {
	s, log := startDNS(t)
	address := s.host
	l := watch(t, roomy, s.key)
	var wg sync.WaitGroup
	const clients, rounds = 4, 100
	for i := range clients {
		wg.Go(func() {
			network := "udp"
			if i == 0 {
				network = "tcp"
			}
			r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address+":53")
			}}
			for n := range rounds {
				if addrs, err := r.LookupIP(t.Context(), "ip4", "www.here.example."); err != nil || len(addrs) != 1 {
					t.Errorf("%v %v", addrs, err)
					return
				}
				r.LookupIP(t.Context(), "ip", fmt.Sprintf("host%d.gone.example.", n%5))
			}
		})
	}
	wg.Wait()
	l.settle()
	l.stop()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"A", "AAAA"} {
		want := uint64(strings.Count(string(text), "query["+kind+"]"))
		got := l.count(func(r row) bool { return r.role == core.RoleServer && r.protocol == "dns" && r.method == kind })
		if got != want || want < clients*rounds {
			t.Errorf("%s: counted %d, the server %d", kind, got, want)
		}
	}
	gone := uint64(strings.Count(string(text), "gone.example is NXDOMAIN") + strings.Count(string(text), "gone.example is NODATA"))
	bad := l.count(func(r row) bool { return r.code == "NXDOMAIN" })
	if gone == 0 || bad > gone {
		t.Errorf("%d names do not exist, the server says %d", bad, gone)
	}
	if l.cover.Unknown+l.cover.Unpaired > 0 {
		t.Errorf("coverage %+v", l.cover)
	}
	l.nothingLost()
	l.report()
}
