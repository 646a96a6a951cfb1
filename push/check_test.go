package push

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/porttest"
)

func checkHealth(t *testing.T, c Config) (core.Finding, error) {
	t.Helper()
	spec, err := NewSpec(c)
	if err != nil {
		t.Fatal(err)
	}
	made, err := spec.Make()
	if err != nil {
		t.Fatal(err)
	}
	u := made.(*unit)
	if _, err := u.CheckHealth(t.Context(), core.CheckRequest{}); err == nil {
		t.Error("healthy before it is attached")
	}
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f, checked := u.CheckHealth(ctx, core.CheckRequest{})
	if err := u.Detach(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := u.CheckHealth(t.Context(), core.CheckRequest{}); err == nil {
		t.Error("healthy after it is detached")
	}
	return f, checked
}

// A destination is checked without pushing anything.
func TestHealthOfDestinations(t *testing.T) {
	for status, says := range map[int]string{200: "ready", 404: "answers", 401: "check user and password", 503: "503"} {
		gw := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		f, err := checkHealth(t, testConfig(gw.URL))
		text := f.Message
		if err != nil {
			text = err.Error()
		}
		mustContain(t, text, says)
		if (err == nil) != (status == 200 || status == 404) || (err == nil) != (f.Status == core.StatusOK) {
			t.Errorf("%d: %+v %v", status, f, err)
		}
		if r := gw.requests(); len(r) != 1 || r[0].method != "GET" || r[0].path != "/-/ready" || len(r[0].body) != 0 {
			t.Errorf("asked %+v", r)
		}
	}
	if _, err := checkHealth(t, testConfig(porttest.Free(t))); err == nil {
		t.Error("nothing listens there, and it is healthy")
	} else {
		mustContain(t, err.Error(), "is the gateway running?")
	}
	real := startGateway(t, "")
	if f, err := checkHealth(t, testConfig(real.addr)); err != nil || f.Message != "the gateway is ready" {
		t.Errorf("a real one: %+v %v", f, err)
	}
	dir := t.TempDir()
	if f, err := checkHealth(t, fileConfig(filepath.Join(dir, "v.prom"))); err != nil || f.Status != core.StatusOK {
		t.Errorf("%+v %v", f, err)
	}
	if _, err := checkHealth(t, fileConfig(filepath.Join(dir, "none", "v.prom"))); err == nil {
		t.Error("the directory is not there, and it is healthy")
	} else {
		mustContain(t, err.Error(), "make the directory")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("a check left %v", entries)
	}
}
