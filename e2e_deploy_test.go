package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// directive gives the values of a line of the systemd unit.
func directive(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("deploy/systemd/vitals.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return strings.Fields(m[1])
}

// With nothing but the capabilities of the systemd unit, as nobody and without a
// way to more, every probe runs and every request is counted.
func TestTheUnitsCapabilitiesSuffice(t *testing.T) {
	needRoot(t)
	caps := directive(t, "AmbientCapabilities")
	if fmt.Sprint(caps) != fmt.Sprint(directive(t, "CapabilityBoundingSet")) {
		t.Error("the bounding set is another one")
	}
	set := "-all"
	for _, c := range caps {
		set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	const nobody = "65534"
	state := t.TempDir()
	if err := os.Chown(state, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	exec.Command("chmod", "o+x", state).Run()
	truth := startTruth(t, "127.0.0.1:0")
	port := freePort(t)
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	s.proc = start(t, []string{"HOME=/", "XDG_STATE_HOME=" + state, "XDG_CONFIG_HOME=/etc"}, need(t, "setpriv"), "--reuid="+nobody, "--regid="+nobody, "--clear-groups",
		"--inh-caps="+set, "--ambient-caps="+set, "--bounding-set="+set, "--no-new-privs", binary(t, "vitals"), "--listen", fmt.Sprint(port), "--headless",
		"-p", fmt.Sprint(truth.Process.Pid))
	s.waitReady(t)
	until(t, "every probe is well", func() bool {
		return probesAreWell(fetch(s.url + "/health"))
	})
	before := truth.report()
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "2", "-requests", "2000").finish()
	want := sum(truth.report().minus(before))
	until(t, "every request is counted", func() bool { return s.requests("truth") == want })

	// What other users' processes are is known as well.
	var look struct {
		Processes []struct {
			PID       int
			Exe       string
			Listeners []string
		}
	}
	if err := json.Unmarshal([]byte(fetch(s.url+"/api/v1/snapshot")), &look); err != nil {
		t.Fatal(err)
	}
	for _, p := range look.Processes {
		if p.PID == truth.Process.Pid && (p.Exe == "" || len(p.Listeners) == 0) {
			t.Errorf("%+v", p)
		}
	}
	s.end(syscall.SIGTERM)
	if code := s.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d\n%s", code, tail(s.stderr()))
	}
}

// probesAreWell reports whether all probes of an answer of /health are.
func probesAreWell(answer string) bool {
	var health struct {
		Units []struct{ Class, Status string }
	}
	if json.Unmarshal([]byte(answer), &health) != nil {
		return false
	}
	probes := 0
	for _, u := range health.Units {
		if u.Class == "instrumentation" {
			probes++
			if u.Status != "OK" {
				return false
			}
		}
	}
	return probes >= 4
}

// The configuration that comes with the unit is one.
func TestDeployedConfigurationIsRight(t *testing.T) {
	needRoot(t)
	p := start(t, nil, binary(t, "vitals"), "config", "check", "deploy/systemd/config.yaml")
	p.wait()
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d\n%s", code, p.stderr())
	}
}
