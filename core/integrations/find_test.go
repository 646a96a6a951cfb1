package integrations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// proc is a process that listens.
func proc(pid int32, exe string, listeners ...string) *core.Process {
	p := &core.Process{ProcKey: core.ProcKey{PID: pid, Birth: birth(pid)}, Comm: exe, Exe: "/usr/sbin/" + exe, Service: exe, NetNS: 1}
	for _, l := range listeners {
		network, address, _ := strings.Cut(l, " ")
		p.Listeners = append(p.Listeners, core.Listener{Network: network, Address: address})
	}
	return p
}

// birth is that of a process that is there, and a later one of those that are not.
func birth(pid int32) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return birth(int32(os.Getpid())) + uint64(pid)
	}
	n, _ := strconv.ParseUint(strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[19], 10, 64)
	return n
}

// another is a new process in our namespaces: its candidates are tried from here.
func another(t *testing.T) int32 {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return int32(cmd.Process.Pid)
}

// probedBefore is what was probed before a server that is found now is asked: what
// was told earlier and is to be left alone was looked at by then.
func (w *world) probedBefore(f *fake) (before []string) {
	w.t.Helper()
	const later = "127.0.0.1:9999"
	w.m.ProcessUp(proc(another(w.t), "faked", "tcp "+later))
	w.untilRuns("integration/fake/" + later)
	return slices.DeleteFunc(f.seen().probed, func(s string) bool { return s == later })
}

const idFound = "integration/fake/127.0.0.1:7000"

func TestAnExecutableThatAnswersIsSwitchedOn(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 0.0.0.0:7000"))
	r := w.untilRuns(idFound)
	if r.Origin != "found" || r.Why != "executable faked; it answers" || len(r.Procs) != 1 || r.Service != "faked" {
		t.Errorf("%+v", r)
	}
	if probed := f.seen().probed; !slices.Equal(probed, []string{"127.0.0.1:7000"}) {
		t.Errorf("probed %v", probed)
	}
	if !w.said("found Fake at 127.0.0.1:7000: executable faked") {
		t.Error("nobody was told")
	}
}

func TestAPortAloneIsNoEvidence(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "python3", "tcp 127.0.0.1:7"))
	if probed := w.probedBefore(f); len(probed) != 0 || w.row("integration/fake/127.0.0.1:7").ID != "" {
		t.Errorf("it was probed %v", probed)
	}
}

func TestAProtocolIsEvidence(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	p := proc(another(t), "clone", "tcp 127.0.0.1:7")
	w.m.ProcessUp(p)
	w.m.Serves(p.ProcKey, "http")
	w.m.Serves(p.ProcKey, "fake")
	if r := w.untilRuns("integration/fake/127.0.0.1:7"); r.Why != "protocol fake, port 7; it answers" {
		t.Errorf("%q", r.Why)
	}
}

func TestWhatIsNotObservedIsNotFound(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
	p.Skip = "excluded by rule name=faked"
	w.m.ProcessUp(p)
	w.m.ProcessUp(proc(int32(os.Getpid()), "faked", "tcp 127.0.0.1:7001"))
	if probed := w.probedBefore(f); len(probed) != 0 {
		t.Errorf("probed %v", probed)
	}
}

func TestCandidatesAreTriedInOrderUntilOneAnswers(t *testing.T) {
	f := &fake{probe: func(_ context.Context, s fakeSettings) (string, error) {
		if s.Address == "127.0.0.1:7001" {
			return "at last", nil
		}
		return "", errors.New("refused")
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 10.0.0.1:7001", "tcp [::]:7002", "tcp 127.0.0.1:7001", "tcp 0.0.0.0:7003", "unix /run/fake.sock", "udp 127.0.0.1:9"))
	w.untilRuns("integration/fake/127.0.0.1:7001")
	f.locked(func() {
		if got := strings.Join(f.probed, " "); got != "unix:/run/fake.sock 127.0.0.1:7001" {
			t.Errorf("tried %s", got)
		}
	})
}

func TestWorkersOfOneMasterAreOneServer(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	for _, pid := range []int32{another(t), another(t), another(t)} {
		w.m.ProcessUp(proc(pid, "faked", "tcp 127.0.0.1:7000"))
	}
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7001"))
	w.untilRuns(idFound)
	w.until("two servers with all processes", func() bool { return len(w.row(idFound).Procs) == 3 && len(w.m.Specs()) == 2 })
}

func TestACredentialIsSuggestedAndNeverGuessed(t *testing.T) {
	f := &fake{probe: func(context.Context, fakeSettings) (string, error) {
		return "fake 1.0 wants a login", fmt.Errorf("it says no: %w", kit.ErrCredentials)
	}}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	r := w.untilState(idFound, core.IntegrationSuggested)
	if r.Needs != core.NeedsLogin || !r.Login || !r.Ambient || !strings.Contains(r.Why, "wants a login") || !strings.Contains(r.Message, "grants") {
		t.Errorf("%+v", r)
	}
	if f.seen().asked != 0 {
		t.Error("it was asked without a login")
	}
	w.m.Submit(core.Intent{Op: core.IntentIntegrationLogin, Unit: idFound, Login: &core.Login{User: "me", Password: "hunter22"}})
	w.untilRuns(idFound)
	f.locked(func() {
		if p, _ := f.last.Password.Read(t.Context()); p != "hunter22" || f.last.User != "me" || f.last.Ambient {
			t.Errorf("logged in as %q", f.last.User)
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if all := fmt.Sprintf("%+v %+v", w.rows, w.events); strings.Contains(all, "hunter22") {
		t.Error("the password is told")
	}
}

func TestConsentIsAskedForAndRemembered(t *testing.T) {
	f := &fake{probe: func(_ context.Context, s fakeSettings) (string, error) { return "", kit.ErrConsent }}
	memory := newStore(t)
	w := newWorld(t, func(c *Config) { c.Memory = memory }, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	if r := w.untilState(idFound, core.IntegrationSuggested); r.Needs != core.NeedsConsent {
		t.Errorf("%+v", r)
	}
	w.m.Submit(core.Intent{Op: core.IntentIntegrationConsent, Unit: idFound})
	w.untilRuns(idFound)
	f.locked(func() {
		if !f.last.Ambient {
			t.Error("it does not know that it may")
		}
	})
	w.stop()
	again := newWorld(t, func(c *Config) { c.Memory = memory }, f.kind("fake", nil))
	again.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	again.untilRuns(idFound)
	again.m.Submit(core.Intent{Op: core.IntentIntegrationForget, Unit: idFound})
	again.untilState(idFound, core.IntegrationSuggested)
}

func TestDenyHoldsAndIsRemembered(t *testing.T) {
	f := &fake{}
	memory := newStore(t)
	w := newWorld(t, func(c *Config) { c.Memory = memory }, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	w.untilRuns(idFound)
	w.m.Submit(core.Intent{Op: core.IntentIntegrationDeny, Unit: idFound})
	w.untilState(idFound, core.IntegrationDenied)
	w.until("its unit is gone", func() bool { return w.unit(idFound).ID == "" })
	w.stop()
	f.probed = nil
	again := newWorld(t, func(c *Config) { c.Memory = memory }, f.kind("fake", nil))
	again.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	again.untilState(idFound, core.IntegrationDenied)
	time.Sleep(20 * time.Millisecond)
	f.locked(func() {
		if len(f.probed) != 0 {
			t.Errorf("what is denied was probed: %v", f.probed)
		}
	})
	again.m.Submit(core.Intent{Op: core.IntentIntegrationEnable, Unit: idFound})
	again.untilRuns(idFound)
}

func TestDisableHoldsUntilEnabled(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	w.untilRuns(idFound)
	w.m.Submit(core.Intent{Op: core.IntentIntegrationDisable, Unit: idFound})
	w.untilState(idFound, core.IntegrationDenied)
	w.m.Submit(core.Intent{Op: core.IntentIntegrationEnable, Unit: idFound})
	w.untilRuns(idFound)
}

func TestRulesOfTheConfigurationHold(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.Apply(Settings{Deny: []string{"fake/127.0.0.1:7*"}})
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:8000"))
	w.untilState(idFound, core.IntegrationDenied)
	w.untilRuns("integration/fake/127.0.0.1:8000")
	w.set(Settings{Deny: []string{"fake"}})
	w.untilState("integration/fake/127.0.0.1:8000", core.IntegrationDenied)
	w.set(Settings{Discovery: DiscoverSuggest})
	r := w.untilState(idFound, core.IntegrationSuggested)
	if r.Needs != core.NeedsEnable {
		t.Errorf("%+v", r)
	}
	w.set(Settings{Discovery: DiscoverSuggest, Enable: []string{"fake/*:7000"}})
	w.untilRuns(idFound)
	w.set(Settings{Discovery: DiscoverOff})
	w.until("nothing is listed", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.rows) == 0 })
}

func TestWhatIsConfiguredIsNotFoundASecondTime(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.use(section("fake", fakeSettings{Address: "127.0.0.1:7000", Value: 3}))
	w.untilRuns(idFound)
	w.m.ProcessUp(proc(another(t), "faked", "unix /run/fake.sock", "tcp 127.0.0.1:7000"))
	w.untilRow(idFound, func(r core.IntegrationRow) bool { return len(r.Procs) == 1 })
	if probed := w.probedBefore(f); len(probed) != 0 || len(w.m.Specs()) != 2 {
		t.Errorf("probed %v, %d units", probed, len(w.m.Specs()))
	}
	off := section("fake", fakeSettings{Address: "127.0.0.1:7000"})
	no := false
	w.use(off.with(Common{Enabled: &no}), Section{})
	w.until("switched off in the configuration", func() bool { return w.unit(idFound).ID == "" })
}

func TestProbesKeepTheirDistance(t *testing.T) {
	f := &fake{probe: func(context.Context, fakeSettings) (string, error) { return "", errors.New("refused") }}
	w := newWorld(t, func(c *Config) { c.Limits.Again, c.Limits.AgainMax = 60*time.Millisecond, 240*time.Millisecond }, f.kind("fake", nil))
	began := time.Now()
	for range 5 { // one that is started again and again
		p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
		w.m.ProcessUp(p)
		time.Sleep(5 * time.Millisecond)
		w.m.ProcessDown(p.ProcKey, core.Exit{}, time.Now())
	}
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	w.until("three probes", func() bool { return len(f.seen().probed) >= 3 })
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("three probes within %v", took)
	}
	w.untilRow(idFound, func(r core.IntegrationRow) bool {
		return r.State == core.IntegrationFound && r.Needs == core.NeedsTime && strings.Contains(r.Message, "refused")
	})
}

func TestWhatIsSomethingElseIsNotAskedAgain(t *testing.T) {
	f := &fake{probe: func(context.Context, fakeSettings) (string, error) { return "", kit.ErrOther }}
	w := newWorld(t, nil, f.kind("fake", nil))
	w.m.ProcessUp(proc(another(t), "faked", "tcp 127.0.0.1:7000"))
	w.untilRow(idFound, func(r core.IntegrationRow) bool { return strings.Contains(r.Message, "something else") })
	time.Sleep(120 * time.Millisecond)
	f.locked(func() {
		if len(f.probed) != 1 {
			t.Errorf("probed %d times", len(f.probed))
		}
	})
}

func TestAServerThatGoesAndComesBack(t *testing.T) {
	for _, grace := range []time.Duration{time.Hour, 5 * time.Millisecond} { // it is back within it, and after it
		f := &fake{}
		w := newWorld(t, func(c *Config) { c.Limits.Grace = grace }, f.kind("fake", nil))
		p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
		w.m.ProcessUp(p)
		w.untilRuns(idFound)
		f.locked(func() { f.probed = nil })
		w.m.ProcessDown(p.ProcKey, core.Exit{}, time.Now())
		w.untilRow(idFound, func(r core.IntegrationRow) bool { return strings.Contains(r.Message, "its server ended") })
		if grace == time.Hour {
			time.Sleep(10 * time.Millisecond)
			if w.unit(idFound).ID == "" {
				t.Error("within the grace, it is not asked any more")
			}
		} else {
			w.until("it is not asked after the grace", func() bool { return w.unit(idFound).ID == "" })
		}
		p = proc(another(t), "faked", "tcp 127.0.0.1:7000")
		w.m.ProcessUp(p)
		w.untilRow(idFound, func(r core.IntegrationRow) bool {
			return r.State == core.IntegrationRunning && len(r.Procs) == 1 && r.Procs[0] == p.ProcKey && r.Runs > 0
		})
		if len(f.seen().probed) != 0 {
			t.Error("a server that answered before was probed again")
		}
	}
}

func TestAServerThatStaysAwayIsForgotten(t *testing.T) {
	f := &fake{}
	w := newWorld(t, func(c *Config) { c.Limits.Grace, c.Limits.Forget = 5*time.Millisecond, 50*time.Millisecond }, f.kind("fake", nil))
	p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
	w.m.ProcessUp(p)
	w.untilRuns(idFound)
	w.m.ProcessDown(p.ProcKey, core.Exit{}, time.Now())
	w.until("it is forgotten", func() bool { return w.row(idFound).ID == "" && w.unit(idFound).ID == "" })
}

func TestPinnedStaysWhileItsServerIsGone(t *testing.T) {
	f := &fake{}
	w := newWorld(t, func(c *Config) { c.Limits.Grace, c.Limits.Forget = 5*time.Millisecond, 50*time.Millisecond }, f.kind("fake", nil))
	p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
	w.m.ProcessUp(p)
	w.untilRuns(idFound)
	w.m.Submit(core.Intent{Op: core.IntentIntegrationPin, Unit: idFound})
	w.untilRow(idFound, func(r core.IntegrationRow) bool { return r.Pinned })
	w.m.ProcessDown(p.ProcKey, core.Exit{}, time.Now())
	w.untilRow(idFound, func(r core.IntegrationRow) bool { return strings.Contains(r.Message, "its server ended") })
	time.Sleep(150 * time.Millisecond)
	if w.unit(idFound).ID == "" {
		t.Error("it was forgotten")
	}
}

// A process may call itself what it likes: nothing of it is ever looked up.
func TestWhatIsFoundNeverNamesASecret(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Candidates = func(s kit.Server) []fakeSettings {
			var stolen kit.Secret
			stolen.UnmarshalText([]byte(s.Process.Cmdline))
			return []fakeSettings{{Address: s.Endpoints[0].String(), Login: kit.Login{Password: stolen}}}
		}
	}))
	p := proc(another(t), "faked", "tcp 127.0.0.1:7000")
	p.Cmdline = "file:/etc/shadow"
	w.m.ProcessUp(p)
	if probed := w.probedBefore(f); len(probed) != 0 || w.unit(idFound).ID != "" {
		t.Errorf("a reference of a process was used, probed %v", probed)
	}
}

// A kind without a server cannot be found: it is offered, and taken or refused.
func TestWhatAsksNoServerIsOffered(t *testing.T) {
	f := &fake{}
	memory := newStore(t)
	k := f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Singleton, d.Candidates, d.Identity = true, nil, nil
	})
	const id = "integration/fake/box"
	w := newWorld(t, func(c *Config) { c.Memory = memory }, k)
	if r := w.untilState(id, core.IntegrationSuggested); r.Needs != core.NeedsEnable {
		t.Errorf("%+v", r)
	}
	w.m.Submit(core.Intent{Op: core.IntentIntegrationEnable, Unit: id})
	w.untilRuns(id)
	w.m.Submit(core.Intent{Op: core.IntentIntegrationDisable, Unit: id})
	w.untilState(id, core.IntegrationDenied)
	w.until("its unit is gone", func() bool { return w.unit(id).ID == "" })
	w.m.Submit(core.Intent{Op: core.IntentIntegrationPin, Unit: id})
	w.untilRuns(id)
	w.stop()
	again := newWorld(t, func(c *Config) { c.Memory = memory }, k)
	again.untilRuns(id) // pinned: remembered
	again.use(section("fake", fakeSettings{Value: 5}))
	again.untilRow(id, func(r core.IntegrationRow) bool { return r.Origin == "configured" && r.Runs > 0 })
	no := false
	again.use(section("fake", fakeSettings{}).with(Common{Enabled: &no}))
	again.untilState(id, core.IntegrationDenied)
	again.set(Settings{Discovery: DiscoverOff})
	again.until("nothing is listed", func() bool { return again.row(id).ID == "" })
}

func TestDefaultKindsRunUntilSomebodySaysNo(t *testing.T) {
	f := &fake{}
	w := newWorld(t, nil, f.kind("fake", func(d *kit.Definition[fakeSettings]) {
		d.Singleton, d.Default, d.Candidates, d.Identity = true, true, nil, nil
	}))
	const id = "integration/fake/box"
	w.use()
	w.untilRuns(id)
	w.set(Settings{Deny: []string{"fake"}})
	w.until("it is gone", func() bool { return w.unit(id).ID == "" })
}

// A server may listen at its second socket a moment after the first: that one is
// asked at once, the other one keeps its distance.
func TestASocketThatComesLaterIsAskedAtOnce(t *testing.T) {
	f := &fake{probe: func(_ context.Context, s fakeSettings) (string, error) {
		if strings.HasPrefix(s.Address, "unix:") {
			return "", kit.ErrConsent
		}
		return "", kit.ErrCredentials
	}}
	w := newWorld(t, func(c *Config) { c.Limits.Again = time.Hour }, f.kind("fake", nil))
	pid := another(t)
	w.m.ProcessUp(proc(pid, "faked", "tcp 127.0.0.1:7000"))
	if r := w.untilState(idFound, core.IntegrationSuggested); r.Needs != core.NeedsLogin {
		t.Errorf("%+v", r)
	}
	w.m.ProcessChanged(proc(pid, "faked", "tcp 127.0.0.1:7000", "unix /run/fake.sock"))
	r := w.untilState("integration/fake/unix:/run/fake.sock", core.IntegrationSuggested)
	if r.Needs != core.NeedsConsent {
		t.Errorf("%+v", r)
	}
	w.until("one row", func() bool { return w.row(idFound).ID == "" })
	f.locked(func() {
		if got := strings.Join(f.probed, " "); got != "127.0.0.1:7000 unix:/run/fake.sock" {
			t.Errorf("probed %s", got)
		}
	})
}
