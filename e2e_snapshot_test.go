package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// look is the part of the snapshot's JSON that the tests read.
type look struct {
	Version int     `json:"version"`
	Window  float64 `json:"window_seconds"`
	Self    struct {
		Lost         map[string]uint64 `json:"lost"`
		Completeness *float64          `json:"completeness"`
		RSS          uint64            `json:"rss_bytes"`
	} `json:"self"`
	Processes []struct {
		PID       int      `json:"pid"`
		Comm      string   `json:"comm"`
		Service   string   `json:"service"`
		Listeners []string `json:"listeners"`
		Runtime   struct {
			Language string `json:"language"`
		} `json:"runtime"`
		Coverage struct {
			Exchanges, Parsed, Lost, Unpaired uint64
		} `json:"coverage"`
	} `json:"processes"`
	Requests []lookRow `json:"requests"`
	Units    []struct {
		ID, Phase, Message string
	} `json:"units"`
}

type lookRow struct {
	PID                     int `json:"pid"`
	Service, Role, Protocol string
	Method, Route           string
	Status                  int
	Count                   uint64
	P50                     *float64 `json:"p50_seconds"`
	P99                     *float64 `json:"p99_seconds"`
	Max                     *float64 `json:"max_seconds"`
	BytesIn                 uint64   `json:"bytes_in"`
	BytesOut                uint64   `json:"bytes_out"`
}

// snapshotting is a running `vitals snapshot --for`.
type snapshotting struct{ *proc }

// startSnapshot returns once the probes are attached. Its window ends with stop.
func startSnapshot(t *testing.T, args ...string) snapshotting {
	t.Helper()
	args = append([]string{"snapshot", "--for", "1h", "-o", "json"}, args...)
	p := start(t, nil, binary(t, "vitals"), args...)
	until(t, "snapshot watches", func() bool { return strings.Contains(p.stderr(), "watching") }, p.stderr)
	return snapshotting{p}
}

// stop ends the window now: an interrupted snapshot prints what it has.
func (s snapshotting) stop() look {
	s.t.Helper()
	s.Process.Signal(syscall.SIGINT)
	s.wait()
	var l look
	if err := json.Unmarshal([]byte(s.stdout()), &l); err != nil {
		s.t.Fatalf("snapshot: %v (%v)\n%s\n%s", err, s.err, tail(s.stdout()), tail(s.stderr()))
	}
	return l
}

// counts adds up the rows of the given processes and role, by "METHOD route status".
func (l look) counts(role string, pids ...int) map[string]uint64 {
	got := map[string]uint64{}
	for _, r := range l.Requests {
		for _, pid := range pids {
			// GET / is the test asking truth for its counters.
			if r.PID == pid && r.Role == role && r.Protocol == "http" && r.Route != "/" {
				got[fmt.Sprintf("%s %s %d", r.Method, r.Route, r.Status)] += r.Count
			}
		}
	}
	return got
}

// lostOf is what was lost of one process.
func (l look) lostOf(pid int) uint64 {
	for _, p := range l.Processes {
		if p.PID == pid {
			return p.Coverage.Lost
		}
	}
	return 0
}

// lost is what was lost of requests: the rows and sockets of the network probe for
// which there was no room at the moment are none.
func (l look) lost() uint64 {
	var n uint64
	for reason, v := range l.Self.Lost {
		if reason != "map/network" {
			n += v
		}
	}
	return n
}

// sameCounts fails with every difference between what was seen and the truth.
func sameCounts(t *testing.T, who string, got, want map[string]uint64) {
	t.Helper()
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %s: saw %d, truth is %d (%+d)", who, k, got[k], n, int64(got[k])-int64(n))
		}
	}
	for k, n := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s: saw %d, truth knows none", who, k, n)
		}
	}
}

// minus is what happened between two reports.
func (r truthReport) minus(before truthReport) map[string]uint64 {
	d := map[string]uint64{}
	for k, v := range r.Counts {
		if v > before.Counts[k] {
			d[k] = v - before.Counts[k]
		}
	}
	return d
}

// dump logs every row of a route, whoever it belongs to, to explain a difference.
func (l look) dump(t *testing.T, route string) {
	t.Helper()
	for _, r := range l.Requests {
		if r.Route == route || r.Protocol != "http" {
			t.Logf("row: pid %d %s %s %s %s %s %d: %d", r.PID, r.Service, r.Role, r.Protocol, r.Method, r.Route, r.Status, r.Count)
		}
	}
	for _, u := range l.Units {
		t.Logf("unit: %s %s %s", u.ID, u.Phase, u.Message)
	}
}
