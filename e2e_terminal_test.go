package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// terminal is a tmux session of its own server: a real terminal around the
// real program.
type terminal struct {
	t      *testing.T
	socket string
}

// openTerminal starts a shell in a terminal of the given size.
func openTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	need(t, "tmux")
	term := &terminal{t, fmt.Sprintf("vitals-e2e-%d", time.Now().UnixNano())}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-s", "e2e", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height),
		"env", "PS1=prompt$ ", "TERM=screen-256color", "LC_ALL=C.UTF-8", "XDG_CONFIG_HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir(), "sh")
	t.Cleanup(func() {
		exec.Command("tmux", "-L", term.socket, "kill-server").Run()
		// The program is told by a hang-up and takes its leave: it writes its state.
		for range 100 {
			if exec.Command("pgrep", "-f", filepath.Join(built.dir, "vitals")+".*").Run() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	term.waitFor("prompt$")
	return term
}

func (m *terminal) tmux(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", m.socket}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (m *terminal) keys(keys ...string) {
	m.t.Helper()
	for _, k := range keys {
		m.tmux("send-keys", "-t", "e2e", k)
		time.Sleep(80 * time.Millisecond)
	}
}

func (m *terminal) text(s string) { m.t.Helper(); m.tmux("send-keys", "-t", "e2e", "-l", s) }

// run types a command line.
func (m *terminal) run(line string) { m.t.Helper(); m.text(line); m.keys("Enter") }

func (m *terminal) screen() string { return m.tmux("capture-pane", "-p", "-t", "e2e") }

func (m *terminal) waitFor(text string) string {
	m.t.Helper()
	return m.waitMatch(regexp.QuoteMeta(text))
}

func (m *terminal) waitMatch(pattern string) string {
	m.t.Helper()
	re := regexp.MustCompile(pattern)
	var s string
	for deadline := time.Now().Add(12 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if s = m.screen(); re.MatchString(s) {
			return s
		}
	}
	m.t.Fatalf("the screen never showed %q:\n%s", pattern, s)
	return ""
}

// pid returns the pid of the vitals that runs in the terminal, below the shell.
func (m *terminal) pid() (pid int) {
	m.t.Helper()
	parents := []string{strings.TrimSpace(m.tmux("display-message", "-p", "-t", "e2e", "#{pane_pid}"))}
	until(m.t, 5*time.Second, "vitals runs in the terminal", func() bool {
		out, _ := exec.Command("ps", "-o", "pid=,comm=", "--ppid", strings.Join(parents, ",")).Output()
		for line := range strings.Lines(string(out)) {
			var comm string
			fmt.Sscan(line, &pid, &comm)
			if comm == "vitals" {
				return true
			}
			parents = append(parents, strconv.Itoa(pid))
		}
		return false
	})
	return pid
}

// The screen, the snapshot, the Pushgateway and the truth agree after the load.
func TestOneNumberInFourPlaces(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	gw := startGateway(t, freePort(t))
	term := openTerminal(t, 120, 36)
	term.run(fmt.Sprintf("%s --push %s --interval 1s --ui --instance e2e", binary(t, "vitals"), gw.url))
	term.waitFor("Overview")
	gw.waitAttached("e2e")
	snap := startSnapshot(t, time.Minute)

	before := truth.report()
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "20000").finish(time.Minute)
	want := truth.report().minus(before)
	time.Sleep(500 * time.Millisecond)

	sameCounts(t, "snapshot", snap.stop().counts("server", truth.Process.Pid), want)
	until(t, 10*time.Second, "the gateway has the truth", func() bool { return gw.requests("truth") == sum(want) })

	// On the screen: the process' routes with their counts.
	openProcess(term, truth.Process.Pid)
	n := want["GET /users/{id} 200"]
	term.waitMatch(fmt.Sprintf(`GET\s+/users/\{id\}.*\b%d\b`, n))
	term.keys("q", "q", "q")
	term.waitFor("prompt$")
}

// openProcess shows the page of a process, on its Routes tab.
func openProcess(term *terminal, pid int) {
	term.keys("2", "/")
	term.text(fmt.Sprintf("pid:%d", pid))
	term.keys("Enter")
	term.waitMatch(fmt.Sprintf(`\b%d\b`, pid))
	term.keys("Enter")
	term.waitFor("Routes")
	term.keys("l")
}

// Switching A off freezes A and leaves B whole; when the last one is off nothing
// of the probe is in the kernel; on again, numbers return within a second on
// connections that were open all the time.
func TestTogglingFreezesOneAndNotTheOther(t *testing.T) {
	needRoot(t)
	a, b := startTruth(t, "127.0.0.1:0", "OTEL_SERVICE_NAME=alpha"), startTruth(t, "127.0.0.1:0", "OTEL_SERVICE_NAME=beta")
	loadA := startLoad(t, "-addr", a.addr, "-old", "2", "-new", "0", "-for", "25s", "-rate", "500")
	loadB := startLoad(t, "-addr", b.addr, "-old", "2", "-new", "0", "-for", "25s", "-rate", "500")
	gw := startGateway(t, freePort(t))
	term := openTerminal(t, 120, 36)
	term.run(fmt.Sprintf("%s --ui --push %s --interval 1s --instance e2e --include pid=%d --include pid=%d", binary(t, "vitals"), gw.url, a.Process.Pid, b.Process.Pid))
	term.waitFor("Overview")
	gw.waitAttached("e2e")
	go loadA.finish(time.Minute)
	bDone := make(chan truthReport, 1)
	go func() { bDone <- loadB.finish(time.Minute) }()

	toggle := func(pid int) {
		term.keys("2", "/")
		term.tmux("send-keys", "-t", "e2e", "C-u")
		term.text(fmt.Sprintf("pid:%d", pid))
		term.keys("Enter")
		term.waitMatch(fmt.Sprintf(`\b%d\b`, pid))
		term.keys("Space")
	}
	time.Sleep(3 * time.Second)
	toggle(a.Process.Pid)
	time.Sleep(2500 * time.Millisecond) // a second for the toggle, one for the tick, some for the push
	frozen := gw.requests("alpha")
	time.Sleep(3 * time.Second)
	if later := gw.requests("alpha"); later != frozen {
		t.Errorf("A counts on although it is off: %d, then %d", frozen, later)
	}
	toggle(a.Process.Pid)
	until(t, 4*time.Second, "A counts again", func() bool { return gw.requests("alpha") > frozen })

	want := sum((<-bDone).Counts)
	until(t, 10*time.Second, "B has no gap", func() bool { return gw.requests("beta") == want })

	toggle(a.Process.Pid)
	toggle(b.Process.Pid)
	pid := term.pid()
	until(t, 5*time.Second, "no link of the requests probe is left", func() bool {
		return !strings.Contains(strings.Join(objectsOf(t, pid), "\n"), "sock_send_length")
	})
	held := objectsOf(t, pid)
	term.keys("q", "q", "q")
	term.waitFor("prompt$")
	until(t, 5*time.Second, "nothing is left", func() bool { return len(stillThere(t, held)) == 0 })
}

// After quitting, the terminal is as it was; too small a terminal still tells the health.
func TestTheTerminalIsLeftAsItWas(t *testing.T) {
	needRoot(t)
	term := openTerminal(t, 80, 24)
	term.run("echo before; " + binary(t, "vitals"))
	term.waitFor("Overview")
	term.tmux("resize-window", "-t", "e2e", "-x", "48", "-y", "8")
	term.waitFor("60x14")
	term.tmux("resize-window", "-t", "e2e", "-x", "80", "-y", "24")
	term.waitFor("Over")
	term.keys("q")
	s := term.waitFor("prompt$")
	if !strings.Contains(s, "before") {
		t.Errorf("the screen before is gone:\n%s", s)
	}
	term.run("stty -a")
	term.waitMatch(`[^-]icanon.*`)
	term.waitMatch(`[^-]echo `)
	if strings.Contains(term.screen(), "[?") {
		t.Errorf("escape replies leaked into the shell:\n%s", term.screen())
	}
}

// A vitals that is killed hard in a terminal leaves nothing attached.
func TestKilledDashboardLeavesNothing(t *testing.T) {
	needRoot(t)
	term := openTerminal(t, 120, 36)
	term.run(binary(t, "vitals"))
	term.waitFor("Overview")
	pid := term.pid()
	until(t, 10*time.Second, "attached", func() bool {
		return strings.Contains(strings.Join(objectsOf(t, pid), "\n"), "sock_send_length")
	})
	held := objectsOf(t, pid)
	syscall.Kill(pid, syscall.SIGKILL)
	until(t, 10*time.Second, "nothing is left", func() bool { return len(stillThere(t, held)) == 0 })
}
