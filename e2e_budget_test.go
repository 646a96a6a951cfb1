package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server under load costs more than the budget: its requests are let go, which
// is told, and they come back, counted from then on, when the budget is gone.
func TestBudgetIsKept(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("budget: 0.001%\n"), 0o600); err != nil { // 2% of one core
		t.Fatal(err)
	}
	truth := startTruth(t, "127.0.0.1:0")
	load := start(t, nil, need(t, "wrk"), "-t1", "-c4", "-d10m", "http://"+truth.addr+"/ok")
	s := startServing(t, "-p", fmt.Sprint(truth.Process.Pid), "--config", file)
	const shed = `vitals_budget_shed{kind="requests",service_name="truth"} 1`
	until(t, "requests are counted", func() bool { return s.requests("truth") > 0 })
	until(t, "requests are let go", func() bool { return strings.Contains(fetch(s.url+"/metrics"), shed) })

	left := s.settled(t, "truth") // what was on its way when the probe was let go is told soon
	if all := truth.report().Total; all <= left {
		t.Errorf("truth answered %d, of which %d were counted: it did nothing without us", all, left)
	}
	if !strings.Contains(fetch(s.url+"/api/v1/snapshot"), "off to keep the budget: vitals used ") {
		t.Error("the snapshot does not say why")
	}

	if err := os.WriteFile(file, []byte("budget: off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "requests are counted again", func() bool { return s.requests("truth") > left })
	if strings.Contains(fetch(s.url+"/metrics"), "vitals_budget_shed{") {
		t.Error("something is shed without a budget")
	}
	load.end(syscall.SIGKILL)
	from, before := s.settled(t, "truth"), truth.report()
	startLoad(t, "-addr", truth.addr, "-old", "0", "-new", "4", "-requests", "2000").finish()
	want := from + sum(truth.report().minus(before))
	until(t, "scraped counts are the truth again", func() bool { return s.requests("truth") == want })
}

// settled waits until the requests of a service are no longer counted further.
func (s *server) settled(t *testing.T, service string) (n uint64) {
	t.Helper()
	until(t, "no request of "+service+" is counted any more", func() bool {
		before := s.requests(service)
		time.Sleep(3 * time.Second)
		n = s.requests(service)
		return n == before && n > 0
	})
	return n
}
