package truth

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"vitals/core"
)

// Both ends of a connection are watched: they count the same, and know each other.
func TestBothEndsAgree(t *testing.T) {
	s := startRedis(t)
	l := watch(t, roomy)
	l.asked = []int{int(s.key.PID)}
	client := exec.Command("redis-benchmark", "-p", fmt.Sprint(s.port), "-q", "-c", "4", "-n", "5000", "-t", "get")
	run(t, client)
	l.settle()
	l.stop()
	var server, asked, serverKnows, clientKnows int
	var clientTime, serverTime time.Duration
	for i := range l.seen {
		r := &l.seen[i]
		if r.Protocol != "redis" || r.Method != "GET" {
			continue
		}
		switch {
		case r.Role == core.RoleServer && r.Proc == s.key:
			server++
			serverTime += r.Duration
			if r.PeerProc.PID == int32(client.Process.Pid) {
				serverKnows++
			}
		case r.Role == core.RoleClient && r.Proc.PID == int32(client.Process.Pid):
			asked++
			clientTime += r.Duration
			if r.PeerProc == s.key {
				clientKnows++
			}
			if r.Peer != s.addr() {
				t.Fatalf("peer %q", r.Peer)
			}
		}
	}
	if server != 5000 || asked != 5000 {
		t.Errorf("%d requests answered, %d made", server, asked)
	}
	// The first of each connection is told before the other end is known.
	if serverKnows < 4900 || clientKnows < 4900 {
		t.Errorf("the server knows whose %d requests are, the client who answered %d", serverKnows, clientKnows)
	}
	if clientTime < serverTime {
		t.Errorf("the client waited %v for answers that took the server %v", clientTime, serverTime)
	}
}

// locker is a client that holds a lock until it is told to let go.
func (s *server) locker(table string) (unlock func()) {
	s.t.Helper()
	c := exec.Command("psql", append(s.connect(), "-X", "-q", "-d", "postgres")...)
	in, err := c.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	fmt.Fprintf(in, "BEGIN; LOCK TABLE %s;\n\\echo locked\n", table)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		s.t.Fatalf("lock %s: %q %v", table, line, err)
	}
	return func() { fmt.Fprintln(in, "COMMIT;") }
}

// What has begun and not ended is told with its age; a client that leaves
// cancels, a server that gives up says so.
func TestRequestsInFlightAndCancelled(t *testing.T) {
	s := startPostgres(t)
	unlock := s.locker("pgbench_branches")
	l := watch(t, roomy, s.key)
	flying := func() []core.InFlight {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Clone(l.flying)
	}
	waiter := exec.Command("psql", append(s.connect(), "-X", "-d", "postgres", "-c", "SELECT count(*) FROM pgbench_branches")...)
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	wait(func() bool { return len(flying()) == 1 })
	seen := time.Now()
	if f := flying(); len(f) != 1 || f[0].Role != core.RoleServer || f[0].Count != 1 {
		t.Errorf("in flight: %+v", f)
	}
	waiter.Process.Kill()
	waiter.Wait()
	exec.Command("psql", append(s.connect(), "-X", "-d", "postgres", "-c", "SET statement_timeout = 300", "-c", "SELECT pg_sleep(20)")...).Run()
	least := time.Since(seen)
	unlock() // and the server notices that nobody listens
	abandoned := func() (is *core.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range l.seen {
			if r := l.seen[i]; r.Method == "SELECT" && r.Code == "" {
				is = &r
			}
		}
		return is
	}
	wait(func() bool { return len(flying()) == 0 && abandoned() != nil })
	l.settle()
	if f := flying(); len(f) != 0 {
		t.Errorf("still in flight: %+v", f)
	}
	l.stop()
	if n := l.count(func(r row) bool { return r.method == "SELECT" && r.code == "57014" && r.failed }); n != 1 {
		t.Errorf("%d timeouts of statements, want 1", n)
	}
	// The server answered at last, to nobody.
	if r := abandoned(); r == nil || r.Duration < least && r.Error == "" {
		t.Errorf("the abandoned statement is %+v, it took %v at least", r, least)
	}
	l.report()
}
