package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Why tells the rule, what is attached and what would change it; a dry run
// attaches nothing.
func TestWhyOfARealProcess(t *testing.T) {
	needRoot(t)
	sleeper := start(t, []string{"OTEL_SERVICE_NAME=quiet-shop"}, "/bin/sleep", "60")
	ask := func(args ...string) string {
		p := start(t, nil, binary(t, "vitals"), append([]string{"why"}, args...)...)
		p.wait()
		return p.stdout() + p.stderr()
	}
	config := writeConfig(t, "services: {quiet-shop: {network: off}}\n")
	got := ask("quiet-shop", "--config", config)
	for _, want := range []string{
		fmt.Sprintf("sleep (%d), service quiet-shop", sleeper.Process.Pid), "runs /", "requests     running, on by default",
		"network      off, off for service quiet-shop", `take the choice "off for service quiet-shop" back`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := ask(strconv.Itoa(sleeper.Process.Pid), "--exclude", "name=sleep"); !strings.Contains(got, "never instrumented: excluded by rule name=sleep") {
		t.Error(got)
	}
	if got := ask("nobody-is-called-this"); !strings.Contains(got, "there is no process and no service") {
		t.Error(got)
	}
	dry := ask(strconv.Itoa(sleeper.Process.Pid), "--dry-run", "-o", "json")
	var report struct {
		Processes []struct {
			Kinds []struct {
				Kind, State string
				On          bool
			}
		}
	}
	if err := json.Unmarshal([]byte(dry), &report); err != nil || len(report.Processes) != 1 || len(report.Processes[0].Kinds) == 0 {
		t.Fatalf("%v\n%s", err, dry)
	}
	for _, k := range report.Processes[0].Kinds {
		if k.State != "off" || !k.On {
			t.Errorf("%+v", k)
		}
	}
}

// Without privilege a rehearsal says what it lacks.
func TestI65_DryRunWithoutPrivilege(t *testing.T) {
	needRoot(t)
	cmd := exec.Command(binary(t, "vitals"), "why", strconv.Itoa(os.Getpid()), "--dry-run")
	cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH")}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "requests     unsupported, on by default") || !strings.Contains(string(out), "sudo") {
		t.Errorf("%v\n%s", err, out)
	}
}
