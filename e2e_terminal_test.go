package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
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
		left := term.programs()
		exec.Command("tmux", "-L", term.socket, "kill-server").Run()
		// The program is told by a hang-up and takes its leave: it writes its state.
		for deadline := time.Now().Add(patience); len(left) > 0; time.Sleep(50 * time.Millisecond) {
			late := time.Now().After(deadline)
			left = slices.DeleteFunc(left, func(pid int) bool {
				if late {
					t.Errorf("process %d did not end with its terminal", pid)
					syscall.Kill(pid, syscall.SIGKILL)
				}
				return late || syscall.Kill(pid, 0) != nil
			})
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
	until(m.t, fmt.Sprintf("the screen shows %q", pattern), func() bool {
		s = m.screen()
		return re.MatchString(s)
	}, func() string { return s })
	return s
}

// waitPrompt returns when the program has left and the shell asks again: keys that
// came too late for the program may stand there.
func (m *terminal) waitPrompt() string {
	m.t.Helper()
	return m.waitMatch(`(?m)^q*prompt\$[ q]*\s*\z`)
}

// programs are the pids of all that runs in the terminal, the shell first.
func (m *terminal) programs() (pids []int) {
	m.t.Helper()
	shell, _ := strconv.Atoi(strings.TrimSpace(m.tmux("display-message", "-p", "-t", "e2e", "#{pane_pid}")))
	pids = []int{shell}
	for i := 0; i < len(pids); i++ {
		out, _ := exec.Command(need(m.t, "ps"), "-o", "pid=", "--ppid", strconv.Itoa(pids[i])).Output()
		for _, f := range strings.Fields(string(out)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
	}
	return pids
}

// pid returns the pid of the vitals that runs in the terminal, below the shell.
func (m *terminal) pid() (pid int) {
	m.t.Helper()
	until(m.t, "vitals runs in the terminal", func() bool {
		for _, pid = range m.programs() {
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) == "vitals\n" {
				return true
			}
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
	only := fmt.Sprintf("pid=%d", truth.Process.Pid)
	term := openTerminal(t, 120, 36)
	term.run(fmt.Sprintf("%s --push %s --interval 1s --ui --instance e2e --include %s", binary(t, "vitals"), gw.url, only))
	term.waitFor("Overview")
	gw.waitAttached("e2e", 1)
	snap := startSnapshot(t, "--include", only)

	before := truth.report()
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "6000", "-rate", "4000").finish()
	want := truth.report().minus(before)
	time.Sleep(500 * time.Millisecond)

	sameCounts(t, "snapshot", snap.stop().counts("server", truth.Process.Pid), want)
	until(t, "the gateway has the truth", func() bool { return gw.requests("truth") == sum(want) }, func() string {
		return fmt.Sprintf("%d, truth is %d\n%s", gw.requests("truth"), sum(want), grep(fetch(gw.url+"/metrics"), "vitals_events_lost"))
	})

	// On the screen: the process' routes with their counts.
	openProcess(term, truth.Process.Pid)
	n := want["GET /users/{id} 200"]
	term.waitMatch(fmt.Sprintf(`GET\s+/users/\{id\}.*\b%d\b`, n))
	term.keys("q", "q", "q")
	term.waitPrompt()
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
	loadA := startLoad(t, "-addr", a.addr, "-old", "2", "-new", "0", "-for", "1h", "-rate", "500")
	loadB := startLoad(t, "-addr", b.addr, "-old", "2", "-new", "0", "-for", "1h", "-rate", "500")
	gw := startGateway(t, freePort(t))
	term := openTerminal(t, 120, 36)
	term.run(fmt.Sprintf("%s --ui --push %s --interval 1s --instance e2e --include pid=%d --include pid=%d", binary(t, "vitals"), gw.url, a.Process.Pid, b.Process.Pid))
	term.waitFor("Overview")
	gw.waitAttached("e2e", 2)
	loadA.tell("go")
	loadB.tell("go")

	toggle := func(pid int) {
		term.keys("2", "/")
		term.tmux("send-keys", "-t", "e2e", "C-u")
		term.text(fmt.Sprintf("pid:%d", pid))
		term.keys("Enter")
		term.waitMatch(fmt.Sprintf(`\b%d\b`, pid))
		term.keys("Space")
	}
	// pushed waits for the next push that has more of B, and returns what it has of A.
	pushed := func() uint64 {
		before, got := gw.requests("beta"), gw.services()
		until(t, "B counts", func() bool { got = gw.services(); return got["beta"] > before })
		return got["alpha"]
	}
	until(t, "A counts, too", func() bool { return pushed() > 0 })
	soon(t, 4*time.Second, "A counts again", func() time.Duration { // a second for the toggle, two for the push, one for us
		toggle(a.Process.Pid)
		until(t, "A is off", func() bool { return gw.attached("e2e") == 1 }, term.screen)
		frozen := pushed()
		until(t, "what was under way is there", func() bool {
			before := frozen
			frozen = pushed()
			return frozen == before
		})
		for range 3 {
			if later := pushed(); later != frozen {
				t.Errorf("A counts on although it is off: %d, then %d", frozen, later)
			}
		}
		toggle(a.Process.Pid)
		began := time.Now()
		until(t, "A counts again", func() bool { return gw.requests("alpha") > frozen }, term.screen)
		return time.Since(began)
	})

	loadA.tell("stop")
	loadB.tell("stop")
	loadA.sent()
	want := sum(loadB.sent().Counts)
	until(t, "B has no gap", func() bool { return gw.requests("beta") == want },
		func() string { return fmt.Sprintf("%d, truth is %d", gw.requests("beta"), want) })

	toggle(a.Process.Pid)
	toggle(b.Process.Pid)
	pid := term.pid()
	until(t, "no link of the requests probe is left", func() bool {
		return !strings.Contains(strings.Join(objectsOf(t, pid), "\n"), "sock_send_length")
	})
	held := objectsOf(t, pid)
	term.keys("q", "q", "q")
	term.waitPrompt()
	until(t, "nothing is left", func() bool { return len(stillThere(t, held)) == 0 })
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
	s := term.waitPrompt()
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
	until(t, "attached", func() bool {
		return strings.Contains(strings.Join(objectsOf(t, pid), "\n"), "sock_send_length")
	})
	held := objectsOf(t, pid)
	syscall.Kill(pid, syscall.SIGKILL)
	until(t, "nothing is left", func() bool { return len(stillThere(t, held)) == 0 })
}
