package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Wrong input is one clear line that says what to do, and exit code 2.
func TestBadInputIsOneClearLine(t *testing.T) {
	needRoot(t)
	bad := writeConfig(t, "refresh: 1s\ncolour: red\n")
	garbage := writeConfig(t, "\x00\x01{{{ not yaml")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"--nonsense"}, []string{"--nonsense"}},
		{[]string{"--push", "::not a url"}, []string{"--push"}},
		{[]string{"--push", "http://127.0.0.1:1", "--interval", "0s"}, []string{"interval"}},
		{[]string{"--theme", "nosuch"}, []string{"nosuch", "midnight"}},
		{[]string{"--refresh", "-1s"}, []string{"refresh"}},
		{[]string{"--include", "planet=mars"}, []string{"planet"}},
		{[]string{"--config", bad, "snapshot"}, []string{"colour", ":2"}},
		{[]string{"--config", garbage, "snapshot"}, []string{garbage}},
		{[]string{"--config", "/nonexistent/x.yaml", "snapshot"}, []string{"/nonexistent/x.yaml"}},
		{[]string{"snapshot", "-o", "xml"}, []string{"xml", "json"}},
	} {
		p := start(t, nil, binary(t, "vitals"), c.args...)
		p.wait()
		errs := strings.TrimSpace(p.stderr())
		if code := p.ProcessState.ExitCode(); code != 2 {
			t.Errorf("%v: exit %d, want 2\n%s", c.args, code, errs)
		}
		for _, word := range c.says {
			if !strings.Contains(errs, word) {
				t.Errorf("%v: %q does not mention %q", c.args, errs, word)
			}
		}
		if n := strings.Count(errs, "\n"); n > 1 {
			t.Errorf("%v: %d lines instead of one clear one:\n%s", c.args, n+1, errs)
		}
	}
}

// Without root the processes are there and the screen says what root adds.
func TestWithoutRoot(t *testing.T) {
	needRoot(t)
	term := openTerminal(t, 120, 36)
	term.run("setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp XDG_CONFIG_HOME=/nonexistent XDG_STATE_HOME=/nonexistent " + binary(t, "vitals"))
	term.waitFor("Overview")
	s := term.waitMatch(`(?i)root`)
	t.Log("\n" + s)
	term.keys("2", "/")
	term.text("tmux")
	term.keys("Enter")
	term.waitMatch(`\d+ +tmux`)
	term.keys("q", "q")
	term.waitPrompt()
}

// No terminal at all: plain text once and a hint, never a crash.
func TestNoTerminal(t *testing.T) {
	needRoot(t)
	cmd := exec.Command(binary(t, "vitals"))
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("without a terminal: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "snapshot") || strings.Contains(string(out), "\x1b") {
		t.Errorf("plain output with a hint expected:\n%q", tail(string(out)))
	}
}

// Two at once both work and the second says that it is not alone.
func TestSecondInstance(t *testing.T) {
	needRoot(t)
	port := freePort(t)
	gw := startGateway(t, port)
	first := start(t, nil, binary(t, "vitals"), "--push", gw.url, "--interval", "1s", "--instance", "one")
	until(t, "first pushes", func() bool { return strings.Contains(fetch(gw.url+"/metrics"), `instance="one"`) })
	second := start(t, nil, binary(t, "vitals"), "--push", gw.url, "--interval", "1s", "--instance", "two")
	until(t, "second pushes", func() bool { return strings.Contains(fetch(gw.url+"/metrics"), `instance="two"`) })
	if !strings.Contains(second.stderr(), fmt.Sprint(first.Process.Pid)) {
		t.Errorf("the second does not mention pid %d:\n%s", first.Process.Pid, second.stderr())
	}
}

// Hostile names and garbage on sockets never reach the terminal raw, and never end vitals.
func TestHostileNamesAndGarbage(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	evil := filepath.Join(dir, "\x1b[31mevil\u202egnp")
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(evil, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, nil, evil, "60")
	long := start(t, nil, "/bin/sh", "-c", "sleep 60; : "+strings.Repeat("\x07A", 2048))
	_ = long
	truth := startTruth(t, "127.0.0.1:0")
	snap := startSnapshot(t)
	for i := range 200 {
		c, err := net.Dial("tcp", truth.addr)
		if err != nil {
			t.Fatal(err)
		}
		junk := make([]byte, 4096)
		for j := range junk {
			junk[j] = byte(i*31 + j*7)
		}
		copy(junk, []string{"GET ", "HTTP/1.1 200 ", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", ""}[i%4])
		c.Write(junk)
		c.Close()
	}
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "2", "-requests", "1000").finish()
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()
	if strings.ContainsAny(snap.stdout(), "\x1b\x07\u202e") {
		t.Error("control characters in the output")
	}
	seen := false
	for _, p := range got.Processes {
		seen = seen || strings.Contains(p.Comm, "evil")
	}
	if !seen {
		t.Error("the hostile process is not shown")
	}
	if n := got.counts("server", truth.Process.Pid)["GET /users/{id} 200"]; n == 0 {
		t.Error("no requests were seen after the garbage")
	}
	for _, secret := range []string{"hunter2", "secret="} {
		if strings.Contains(snap.stdout(), secret) {
			t.Errorf("%q is in the output", secret)
		}
	}
}
