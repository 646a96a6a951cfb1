package integrations

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"vitals/core"
	"vitals/core/integrations/blackbox"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/prometheus"
	"vitals/core/integrations/servertest"
)

// sectionWith is a section whose settings fill fills in.
func sectionWith[S any](kind string, fill func(*S)) Section {
	return Section{Kind: kind, Where: "line 1", Decode: func(into any) error { fill(into.(*S)); return nil }}
}

// refusing is an address that nobody listens at.
func refusing(t *testing.T) string {
	t.Helper()
	return servertest.Loopback(servertest.Port(t))
}

// A target that does not answer is figures, and no health.
func TestATargetThatRefusesIsNotWell(t *testing.T) {
	address := refusing(t)
	m := New(Config{Kinds: []kit.Kind{blackbox.Kind()}, Shared: kit.Shared{Instance: "box"}})
	m.Apply(Settings{Sections: []Section{sectionWith("blackbox", func(s *blackbox.Settings) { s.Target = "tcp://" + address })}})
	made, err := m.Specs()[0].Make()
	if err != nil {
		t.Fatal(err)
	}
	u := made.(*unit)
	defer u.Detach(t.Context())
	got, err := u.CheckHealth(t.Context(), core.CheckRequest{})
	if err != nil || got.Status != core.StatusError || !strings.Contains(got.Message, "refused") {
		t.Errorf("refused: %+v %v", got, err)
	}
	if families, err := u.Collect(t.Context(), core.CheckRequest{}); err != nil || len(families) < 2 {
		t.Errorf("%d families: %v", len(families), err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u.collect(t.Context())
	if got, err := u.CheckHealth(t.Context(), core.CheckRequest{}); err != nil || got.Status != core.StatusOK {
		t.Errorf("answered: %+v %v", got, err)
	}
}

// A token in a URL is asked with and told nowhere.
func TestTokensInURLsAreToldNowhere(t *testing.T) {
	at := refusing(t)
	target := "http://" + at + "/page?token=hunter2&module=a"
	w := newWorld(t, nil, blackbox.Kind(), prometheus.Kind())
	results := w.use(sectionWith("blackbox", func(s *blackbox.Settings) { s.Target = target }),
		sectionWith("prometheus", func(s *prometheus.Settings) { s.URL = target }))
	for _, id := range []string{"integration/blackbox/http://" + at + "/page?token=***&module=a", "integration/prometheus/" + at + "/page?token=***&module=a"} {
		row := w.untilRow(id, func(r core.IntegrationRow) bool { return r.Runs+r.Failures > 0 })
		row.Families = nil
		if text := w.everything(row, results); strings.Contains(text, "hunter2") {
			t.Errorf("%s: the token is in %s", id, text)
		}
	}
}

// everything is all that was told.
func (w *world) everything(more ...any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%+v %+v %+v %+v", w.rows, w.units, w.events, more)
}
