package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// runCommand runs vitals with a command until both have ended.
func runCommand(t *testing.T, env []string, args ...string) *proc {
	t.Helper()
	p := start(t, env, binary(t, "vitals"), args...)
	p.wait()
	return p
}

// A command that is started is seen from its first request on: one is all that
// it makes. Its output and its exit code are its own.
func TestCommandIsSeenFromItsFirstRequest(t *testing.T) {
	needRoot(t)
	truth := startTruth(t, "127.0.0.1:0")
	gw := startGateway(t, freePort(t))
	p := runCommand(t, nil, "--push", gw.url, "--once", "--instance", "e2e", "--", need(t, "curl"), "-s", "-o", "/dev/null", "-w", "answered %{http_code}", "http://"+truth.addr+"/items/7")
	if code := p.ProcessState.ExitCode(); code != 0 || p.stdout() != "answered 200" {
		t.Errorf("exit %d, %q, %s", code, p.stdout(), tail(p.stderr()))
	}
	pushed := regexp.MustCompile(`(?m)^http_client_request_duration_seconds_count\{.*http_route="/items/\{id\}".*service_name="curl".*\} 1$`)
	if text := fetch(gw.url + "/metrics"); !pushed.MatchString(text) {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "request_duration_seconds_count") {
				t.Log(line)
			}
		}
		t.Error("the one request was not pushed")
	}
}

// Vitals asks for its turn and lets its own timers be late; what it starts runs as
// it would without.
func TestCommandRunsAsUsual(t *testing.T) {
	needRoot(t)
	gw := startGateway(t, freePort(t))
	const ask = "cat /proc/self/timerslack_ns; nice"
	usual, err := exec.Command("sh", "-c", ask).Output()
	if err != nil {
		t.Fatal(err)
	}
	if p := runCommand(t, nil, "--push", gw.url, "--once", "--", "sh", "-c", ask); p.stdout() != string(usual) {
		t.Errorf("%q, usually %q\n%s", p.stdout(), usual, tail(p.stderr()))
	}
}

func TestCommandsExitCodeIsOurs(t *testing.T) {
	needRoot(t)
	for script, want := range map[string]int{"exit 7": 7, "kill -KILL $$": 137, "true": 0} {
		if p := runCommand(t, nil, "--plain", "--", "sh", "-c", script); p.ProcessState.ExitCode() != want {
			t.Errorf("%s: exit %d\n%s", script, p.ProcessState.ExitCode(), tail(p.stderr()))
		}
	}
	if p := runCommand(t, nil, "--plain", "--", "no-such-program"); p.ProcessState.ExitCode() != 2 || !strings.Contains(p.stderr(), "no-such-program") {
		t.Errorf("exit %d, %s", p.ProcessState.ExitCode(), p.stderr())
	}
}

// Under sudo the command is the caller's, not root's.
func TestCommandRunsAsWhoCalledSudo(t *testing.T) {
	needRoot(t)
	out := t.TempDir()
	if err := os.Chown(out, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	os.Chmod(strings.TrimSuffix(out, "/001"), 0o755)
	runCommand(t, []string{"SUDO_UID=65534", "SUDO_GID=65534", "SUDO_USER=nobody"}, "--plain", "--", "sh", "-c", "echo $(id -u) $SUDO_UID $USER >"+out+"/id")
	if b, err := os.ReadFile(out + "/id"); err != nil || string(b) != "65534 nobody\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// Vitals that is told to end takes its command with it.
func TestCommandEndsWithVitals(t *testing.T) {
	needRoot(t)
	p := start(t, nil, binary(t, "vitals"), "--plain", "--", "sh", "-c", "echo pid $$; exec sleep 1000")
	var pid int
	until(t, "the command runs", func() bool {
		n, _ := fmt.Sscanf(p.stdout(), "pid %d\n", &pid)
		return n == 1
	})
	p.end(syscall.SIGTERM)
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the command still runs")
	}
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d\n%s", code, tail(p.stderr()))
	}
}

var goesTo = regexp.MustCompile(`goes to (/\S+\.log)`)

// With a screen the command's output goes to a file, and quitting ends it.
func TestCommandUnderTheDashboard(t *testing.T) {
	needRoot(t)
	m := openTerminal(t, 120, 40)
	m.run(binary(t, "vitals") + " -- sh -c 'echo garbage on the screen; exec sleep 1000'")
	file := goesTo.FindStringSubmatch(m.waitMatch(goesTo.String()))[1]
	defer os.Remove(file)
	// It begins once everything is attached; ended before, it says nothing.
	until(t, "the command runs", func() bool {
		b, err := os.ReadFile(file)
		return err == nil && len(b) > 0
	})
	if s := m.screen(); strings.Contains(s, "garbage on the screen\n") {
		t.Errorf("%s", s)
	}
	m.keys("q", "q", "q")
	m.waitMatch(`sh \(pid \d+\): signal: terminated; its output is in\s+` + regexp.QuoteMeta(file) + `\s`)
	if b, err := os.ReadFile(file); err != nil || string(b) != "garbage on the screen\n" {
		t.Errorf("%q %v, in %s", b, err, file)
	}
}
