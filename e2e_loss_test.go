package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// With the smallest ring and vitals stopped for five seconds at full load, what
// was counted plus what was lost is the truth, and the loss is told.
func TestCountedPlusLostIsTheTruth(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	load := startLoad(t, "-addr", truth.addr, "-old", "4", "-new", "4", "-for", "9s")
	before := truth.report()
	config := writeConfig(t, "limits:\n  requests_ring: 4KiB\n")
	snap := startSnapshot(t, time.Minute, "--config", config, "--include", fmt.Sprintf("pid=%d", truth.Process.Pid))
	done := make(chan truthReport, 1)
	go func() { done <- load.finish(time.Minute) }()
	time.Sleep(2 * time.Second)
	snap.Process.Signal(syscall.SIGSTOP)
	time.Sleep(5 * time.Second)
	snap.Process.Signal(syscall.SIGCONT)
	<-done
	time.Sleep(700 * time.Millisecond)
	want := sum(truth.report().minus(before))
	got := snap.stop()

	counted := sum(got.counts("server", truth.Process.Pid))
	lost := got.lostOf(truth.Process.Pid)
	t.Logf("truth %d, counted %d, lost %d of it, in all %v", want, counted, lost, got.Self.Lost)
	if lost == 0 || got.lost() < lost {
		t.Errorf("lost %d of the process, %v in all: the loss is not told", lost, got.Self.Lost)
	}
	if counted+lost != want {
		t.Errorf("counted %d + lost %d = %d, truth is %d", counted, lost, counted+lost, want)
	}
	if c := deref(got.Self.Completeness); !(c < 1) {
		t.Errorf("completeness is %v although requests were lost", c)
	}
}

// A loss is on the screen and in the metrics, the same number.
func TestLossIsOnScreenAndInTheMetrics(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	gw := startGateway(t, freePort(t))
	config := writeConfig(t, "limits:\n  requests_ring: 4KiB\n")
	term := openTerminal(t, 120, 36)
	// Below a shell without job control, so that nobody takes note of the stop.
	term.run(fmt.Sprintf("sh -c '%s --ui --push %s --interval 1s --instance e2e --config %s --include pid=%d; true'",
		binary(t, "vitals"), gw.url, config, truth.Process.Pid))
	gw.waitAttached("e2e")
	pid := term.pid()
	syscall.Kill(pid, syscall.SIGSTOP)
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "20000").finish(time.Minute)
	syscall.Kill(pid, syscall.SIGCONT)
	var pushed string
	until(t, 15*time.Second, "the loss is pushed", func() bool {
		for line := range strings.Lines(fetch(gw.url + "/metrics")) {
			if strings.HasPrefix(line, "vitals_events_lost_total{") && strings.Contains(line, `reason="requests"`) {
				pushed = strings.Fields(line)[len(strings.Fields(line))-1]
			}
		}
		return pushed != "" && pushed != "0"
	})
	t.Logf("pushed %s lost", pushed)
	term.waitMatch(`lost +[1-9]`)
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A killed vitals leaves nothing in the kernel.
func TestI68_KilledLeavesNothing(t *testing.T) {
	needRoot(t)
	before := kernelObjects(t)
	snap := startSnapshot(t, time.Minute)
	during := kernelObjects(t)
	if len(during) <= len(before) {
		t.Fatalf("no programs, links or maps while running: %v", during)
	}
	snap.end(syscall.SIGKILL)
	var left []string
	until(t, 10*time.Second, "the kernel is clean", func() bool {
		left = nil
		for _, o := range kernelObjects(t) {
			if !slices.Contains(before, o) {
				left = append(left, o)
			}
		}
		return len(left) == 0
	})
}

// kernelObjects lists the programs, links and maps in the kernel by id.
func kernelObjects(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, kind := range []string{"prog", "link", "map"} {
		out, err := exec.Command(need(t, "bpftool"), "-j", kind, "show").Output()
		if err != nil {
			t.Fatalf("bpftool %s: %v", kind, err)
		}
		var rows []struct {
			ID   int    `json:"id"`
			Name string `json:"name"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(out), &rows); err != nil && len(bytes.TrimSpace(out)) > 0 {
			t.Fatalf("bpftool %s: %v\n%s", kind, err, out)
		}
		for _, r := range rows {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %d %s%s", kind, r.ID, r.Type, r.Name)))
		}
	}
	return all
}
