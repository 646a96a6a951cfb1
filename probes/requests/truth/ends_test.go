package truth

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"vitals/core"
)

// Both ends of a connection are watched: they count the same, and know each other.
func TestBothEndsAgree(t *testing.T) {
	s := startRedis(t)
	l := watch(t, roomy)
	client := exec.Command("redis-benchmark", "-p", fmt.Sprint(s.port), "-q", "-c", "4", "-n", "5000", "-t", "get")
	run(t, client)
	settle()
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

// What has begun and not ended is told with its age; a client that leaves
// cancels, a server that gives up says so.
func TestRequestsInFlightAndCancelled(t *testing.T) {
	s := startPostgres(t)
	l := watch(t, roomy, s.key)
	sleeper := exec.Command("psql", append(s.connect(), "-X", "-d", "postgres", "-c", "SELECT pg_sleep(3)")...)
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond)
	l.mu.Lock()
	flying := append([]core.InFlight(nil), l.flying...)
	l.mu.Unlock()
	if len(flying) != 1 || flying[0].Role != core.RoleServer || flying[0].Count != 1 {
		t.Errorf("in flight: %+v", flying)
	}
	sleeper.Process.Kill()
	sleeper.Wait()
	exec.Command("psql", append(s.connect(), "-X", "-d", "postgres", "-c", "SET statement_timeout = 300", "-c", "SELECT pg_sleep(2)")...).Run()
	time.Sleep(3 * time.Second) // the first backend notices that nobody listens
	settle()
	l.mu.Lock()
	left := len(l.flying)
	l.mu.Unlock()
	l.stop()
	if left != 0 {
		t.Errorf("%d processes have requests in flight", left)
	}
	if n := l.count(func(r row) bool { return r.method == "SELECT" && r.code == "57014" && r.failed }); n != 1 {
		t.Errorf("%d timeouts of statements, want 1", n)
	}
	var slept *core.Request
	for i := range l.seen {
		if r := &l.seen[i]; r.Method == "SELECT" && r.Code == "" {
			slept = r
		}
	}
	// The server answered at last, to nobody.
	if slept == nil || slept.Duration < 2*time.Second && slept.Error == "" {
		t.Errorf("the abandoned statement is %+v", slept)
	}
	l.report()
}
