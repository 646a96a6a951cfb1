package ui

import (
	"strings"
	"testing"
	"time"

	"vitals/core"
)

// receiving is the sample with a gateway that runs inside.
func receiving() *core.Snapshot {
	s := sample()
	s.Gateway = &core.GatewayRow{Unit: "gateway/gateway", Address: "127.0.0.1:9091", Store: "/var/lib/vitals/gateway", Groups: 3, Series: 41,
		Bytes: 18 << 10, Pushes: 240, Refused: 2, LastError: "line 3: metric name starts with a digit", LastFailed: s.At.Add(-90 * time.Second), At: s.At,
		Listed: []core.GatewayGroup{
			{ID: "a", Labels: `{job="backup",instance="db-1"}`, Pushed: s.At.Add(-4 * time.Second), Families: 9, Series: 30, Bytes: 12 << 10},
			{ID: "b", Labels: `{job="cron"}`, Pushed: s.At.Add(-3 * time.Hour), Failed: s.At.Add(-90 * time.Second), LastError: "line 3: metric name starts with a digit",
				Families: 2, Series: 2, Bytes: 400, Expires: s.At.Add(21 * time.Hour)},
			{ID: "c", Labels: `{job="deploy"}`, Pushed: s.At.Add(-2 * time.Minute), Families: 1, Series: 9, Bytes: 5600},
		}}
	return s
}

// A group is deleted only after the question was answered, and by its id.
func TestGatewayDeletesAGroup(t *testing.T) {
	d := drive(t, receiving(), 120, 36)
	d.keys("8", "D")
	d.sees("Gateway on 127.0.0.1:9091", "3 groups, 41 series", "240 taken, 2 refused", `{job="backup",instance="db-1"}`, "1m ago: line 3")
	d.keys("down", "D") // the newest push is first: backup, deploy, cron
	d.sees(`delete {job="deploy"} with 9 series?`)
	d.keys("esc")
	if got := d.f.intents(); len(got) != 0 {
		t.Fatalf("%v was sent before the answer", got)
	}
	d.keys("D")
	time.Sleep(confirmDelay + 10*time.Millisecond)
	d.keys("y")
	got := d.f.intents()
	if len(got) != 1 || got[0].Op != core.IntentDeleteGroup || got[0].Group != "c" {
		t.Fatalf("sent %+v, want the deletion of group c", got)
	}
	d.sees(`{job="deploy"} is being deleted`)

	s := receiving() // another picture: the group is gone, one that failed last
	s.Seq = 2
	s.Gateway.Listed = s.Gateway.Listed[:2]
	d.publish(s)
	d.hides(`● {job="deploy"}`)
	d.keys("G")
	d.sees("cron", "{job=\"cron\"}: line 3: metric name")
}

// The cursor stays on its group while pushes reorder the list.
func TestGatewayCursorStaysOnItsGroup(t *testing.T) {
	d := drive(t, receiving(), 80, 24)
	d.keys("8", "D", "G")
	s := receiving()
	s.Seq = 2
	s.Gateway.Listed[1].Pushed = s.At
	d.publish(s)
	for line := range strings.Lines(d.screen()) {
		if strings.Contains(line, "▶") && strings.Contains(line, "{job") && !strings.Contains(line, "cron") {
			t.Errorf("the cursor is on %q", line)
		}
	}
	// And when the gateway is gone, so is its list.
	s = sample()
	s.Seq = 3
	d.publish(s)
	d.hides("Gateway on")
	d.keys("D")
	d.sees("no gateway runs inside")
}
