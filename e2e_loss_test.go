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
	load := startLoad(t, "-addr", truth.addr, "-old", "4", "-new", "4", "-for", "1h")
	before := truth.report()
	config := writeConfig(t, "limits:\n  requests_ring: 4KiB\n")
	snap := startSnapshot(t, "--config", config, "--include", fmt.Sprintf("pid=%d", truth.Process.Pid))
	load.tell("go")
	time.Sleep(2 * time.Second)
	snap.Process.Signal(syscall.SIGSTOP)
	time.Sleep(5 * time.Second)
	snap.Process.Signal(syscall.SIGCONT)
	time.Sleep(2 * time.Second)
	load.tell("stop")
	load.sent()
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
	gw.waitAttached("e2e", 1)
	pid := term.pid()
	syscall.Kill(pid, syscall.SIGSTOP)
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "20000").finish()
	syscall.Kill(pid, syscall.SIGCONT)
	var pushed string
	until(t, "the loss is pushed", func() bool {
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
	snap := startSnapshot(t)
	held := objectsOf(t, snap.Process.Pid)
	for _, kind := range []string{"prog ", "link ", "map "} {
		if !slices.ContainsFunc(held, func(o string) bool { return strings.HasPrefix(o, kind) }) {
			t.Fatalf("no %swhile running: %v", kind, held)
		}
	}
	snap.end(syscall.SIGKILL)
	until(t, "the kernel is clean", func() bool { return len(stillThere(t, held)) == 0 })
}

// objectsOf lists what a process holds in the kernel: "prog 7", "map 8", and
// links with their hook, "link 9 sock_send_length".
func objectsOf(t *testing.T, pid int) (held []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, _ := os.ReadFile(f)
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.TrimSpace(value)
		}
		switch {
		case fields["link_id"] != "":
			held = append(held, strings.TrimSpace("link "+fields["link_id"]+" "+fields["tp_name"]+fields["target_name"]))
		case fields["prog_id"] != "":
			held = append(held, "prog "+fields["prog_id"])
		case fields["map_id"] != "":
			held = append(held, "map "+fields["map_id"])
		}
	}
	return held
}

// stillThere is which of the objects the kernel has still, whoever holds them.
func stillThere(t *testing.T, held []string) (left []string) {
	t.Helper()
	alive := map[string]bool{}
	for _, kind := range []string{"prog", "link", "map"} {
		out, err := exec.Command(need(t, "bpftool"), "-j", kind, "show").Output()
		if err != nil {
			t.Fatalf("bpftool %s: %v", kind, err)
		}
		var rows []struct {
			ID int `json:"id"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(out), &rows); err != nil && len(bytes.TrimSpace(out)) > 0 {
			t.Fatalf("bpftool %s: %v\n%s", kind, err, out)
		}
		for _, r := range rows {
			alive[fmt.Sprintf("%s %d", kind, r.ID)] = true
		}
	}
	for _, o := range held {
		f := strings.Fields(o)
		if alive[f[0]+" "+f[1]] {
			left = append(left, o)
		}
	}
	return left
}
