package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The configuration is read again when its file changes and on SIGHUP: what
// changed is applied, what did not is left alone, what is wrong changes nothing.
func TestReload(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gw := startGateway(t, freePort(t))
	base := "push: {url: " + gw.url + ", interval: 1s}\n"
	write(base + "instrumentation: {requests: off}\n")
	p := start(t, nil, binary(t, "vitals"), "--headless", "--config", file, "--instance", "reload")
	// Each line answers one wait only: a later one is not ended by what was told before.
	var read int
	told := func(want ...string) {
		t.Helper()
		until(t, strings.Join(want, ", "), func() bool {
			from := read
			for line := range strings.Lines(p.stderr()[from:]) {
				from += len(line)
				if strings.HasSuffix(line, "\n") && !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(line, w) }) {
					read = from
					return true
				}
			}
			return false
		}, p.stderr)
	}
	told("network", "running")
	if strings.Contains(grep(p.stderr(), "unit=instrumentation/requests"), `msg="unit running"`) {
		t.Fatal("requests runs although it is off")
	}
	write(base + "instrumentation: {requests: on}\nrefresh: 2s\n")
	told("was read again", "instrumentation", "refresh with the next start")
	gw.waitAttached("reload", 1)

	write(base + "instrumentation: {requests: maybe}\n")
	told("not read again", file+":2")

	twice := "{url: " + gw.url + ", name: %s}"
	write("push: [" + strings.ReplaceAll(twice+", "+twice, "%s", "same") + "]\nintegrations: {host: {}}\n")
	told("not read again", "push destinations 1 and 2")

	write(base)
	told("was read again", "instrumentation")
	if strings.Contains(p.stderr(), "unit=integration/host") {
		t.Errorf("a configuration that was refused was applied in part:\n%s", p.stderr())
	}
	p.Process.Signal(syscall.SIGHUP)
	told("was read again", "nothing changed")
	if strings.Contains(p.stderr(), "removed") {
		t.Errorf("a unit was removed:\n%s", p.stderr())
	}
	p.end(syscall.SIGTERM)
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, tail(p.stderr()))
	}
}
