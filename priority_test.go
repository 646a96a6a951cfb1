package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const prioritySession = "VITALS_TEST_SESSION"

// The weight of a session is raised where nobody else is in it, and only there.
func TestASessionOfOurOwnIsHurried(t *testing.T) {
	if os.Getenv(prioritySession) != "" {
		hurrySession()
		b, err := os.ReadFile("/proc/self/autogroup")
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.Write(b)
		os.Exit(0)
	}
	needRoot(t)
	if _, err := os.Stat("/proc/self/autogroup"); err != nil {
		t.Skip("this kernel has no groups of sessions")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		leader bool
		args   []string
		want   string
	}{
		"a leader":         {true, []string{self, "-test.run=^TestASessionOfOurOwnIsHurried$"}, "nice -10"},
		"a shell's":        {true, []string{"sh", "-c", self + " -test.run='^TestASessionOfOurOwnIsHurried$'; true"}, "nice 0"},
		"somebody's child": {false, []string{self, "-test.run=^TestASessionOfOurOwnIsHurried$"}, ""},
	} {
		before, _ := os.ReadFile("/proc/self/autogroup")
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Env = append(os.Environ(), prioritySession+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: c.leader}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if got := strings.TrimSpace(string(out)); c.want != "" && !strings.HasSuffix(got, c.want) || c.want == "" && got != strings.TrimSpace(string(before)) {
			t.Errorf("%s: %q, want %q (ours is %q)", name, got, c.want, before)
		}
	}
}
