package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"vitals/core"
)

// body reads an answer in the form of health.
func body(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if _, ok := out["details"].(map[string]any); !ok {
		t.Errorf("details are no object: %s", w.Body)
	}
	return out
}

func answers(f core.Finding, err error) *unit {
	return &unit{check: func(context.Context, core.CheckRequest) (core.Finding, error) { return f, err }}
}

func TestD07_RequestThatCannotBeUnderstoodIsERRORWithReason(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{})
	s := l.server(t)
	for _, path := range []string{"/health?unit=%zz", "/health?deadline=5s", "/health/" + id + "?x=1"} {
		w := get(t, s, path)
		out := body(t, w)
		if w.Code != 400 || out["status"] != "ERROR" || !strings.Contains(out["message"].(string), "cannot be understood") || out["details"].(map[string]any)["query"] == "" {
			t.Errorf("%s: %d %v", path, w.Code, out)
		}
	}
}

func TestD15_CodesFollowTheStatus(t *testing.T) {
	for status, want := range map[core.Status]int{core.StatusOK: 200, core.StatusError: 503, core.StatusUnknown: 503} {
		l := newLab()
		id := l.add("test", "one", answers(core.Finding{Status: status}, nil))
		s := l.server(t)
		for _, path := range []string{"/health", "/health/" + id, Prefix("test", "one") + "/health", "/health?unit=" + id} {
			if w := get(t, s, path); w.Code != want {
				t.Errorf("%v %s: %d", status, path, w.Code)
			}
		}
	}
	l := newLab()
	l.add("test", "one", &unit{})
	for _, path := range []string{"/health/none", "/health?unit=none"} {
		if w := get(t, l.server(t), path); w.Code != 404 || body(t, w)["status"] != "UNKNOWN" {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestD16_BodyHasStatusMessageAndDetails(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", answers(core.Healthy("fine").With(map[string]any{"version": "7"}), nil))
	out := body(t, get(t, l.server(t), "/health/"+id))
	if out["status"] != "OK" || out["message"] != "fine" || out["details"].(map[string]any)["version"] != "7" {
		t.Errorf("%v", out)
	}
	whole := body(t, get(t, l.server(t), "/health"))
	if whole["status"] != "OK" || whole["details"].(map[string]any)["OK"] != 1.0 || len(whole["units"].([]any)) != 1 {
		t.Errorf("%v", whole)
	}
}

func TestD17_HealthHasTimesCountsAndCausesWithoutSecrets(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", answers(core.Finding{}, errors.Join(errors.New("dial http://u:hunter2@h: refused"))))
	w := get(t, l.server(t), "/health/"+id)
	out := body(t, w)
	for _, key := range []string{"checked_at", "duration_ms", "since", "consecutive_failures", "cause"} {
		if out[key] == nil {
			t.Errorf("%s is missing", key)
		}
	}
	if out["consecutive_failures"] != 1.0 || strings.Contains(w.Body.String(), "hunter2") {
		t.Error(w.Body)
	}
}

func TestD22_LifecycleIs503(t *testing.T) {
	for _, p := range []core.Phase{core.PhaseStarting, core.PhaseDetaching, core.PhaseOff} {
		l := newLab()
		id := l.add("test", "one", &unit{})
		l.phase(id, func(r *core.UnitRow) { r.Phase = p })
		if w := get(t, l.server(t), "/health/"+id); w.Code != 503 || body(t, w)["phase"] != string(p) {
			t.Errorf("%s: %d", p, w.Code)
		}
	}
}

func TestD28_CheckGetsTheRequest(t *testing.T) {
	var got core.CheckRequest
	l := newLab()
	id := l.add("test", "one", &unit{check: func(_ context.Context, r core.CheckRequest) (core.Finding, error) {
		got = r
		return core.Healthy(""), nil
	}})
	get(t, l.server(t), "/health/"+id, "X-Scope-OrgID", "7", "Authorization", "Bearer x")
	if got.Unit != id || got.Header["X-Scope-Orgid"][0] != "7" || got.Header["Authorization"] != nil {
		t.Errorf("%+v", got)
	}
}

func TestReadyFollowsWhatIsWanted(t *testing.T) {
	l := newLab()
	ready := false
	s := l.server(t, func(c *Config) { c.Ready = func() bool { return ready } })
	l.set(nil)
	if w := get(t, s, "/-/ready"); w.Code != 503 {
		t.Errorf("%d", w.Code)
	}
	ready = true
	if w := get(t, s, "/-/ready"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestHealthTellsAUnitOnce(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", &unit{})
	l.add("test", "two", &unit{})
	w := get(t, l.server(t), "/health?unit=test&unit=test&unit="+id)
	if n := strings.Count(w.Body.String(), `"unit":`); w.Code != 200 || n != 2 {
		t.Errorf("%d: %d units, want 2: %s", w.Code, n, w.Body)
	}
}
