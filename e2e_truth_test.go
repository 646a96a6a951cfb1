package main

import (
	"fmt"
	"math"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proxied starts truth behind nginx (static files at /static/) and returns both
// with nginx's port.
func proxied(t *testing.T, workers int) (truth *truthServer, nginx *proc, port int) {
	t.Helper()
	truth = startTruth(t, "127.0.0.1:0")
	port = freePort(t)
	nginx = startNginx(t, workers, fmt.Sprintf(`
	upstream truth { server %s; keepalive 64; keepalive_requests 10000000; }
	server {
		listen 127.0.0.1:%d reuseport;
		location / { proxy_pass http://truth; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
		location /static/ { alias /usr/share/common-licenses/; }
	}`, truth.addr, port))
	waitPort(t, port)
	return truth, nginx, port
}

// Counts of every method, route and status are exactly those of the server
// itself, through nginx and behind it, while half of the connections are older.
// A machine that is busy with other things may keep the reader from the ring:
// then the loss must be told, and the test is made again.
func TestCountsEqualTheServersOwn(t *testing.T) {
	needRoot(t)
	for _, path := range []string{"fast", "floor"} {
		t.Run(path, func(t *testing.T) {
			if path == "floor" { // as on kernels before 6.3
				t.Setenv("VITALS_FLOOR", "1")
			}
			for range 3 {
				if compareCounts(t) {
					return
				}
			}
			t.Error("something was lost, or somebody else asked, three times in a row")
		})
	}
}

func compareCounts(t *testing.T) (whole bool) {
	t.Helper()
	truth, nginx, port := proxied(t, 4)
	load := startLoad(t, "-addr", fmt.Sprintf("127.0.0.1:%d", port), "-old", "12", "-new", "12", "-requests", "150000")
	before := truth.report()

	children := workers(t, nginx)
	snap := startSnapshot(t, time.Minute)
	sent := load.finish(time.Minute)
	want := truth.report().minus(before)
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()

	rate := float64(sent.Total) / sent.Seconds
	t.Logf("%.0f requests/s, lost %v, completeness %v", rate, got.Self.Lost, deref(got.Self.Completeness))
	if rate < 10000 {
		t.Logf("this machine was too busy for 10,000 requests/s")
	}
	nginx.end(syscall.SIGTERM)
	truth.end(syscall.SIGKILL)
	if got.lost() != 0 {
		t.Logf("lost %v", got.Self.Lost)
		return false
	}
	if sum(want) != sent.Total {
		t.Logf("somebody else asked as well: served %d, sent %d", sum(want), sent.Total)
		return false
	}
	sameCounts(t, "go server", got.counts("server", truth.Process.Pid), want)
	sameCounts(t, "nginx as server", got.counts("server", children...), want)
	sameCounts(t, "nginx as client", got.counts("client", children...), want)
	sameCounts(t, "load generator", got.counts("client", load.Process.Pid), want)
	return true
}

// A fixed-count load generator of somebody else, on static files by sendfile.
func TestCountsEqualApacheBench(t *testing.T) {
	needRoot(t)
	_, nginx, port := proxied(t, 4)
	snap := startSnapshot(t, time.Minute)
	const n = 100000
	out, err := exec.Command(need(t, "ab"), "-q", "-k", "-n", fmt.Sprint(n), "-c", "16", fmt.Sprintf("http://127.0.0.1:%d/static/GPL-3", port)).CombinedOutput()
	if err != nil {
		t.Fatalf("ab: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), fmt.Sprintf("Complete requests:      %d", n)) {
		t.Fatalf("ab did not complete:\n%s", out)
	}
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()
	want := map[string]uint64{"GET /static/GPL-3 200": n}
	counted := got.counts("server", workers(t, nginx)...)
	if got.lost() != 0 { // a busy machine: all must be accounted for
		var lost uint64
		for _, pid := range workers(t, nginx) {
			lost += got.lostOf(pid)
		}
		t.Logf("lost %d", lost)
		counted["GET /static/GPL-3 200"] += lost
	}
	sameCounts(t, "nginx", counted, want)
	if t.Failed() {
		got.dump(t, "/static/GPL-3")
	}
}

// Latencies by route agree with what the server measured itself (server side)
// and with what the client waited (client side). Truth takes its times in user
// space: on a busy machine it may be put aside between an event and looking at
// the clock, so a disagreement counts when it comes three times in a row.
func TestLatenciesAgree(t *testing.T) {
	needRoot(t)
	var wrong []string
	for range 3 {
		if wrong = compareLatencies(t); len(wrong) == 0 {
			return
		}
		t.Logf("disagreements: %s", strings.Join(wrong, "; "))
	}
	t.Error(strings.Join(wrong, "\n"))
}

func compareLatencies(t *testing.T) (wrong []string) {
	t.Helper()
	truth := startTruth(t, "127.0.0.1:0", "TIMED=1")
	load := startLoad(t, "-addr", truth.addr, "-delays", "-old", "1", "-new", "0", "-requests", "600")
	snap := startSnapshot(t, time.Minute)
	client := load.finish(time.Minute)
	server := truth.report()
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()
	truth.end(syscall.SIGKILL)
	for _, side := range []struct {
		role  string
		pid   int
		truth truthReport
	}{{"server", truth.Process.Pid, server}, {"client", load.Process.Pid, client}} {
		for route, q := range side.truth.Quantiles {
			row := got.row(side.role, side.pid, route)
			if row == nil || row.P50 == nil || row.P99 == nil {
				t.Errorf("%s %s: no row", side.role, route)
				continue
			}
			for name, got := range map[string]float64{"p50": *row.P50, "p99": *row.P99} {
				line := fmt.Sprintf("%s %s %s: %.3f ms, truth %.3f ms", side.role, route, name, got*1e3, q[name]*1e3)
				t.Log(line)
				// The error of a histogram bucket, and 100 microseconds.
				if math.Abs(got-q[name]) > 0.01*q[name]+100e-6 {
					wrong = append(wrong, line)
				}
			}
		}
	}
	return wrong
}

func (l look) row(role string, pid int, route string) *lookRow {
	for i := range l.Requests {
		if r := &l.Requests[i]; r.Role == role && r.PID == pid && r.Route == route {
			return r
		}
	}
	return nil
}

func deref(f *float64) float64 {
	if f == nil {
		return math.NaN()
	}
	return *f
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}
