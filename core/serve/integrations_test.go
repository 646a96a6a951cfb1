package serve

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

// echo answers with the path that it sees.
func echo() *unit {
	return &unit{handler: func() (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "saw "+r.URL.EscapedPath()) }), nil
	}}
}

func TestG35_UnitThatDoesNotRunIs503WithItsName(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", echo())
	s := l.server(t)
	l.phase(id, func(r *core.UnitRow) { r.Phase = core.PhaseStarting })
	for _, path := range []string{"", "/", "/metrics", "/x"} {
		if w := get(t, s, Prefix("test", "one")+path); w.Code != 503 || !strings.Contains(w.Body.String(), id+" does not run") {
			t.Errorf("%q: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestG36_RetryAfterFollowsThePhase(t *testing.T) {
	l := newLab()
	id := l.add("test", "one", echo())
	s := l.server(t)
	said := map[string]bool{}
	for phase, want := range map[core.Phase]int{core.PhaseStarting: 1, core.PhaseBackoff: 30, core.PhaseOff: 60, core.PhaseFailed: 60} {
		next := time.Now().Add(29500 * time.Millisecond)
		l.phase(id, func(r *core.UnitRow) { r.Phase, r.NextTry = phase, next })
		w := get(t, s, Prefix("test", "one")+"/metrics")
		wait, _ := strconv.Atoi(w.Header().Get("Retry-After"))
		if left := int(time.Until(next).Seconds() + 1); phase == core.PhaseBackoff && wait >= left && wait <= want {
			want = wait // what is left becomes less while this runs
		}
		if w.Code != 503 || wait != want || w.Header().Get("Vitals-Phase") != string(phase) {
			t.Errorf("%s: %d, retry after %d", phase, w.Code, wait)
		}
		said[w.Body.String()] = true
	}
	if len(said) != 4 {
		t.Errorf("phases are not told apart: %v", said)
	}
}

func TestG37_RunningIsNotHealthy(t *testing.T) {
	l := newLab()
	l.add("test", "one", &unit{check: answers(core.Unsure("no first answer yet"), nil).check})
	s := l.server(t)
	if w := get(t, s, Prefix("test", "one")+"/metrics"); w.Code != 200 {
		t.Errorf("metrics: %d", w.Code)
	}
	if w := get(t, s, Prefix("test", "one")+"/health"); w.Code != 503 {
		t.Errorf("health: %d", w.Code)
	}
}

func TestG38_PrefixesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, kind := range []string{"a", "a/b", "b", "~a", ""} {
		for _, id := range []string{"a", "b", "a/b", "a%2Fb", "..", "~..", ".", "", "~", "b/metrics", "ü", "a b", "a?b", "a#b"} {
			p := Prefix(kind, id)
			if other := seen[p]; other != "" {
				t.Errorf("%s is %q and %q %q", p, other, kind, id)
			}
			seen[p] = kind + " " + id
		}
	}
}

func TestG39_PrefixIsStable(t *testing.T) {
	l := newLab()
	l.add("redis", "one", echo())
	s := l.server(t)
	before := get(t, s, "/integrations/redis/one/x").Body.String()
	l.add("redis", "two", echo())
	if after := get(t, s, "/integrations/redis/one/x").Body.String(); before != after || before != "saw /integrations/redis/one/x" {
		t.Errorf("%q, then %q", before, after)
	}
}

func TestG40_PathReachesTheUnitUnmodified(t *testing.T) {
	l := newLab()
	l.add("test", "one", echo())
	s := l.server(t)
	for _, rest := range []string{"", "/", "/x", "/x/y/", "/a%2Fb"} {
		path := Prefix("test", "one") + rest
		if w := get(t, s, path); w.Code != 200 || w.Body.String() != "saw "+path {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestG41_NestedRoutersAndRedirectsWork(t *testing.T) {
	l := newLab()
	l.add("test", "one", &unit{handler: func() (http.Handler, error) {
		m := http.NewServeMux()
		prefix := Prefix("test", "one")
		m.HandleFunc(prefix+"/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "root") })
		m.HandleFunc("POST "+prefix+"/act", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "acted") })
		return m, nil
	}})
	s := l.server(t)
	if w := get(t, s, Prefix("test", "one")); w.Code/100 != 3 || w.Header().Get("Location") != Prefix("test", "one")+"/" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get(t, s, Prefix("test", "one")+"/"); w.Body.String() != "root" {
		t.Error(w.Body)
	}
	if w := get(t, s, Prefix("test", "one")+"/act"); w.Code != 405 && w.Body.String() != "root" {
		t.Error(w.Code)
	}
}

func TestG42_NameThatIsAPrefixCapturesNothing(t *testing.T) {
	l := newLab()
	l.add("test", "one", echo())
	l.add("test", "one-b", &unit{handler: func() (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "b") }), nil
	}})
	s := l.server(t)
	if w := get(t, s, "/integrations/test/one-b"); w.Body.String() != "b" {
		t.Error(w.Body)
	}
	if w := get(t, s, "/integrations/test/one-c"); w.Code != 404 {
		t.Error(w.Code)
	}
	if w := get(t, s, "/integrationsx"); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestG43_NoHandlerMeansNothingIsMounted(t *testing.T) {
	l := newLab()
	l.add("test", "one", &unit{})
	if w := get(t, l.server(t), Prefix("test", "one")+"/x"); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestG44_HandlerErrorLeavesOthersMounted(t *testing.T) {
	l := newLab()
	l.add("test", "bad", &unit{handler: func() (http.Handler, error) { return nil, errors.New("no template, token=hunter2") }})
	l.add("test", "worse", &unit{handler: func() (http.Handler, error) { panic("no") }})
	l.add("test", "good", echo())
	s := l.server(t)
	if w := get(t, s, Prefix("test", "bad")+"/x"); w.Code != 500 || !strings.Contains(w.Body.String(), "no template, token=***") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(t, s, Prefix("test", "worse")+"/x"); w.Code != 500 {
		t.Errorf("%d", w.Code)
	}
	if w := get(t, s, Prefix("test", "bad")+"/metrics"); w.Code != 200 {
		t.Errorf("its metrics: %d", w.Code)
	}
	if w := get(t, s, Prefix("test", "good")+"/x"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// Two units cannot have one prefix: it is made of the unit's id, which the
// supervisor keeps unique and reports otherwise.
func TestG45_PrefixesDoNotCollide(t *testing.T) {
	l := newLab()
	l.add("test", "a/metrics", echo())
	l.add("test", "a", echo())
	s := l.server(t)
	if w := get(t, s, Prefix("test", "a/metrics")+"/x"); w.Body.String() != "saw /integrations/test/a~2Fmetrics/x" {
		t.Error(w.Body)
	}
	if w := get(t, s, Prefix("test", "a")+"/metrics"); strings.HasPrefix(w.Body.String(), "saw") {
		t.Error("the metrics page of one is the root of another")
	}
}

func TestG47_IdentifiersAreEscaped(t *testing.T) {
	l := newLab()
	ids := []string{"a/b", "..", ".", "../../health", "a b", "ü", "~x", "a%2Fb", "a?b#c", "[::1]:6379", "http://h:1/x;y", ""}
	for _, id := range ids {
		l.add("test", id, echo())
	}
	s := l.server(t)
	address, _ := listen(t, s)
	for _, id := range ids {
		path := Prefix("test", id) + "/x"
		u, err := url.Parse("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		// Clients resolve dots as browsers do.
		if clean := u.JoinPath().EscapedPath(); clean != path {
			t.Errorf("%q: %s is resolved to %s", id, path, clean)
		}
		w := get(t, s, path)
		if id == "" {
			if w.Code != 200 {
				t.Errorf("the empty id: %d", w.Code)
			}
			continue
		}
		if w.Code != 200 || w.Body.String() != "saw "+path {
			t.Errorf("%q at %s: %d %s", id, path, w.Code, w.Body)
		}
		if w := get(t, s, "/health/integration/test/"+unitPath(id)); w.Code != 200 {
			t.Errorf("health of %q: %d", id, w.Code)
		}
	}
	for _, path := range []string{"/integrations/test/%00", "/integrations/test/~00", "/integrations/test/~2", "/integrations/test/~zz/metrics", "/health/~q", "/integrations/test", "/integrations/test/", "/metrics/%00"} {
		if w := get(t, s, path); w.Code != 400 && w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Whatever the id, its path is found again, also when a client escapes it.
func FuzzPaths(f *testing.F) {
	for _, id := range []string{"", ".", "..", "a/b", "~", "~2F", "%2F", "ü", "\x00", "\xff", " "} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		s := segment(id)
		u := url.URL{Path: "/" + s}
		if u.EscapedPath() != "/"+s || strings.ContainsAny(s, "/?#%") || u.JoinPath().Path != "/"+s {
			t.Errorf("%q is not one plain segment: %q", id, s)
		}
		if back, ok := text(s); ok != !strings.Contains(id, "\x00") || ok && back != id {
			t.Errorf("%q came back as %q", id, back)
		}
		if back, ok := text(url.PathEscape(s)); ok && back != id {
			t.Errorf("%q escaped once more came back as %q", id, back)
		}
		text(id)
		unitID(id)
	})
}

func TestG67_HandlerIsKeptAndMadeAnewForANewUnit(t *testing.T) {
	l := newLab()
	made := 0
	make_ := func() *unit {
		return &unit{handler: func() (http.Handler, error) { made++; return http.NotFoundHandler(), nil }}
	}
	id := l.add("test", "one", make_())
	s := l.server(t)
	for range 3 {
		get(t, s, Prefix("test", "one")+"/x")
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	l.units[id] = make_()
	get(t, s, Prefix("test", "one")+"/x")
	if made != 2 {
		t.Errorf("made %d times after the unit was remade", made)
	}
	l.set(func(s *core.Snapshot) { s.Units = nil })
	l.add("test", "two", make_())
	get(t, s, Prefix("test", "two")+"/x")
	if len(s.mounts.kept) != 1 {
		t.Errorf("%d handlers are kept", len(s.mounts.kept))
	}
}

func TestIntegrationWithoutFiguresSaysWhy(t *testing.T) {
	l := newLab()
	id := l.add("redis", "r", &unit{})
	l.set(func(s *core.Snapshot) {
		s.Integrations = []*core.IntegrationRow{{ID: id, Message: "connection refused"}}
	})
	if w := get(t, l.server(t), Prefix("redis", "r")+"/metrics"); w.Code != 503 || !strings.Contains(w.Body.String(), "connection refused") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestIndexListsEverythingEscaped(t *testing.T) {
	l := newLab()
	l.add("test", "<script>/..", echo())
	s := l.server(t)
	w := get(t, s, "/")
	if w.Code != 200 || strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), `href="/integrations/test/~3Cscript~3E~2F../metrics"`) {
		t.Errorf("%s", w.Body)
	}
	for _, link := range []string{"/metrics", "/health", "/sd", "/api/v1/snapshot", "/-/ready", "/-/healthy"} {
		if !strings.Contains(w.Body.String(), `href="`+link+`"`) || get(t, s, link).Code != 200 {
			t.Errorf("%s", link)
		}
	}
}
