package ui

import (
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/ui/canvas"
)

// order fails unless the parts stand on the screen one below the other.
func (d *driver) order(parts ...string) {
	d.t.Helper()
	text, at := d.screen(), 0
	for _, p := range parts {
		i := strings.Index(text[at:], p)
		if i < 0 {
			d.t.Fatalf("%q is not below the others of %q:\n%s", p, parts, text)
		}
		at += i + len(p)
	}
}

// A loss cries while it goes on, and tells its age when it is over.
func TestLossesHaveAnAge(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	next := func(after time.Duration, lost uint64) {
		s := sampleSeq(2)
		s.At = sampleAt.Add(after)
		s.Seq = uint64(after)
		s.Self.LostTotal, s.Self.Lost = lost, map[string]uint64{"ring/full": lost}
		d.publish(s)
	}
	red := func() bool {
		for _, seg := range d.a.headerRight() {
			if strings.Contains(seg.text, "lost") {
				return seg.style.FG == canvas.Crit
			}
		}
		return false
	}
	d.sees("lost 0")
	next(2*time.Second, 3)
	d.sees(" lost 3 ")
	if !red() {
		t.Error("a loss of just now is not red")
	}
	next(2*time.Minute, 3)
	d.sees("lost 3, 1m ago")
	if red() {
		t.Error("a loss of a minute ago is red")
	}
	d.keys("7")
	d.sees("lost at ring/full: 3, the last 1m ago")
	next(3*time.Minute, 9)
	d.sees(" lost 9 ", "lost at ring/full: 9, the last 0s ago")
}

// What hurts comes first among the units, and each says which one it is.
func TestUnitsThatHurtComeFirst(t *testing.T) {
	s := sample()
	s.Units[0].Phase, s.Units[0].Message = core.PhaseBackoff, "connection refused"
	s.Units = append(s.Units, &core.UnitRow{ID: "integration/postgres/x", Class: core.ClassIntegration, Title: "PostgreSQL", Phase: core.PhaseFailed, Health: core.HealthPermanent, Message: "no such role"})
	d := drive(t, s, 120, 36)
	d.keys("7")
	d.order("no such role", "Pushgateway http://gat", "connection refused", "Network", "Requests", "Redis 127.0.0.1:6379")
	d.keys("down", "space")
	d.sees("is not switched here: page Metrics pauses it")
	s = sampleSeq(2) // the cursor stays on its unit when that is well again
	d.publish(s)
	for line := range strings.Lines(d.screen()) {
		if strings.Contains(line, "▶ ") && strings.Contains(line, "running") && !strings.Contains(line, "Pushgateway") {
			t.Errorf("the cursor is on %q", line)
		}
	}
}

// Calls of the past do not fill the list of who calls whom.
func TestOverviewTellsCallsOfNowFromThoseBefore(t *testing.T) {
	s := sample()
	for i := range 30 {
		s.Edges = append(s.Edges, &core.EdgeRow{From: "aaa", To: "dead-" + string(rune('a'+i)), Protocol: "http", Count: 1, Last: s.At.Add(-time.Duration(i+1) * time.Minute)})
	}
	d := drive(t, s, 120, 36)
	d.sees("5 edges, 30 at rest")
	d.order("checkout-api → inventory", "dead-a", "at rest", "1m", "dead-b", "dead-c")
	d.hides("dead-d")
}

// A service of which nothing lives is last and faint, however bad its end was.
func TestServicesThatEndedComeLast(t *testing.T) {
	s := sample()
	for _, svc := range s.Services {
		if svc.Name == "checkout-api" {
			svc.PIDs, svc.Server.Rate = nil, 0
		}
		if svc.Name == "catalog" {
			svc.PIDs = nil // between two of its processes: its requests go on
		}
	}
	d := drive(t, s, 120, 36)
	d.order("● catalog", "† checkout-api")
	d.hides("4.1x its 5-min median") // nobody can mend it any more
	d.keys("2", "tab", "s", "enter")
	d.order("● redis", "† checkout-api")
}

// What a server needs is hinted at until somebody has looked.
func TestIntegrationsAreHintedAtOnce(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.sees("PostgreSQL, nginx could tell more: page Integrations")
	d.keys("5", "1")
	d.hides("could tell more")
	s := sample()
	s.Integrations = s.Integrations[2:]
	d = drive(t, s, 120, 36)
	d.hides("could tell more")
}

// What the budget takes away is no secret.
func TestWhatIsShedIsSaid(t *testing.T) {
	s := sample()
	s.Toggles.Shed = map[core.Shed]string{{Kind: "requests", Service: "redis"}: "off to keep the budget"}
	d := drive(t, s, 120, 36)
	d.sees("requests of redis off to keep the budget")
	for _, name := range []string{"a", "b", "c", "d"} {
		s.Toggles.Shed[core.Shed{Kind: "tls", Service: name}] = "off to keep the budget"
	}
	d = drive(t, s, 80, 24)
	d.sees("requests of redis, tls of a, tls of b, 2 more off to keep the budget")
}

// K and K again leave nothing that u could take back.
func TestDetachedAndPutBackIsNoStep(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("7", "K")
	time.Sleep(confirmDelay + 10*time.Millisecond)
	d.keys("y")
	s := sampleSeq(2)
	s.Toggles.Suspended = true
	d.publish(s)
	d.keys("K")
	d.publish(sampleSeq(3))
	d.keys("u")
	d.sees("there is nothing to take back")
	got := d.f.intents()
	if len(got) != 2 || got[0].Op != core.IntentDetachAll || got[1].Op != core.IntentResume {
		t.Errorf("sent %+v", got)
	}
}

// The protocols of a process are named in its row, and found by the filter.
func TestProtocolsOfProcesses(t *testing.T) {
	d := drive(t, sample(), 160, 40)
	d.keys("2")
	d.sees("PROTO", "http pg redis ws")
	d.keys("/")
	d.typed("proto:pg")
	d.sees("1 of 13", "checkout-api")
}

// The picture of who calls whom is of now; the list has all.
func TestMapDrawsTheCallsOfNow(t *testing.T) {
	s := sample()
	s.Edges = append(s.Edges, &core.EdgeRow{From: "gone", To: "grave", Protocol: "http", Count: 7, Last: s.At.Add(-time.Hour)})
	d := drive(t, s, 120, 36)
	d.keys("3")
	d.sees("5 edges, 1 at rest")
	d.hides("grave")
	d.keys("tab")
	d.sees("grave")
	s.Edges = s.Edges[len(s.Edges)-1:]
	d = drive(t, s, 120, 36)
	d.keys("3")
	d.sees("grave") // a picture of what was is better than none
}

// Servers that ended stand below those that can be asked, and nobody is asked to
// help with them.
func TestServersThatEndedAreLast(t *testing.T) {
	s := sample()
	for _, r := range s.Integrations {
		r.Procs = []core.ProcKey{{PID: 712, Birth: 71200}}
		if r.Kind == "postgres" {
			r.Procs = []core.ProcKey{{PID: 99, Birth: 1}}
		}
	}
	d := drive(t, s, 120, 36)
	d.sees("nginx could tell more")
	d.hides("PostgreSQL")
	d.keys("5")
	d.order("● Redis", "◌ nginx", "† PostgreSQL")
}
