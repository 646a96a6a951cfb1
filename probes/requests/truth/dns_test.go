package truth

import (
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

// Each query that the server has logged is counted here, over UDP and TCP.
func TestDNSQueriesAreCountedExactly(t *testing.T) {
	needRoot(t)
	dir, port := room(t, "dnsmasq"), 53
	// Only port 53 is watched for datagrams, so the server gets an address of its own.
	address := fmt.Sprintf("127.0.%d.%d", 1+os.Getpid()%200, 1+os.Getpid()/200%200)
	log := filepath.Join(dir, "queries")
	cmd := as("", dir, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=dnsmasq", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address="+address,
		"--port=53", "--log-queries", "--log-facility="+log, "--address=/here.example/10.1.2.3", "--address=/gone.example/", "--cache-size=0", "--pid-file="+filepath.Join(dir, "pid"), "--local=/example/")
	s := start(t, cmd, port, address)
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
	settle()
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
