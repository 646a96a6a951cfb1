package probes

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// shared folders are no probes.
func shared(folder string) bool { return folder == "include" || folder == "kern" }

// A folder that nobody listed is a probe that nobody runs.
func TestEveryFolderIsListed(t *testing.T) {
	folders, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, p := range list() {
		listed[p.kind] = true
	}
	found := 0
	for _, f := range folders {
		if !f.IsDir() || shared(f.Name()) {
			continue
		}
		found++
		if !listed[f.Name()] {
			t.Errorf("probes/%s is not in the list of probes.go", f.Name())
		}
		delete(listed, f.Name())
	}
	for kind := range listed {
		t.Errorf("probe %s of the list has no folder", kind)
	}
	if found < 4 {
		t.Errorf("only %d folders: the walk is broken", found)
	}
}

func TestSpecsAreComplete(t *testing.T) {
	ids := map[string]bool{}
	for i, s := range New(Env{Sink: &kerntest.Sink{}}).Specs() {
		if s.ID != "instrumentation/"+s.Kind || s.Class != core.ClassInstrumentation || s.Kind != list()[i].kind {
			t.Errorf("spec %q of kind %q and class %q", s.ID, s.Kind, s.Class)
		}
		if ids[s.ID] {
			t.Errorf("two specs are called %s", s.ID)
		}
		ids[s.ID] = true
		if s.Title == "" || s.Help == "" || strings.HasSuffix(s.Help, ".") || s.Fingerprint == "" {
			t.Errorf("%s: want a title, a help that ends without a period, and a fingerprint", s.ID)
		}
		unit, err := s.Make()
		if err != nil {
			t.Errorf("make %s: %v", s.ID, err)
			continue
		}
		if _, ok := unit.(core.Costed); !ok {
			t.Errorf("%s does not tell what it costs", s.ID)
		}
		if _, ok := unit.(core.Selective); ok != s.PerProcess {
			t.Errorf("%s: per process %v, selective %v", s.ID, s.PerProcess, ok)
		}
		if again, _ := s.Make(); again == unit {
			t.Errorf("%s: two makes give one unit", s.ID)
		}
	}
}

// As root on a kernel that our tests run on, everything is supported.
func TestCapabilities(t *testing.T) {
	features := map[string]Feature{}
	for _, f := range Capabilities(false) {
		if f.OK == (f.Remedy != "") || f.Why == "" {
			t.Errorf("%+v: want a reason always, and a remedy when it does not work", f)
		}
		features[f.Name] = f
	}
	for _, p := range list() {
		if _, ok := features["probe "+p.kind]; !ok {
			t.Errorf("probe %s is not reported", p.kind)
		}
	}
	kerntest.NeedRoot(t)
	// The hooks that are told are those that are used.
	old := Capabilities(true)
	for i, hook := range []string{"tp_btf/sys_exit", "tp_btf/sock_send_length"} {
		fast, floor := features["probe requests"].Why, old[slices.IndexFunc(old, func(f Feature) bool { return f.Name == "probe requests" })].Why
		if strings.Contains(fast, hook) != (i == 1) || strings.Contains(floor, hook) != (i == 0) {
			t.Errorf("%s: fast %q, floor %q", hook, fast, floor)
		}
	}
	for name, f := range features {
		if !f.OK {
			t.Errorf("%s does not work here: %s (%s)", name, f.Why, f.Remedy)
		}
	}
}

// Building needs no clang: what clang makes is committed, for both processors.
func TestGeneratedObjectsAreThere(t *testing.T) {
	sources := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".bpf.c") {
			return err
		}
		sources++
		for _, arch := range []string{"x86", "arm64"} {
			object := strings.TrimSuffix(path, ".bpf.c") + "_" + arch + "_bpfel.o"
			if info, err := os.Stat(object); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v (run make generate)", object, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if sources < len(list()) { // requests has its programs twice, for old kernels
		t.Errorf("%d programs for %d probes", sources, len(list()))
	}
}
