package main

import (
	"fmt"
	"maps"
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
// then the loss must be told, and the test is made again, at last more slowly.
func TestCountsEqualTheServersOwn(t *testing.T) {
	needRoot(t)
	for _, path := range []string{"fast", "floor"} {
		t.Run(path, func(t *testing.T) {
			if path == "floor" { // as on kernels before 6.3
				t.Setenv("VITALS_FLOOR", "1")
			}
			for _, pace := range []int{0, 0, 6000, 2000, 500} {
				if compareCounts(t, pace) {
					return
				}
			}
			t.Error("something was lost, or somebody else asked, five times in a row")
		})
	}
}

// compareCounts sends at a pace, as fast as it goes with 0.
func compareCounts(t *testing.T, pace int) (whole bool) {
	t.Helper()
	truth, nginx, port := proxied(t, 4)
	requests := 150000
	if pace > 0 {
		requests = 10 * pace
	}
	load := startLoad(t, "-addr", fmt.Sprintf("127.0.0.1:%d", port), "-old", "12", "-new", "12", "-requests", fmt.Sprint(requests), "-rate", fmt.Sprint(pace))
	before := truth.report()

	children := children(t, nginx)
	var only []string // what others do beside us fills no ring
	for _, pid := range append([]int{truth.Process.Pid, load.Process.Pid}, children...) {
		only = append(only, "--include", fmt.Sprintf("pid=%d", pid))
	}
	snap := startSnapshot(t, only...)
	sent := load.finish()
	want := truth.report().minus(before)
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()

	rate := float64(sent.Total) / sent.Seconds
	t.Logf("%.0f requests/s, lost %v, completeness %v", rate, got.Self.Lost, deref(got.Self.Completeness))
	if pace == 0 && rate < 10000 {
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
	snap := startSnapshot(t)
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
	counted := got.counts("server", children(t, nginx)...)
	// A vitals beside us may ask nginx for its status.
	maps.DeleteFunc(counted, func(row string, _ uint64) bool { return !strings.Contains(row, " /static/") })
	if got.lost() != 0 { // a busy machine: all must be accounted for
		var lost uint64
		for _, pid := range children(t, nginx) {
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
// the clock, so a disagreement counts when it comes six times in a row.
func TestLatenciesAgree(t *testing.T) {
	needRoot(t)
	var wrong []string
	for range 6 {
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
	snap := startSnapshot(t)
	client := load.finish()
	server := truth.report()
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()
	truth.end(syscall.SIGKILL)
	for _, side := range []struct {
		role  string
		pid   int
		truth truthReport
	}{{"server", truth.Process.Pid, server}, {"client", load.Process.Pid, client}} {
		for route, durations := range side.truth.Durations {
			row := got.row(side.role, side.pid, route)
			if row == nil || row.P50 == nil || row.P99 == nil {
				t.Errorf("%s %s: no row", side.role, route)
				continue
			}
			for q, got := range map[float64]float64{0.5: *row.P50, 0.99: *row.P99} {
				low, is, high := around(durations, q)
				line := fmt.Sprintf("%s %s p%.0f: %.3f ms, truth %.3f ms (%.3f to %.3f)", side.role, route, 100*q, got*1e3, is*1e3, low*1e3, high*1e3)
				t.Log(line)
				// The error of a histogram bucket, and 100 microseconds.
				if got < 0.99*low-100e-6 || got > 1.01*high+100e-6 {
					wrong = append(wrong, line)
				}
			}
		}
	}
	return wrong
}

// around is a quantile of what truth measured, and what it would be if truth was
// put aside before it looked at the clock once and for one in a hundred besides.
func around(sorted []float64, q float64) (low, is, high float64) {
	at, wrong := max(int(math.Ceil(q*float64(len(sorted))))-1, 0), 1+len(sorted)/100
	return sorted[max(at-wrong, 0)], sorted[at], sorted[min(at+wrong, len(sorted)-1)]
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
