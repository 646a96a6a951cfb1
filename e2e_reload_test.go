package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
	told := func(limit time.Duration, want ...string) {
		t.Helper()
		until(t, limit, strings.Join(want, ", "), func() bool {
			for line := range strings.Lines(p.stderr()) {
				all := true
				for _, w := range want {
					all = all && strings.Contains(line, w)
				}
				if all {
					return true
				}
			}
			return false
		})
	}
	told(10*time.Second, "network", "running")
	if strings.Contains(p.stderr(), "unit=instrumentation/requests to=running") {
		t.Fatal("requests runs although it is off")
	}
	write(base + "instrumentation: {requests: on}\nrefresh: 2s\n")
	told(10*time.Second, "was read again", "instrumentation", "refresh with the next start")
	gw.waitAttached("reload")

	write(base + "instrumentation: {requests: maybe}\n")
	told(10*time.Second, "not read again", file+":2")

	twice := "{url: " + gw.url + ", name: %s}"
	write("push: [" + strings.ReplaceAll(twice+", "+twice, "%s", "same") + "]\nintegrations: {host: {}}\n")
	told(10*time.Second, "not read again", "push destinations 1 and 2")

	write(base)
	told(10*time.Second, "was read again", "instrumentation")
	if strings.Contains(p.stderr(), "unit=integration/host") {
		t.Errorf("a configuration that was refused was applied in part:\n%s", p.stderr())
	}
	p.Process.Signal(syscall.SIGHUP)
	told(10*time.Second, "was read again", "nothing changed")
	if strings.Contains(p.stderr(), "removed") {
		t.Errorf("a unit was removed:\n%s", p.stderr())
	}
	p.end(syscall.SIGTERM)
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, tail(p.stderr()))
	}
}
