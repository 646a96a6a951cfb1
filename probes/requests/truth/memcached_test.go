package truth

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func startMemcached(t testing.TB) *server {
	t.Helper()
	needRoot(t)
	dir, port := room(t, "memcache"), freePort(t)
	return start(t, as("", dir, "memcached", "-u", "memcache", "-l", "127.0.0.1", "-p", fmt.Sprint(port), "-U", "0", "-t", "2"), port)
}

// stats are the figures of the server.
func (s *server) stats() map[string]uint64 {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "stats\r\n")
	out := map[string]uint64{}
	for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "END"; {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			out[f[1]], _ = strconv.ParseUint(f[2], 10, 64)
		}
	}
	return out
}

func TestMemcachedCommandsAreCountedExactly(t *testing.T) {
	s := startMemcached(t)
	before := s.stats()
	l := watch(t, roomy, s.key)
	const clients, rounds = 4, 500
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			ask := func(until, text string) {
				fmt.Fprint(c, text)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						t.Errorf("%q: %v", text, err)
						return
					}
					if strings.HasPrefix(line, until) {
						return
					}
				}
			}
			for n := range rounds {
				big := strings.Repeat("x", 1+n%2000)
				ask("STORED", fmt.Sprintf("set key%d-%d 0 0 %d\r\n%s\r\n", i, n, len(big), big))
				ask("END", fmt.Sprintf("get key%d-%d\r\n", i, n))
				ask("END", fmt.Sprintf("get nothing%d\r\n", n))
				ask("DELETED", fmt.Sprintf("delete key%d-%d\r\n", i, n))
				ask("NOT_FOUND", "incr nobody 1\r\n")
			}
		})
	}
	wg.Wait()
	l.settle()
	after := s.stats()
	l.stop()
	for method, figure := range map[string]string{"SET": "cmd_set", "GET": "cmd_get"} {
		got := l.count(func(r row) bool { return r.protocol == "memcached" && strings.EqualFold(r.method, method) })
		if want := after[figure] - before[figure]; got != want || want == 0 {
			t.Errorf("%s: counted %d, the server %d", method, got, want)
		}
	}
	for method, want := range map[string]uint64{"DELETE": after["delete_hits"] - before["delete_hits"], "INCR": after["incr_misses"] - before["incr_misses"]} {
		if got := l.count(func(r row) bool { return strings.EqualFold(r.method, method) }); got != want || want == 0 {
			t.Errorf("%s: counted %d, the server %d", method, got, want)
		}
	}
	if l.cover.Unknown+l.cover.Unpaired > 0 {
		t.Errorf("coverage %+v", l.cover)
	}
	l.nothingLost()
	l.report()
}
