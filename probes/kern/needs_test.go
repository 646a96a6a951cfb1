package kern

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"vitals/core"
)

func TestParseVersion(t *testing.T) {
	for release, want := range map[string]Version{
		"6.18.44-fc-v669": {6, 18}, "5.10.0-30-amd64": {5, 10}, "6.3": {6, 3}, "7.0-rc1": {7, 0},
	} {
		if v, err := ParseVersion(release); err != nil || v != want {
			t.Errorf("%q: %v, %v", release, v, err)
		}
	}
	for _, release := range []string{"", "6", "six.one", ".5", "6.", "-1.2"} {
		if v, err := ParseVersion(release); err == nil {
			t.Errorf("%q: %v, want an error", release, v)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("6.18.44-fc-v669")
	f.Add("5.")
	f.Fuzz(func(t *testing.T, release string) {
		if v, err := ParseVersion(release); err == nil && (v.Major < 0 || v.Minor < 0) {
			t.Errorf("%q gives %v", release, v)
		}
	})
}

func TestParseLockdown(t *testing.T) {
	for text, want := range map[string]string{
		"none [integrity] confidentiality\n": "integrity", "[none] integrity confidentiality": "none", "": "", "[": "", "garbage": "",
	} {
		if got := parseLockdown(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What is missing is said before the kernel is asked, with what to do about it.
func TestNeedsTeach(t *testing.T) {
	root := uint64(1 << unix.CAP_SYS_ADMIN)
	here := lookAtKernel(btf.NewCache())
	for _, c := range []struct {
		name  string
		facts facts
		needs Needs
		want  string // in the error; empty: none
	}{
		{"no privilege", facts{version: Version{6, 8}, types: here.types}, Needs{}, "sudo"},
		{"CAP_BPF alone", facts{version: Version{6, 8}, types: here.types, caps: 1 << unix.CAP_BPF}, Needs{}, "CAP_PERFMON"},
		{"both capabilities", facts{version: Version{6, 8}, types: here.types, caps: 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON}, Needs{}, ""},
		{"older than the floor", facts{release: "5.4.0", version: Version{5, 4}, caps: root}, Needs{}, "5.8"},
		{"older than this probe", facts{release: "6.1.0", version: Version{6, 1}, caps: root, types: here.types}, Needs{Since: Version{6, 3}}, "6.3"},
		{"lockdown", facts{version: Version{6, 8}, caps: root, types: here.types, lockdown: "confidentiality"}, Needs{}, "lockdown=integrity"},
		{"no BTF", facts{version: Version{6, 8}, caps: root, typesErr: fs.ErrNotExist}, Needs{}, "CONFIG_DEBUG_INFO_BTF"},
		{"no such tracepoint", facts{version: Version{6, 8}, caps: root, types: here.types}, Needs{Tracepoints: []string{"no_such"}}, "tp_btf/no_such"},
		{"no such iterator", facts{version: Version{6, 8}, caps: root, types: here.types}, Needs{Iterators: []string{"no_such"}}, "iter/no_such"},
		{"no such helper", facts{version: Version{6, 8}, caps: root, types: here.types}, Needs{Helpers: []string{"no_such"}}, "bpf_no_such"},
		{"all there", facts{version: Version{6, 8}, caps: root, types: here.types}, Needs{
			Tracepoints: []string{"sched_process_exec"}, Iterators: []string{"task"}, Helpers: []string{"ktime_get_ns"}}, ""},
	} {
		if c.facts.types == nil && c.facts.typesErr == nil && here.types == nil {
			continue // this kernel has no types to look into
		}
		err := c.needs.check(&c.facts)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var r *core.Remedied
		if !errors.Is(err, core.ErrUnsupported) || !core.IsPermanent(err) || !errors.As(err, &r) || r.Remedy == "" {
			t.Errorf("%s: %v, want unsupported, permanent and with a remedy", c.name, err)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	if Explain("load x", nil) != nil {
		t.Error("no error was explained")
	}
	for _, c := range []struct {
		err       error
		want      string
		permanent bool
	}{
		{unix.EPERM, "root", true},
		{ebpf.ErrNotSupported, "newer kernel", true},
		{&ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"0: r1 = 0", "R2 invalid mem access", "processed 5 insns"}}, "R2 invalid mem access", true},
		{unix.ENOMEM, "memory", false},
		{unix.EMFILE, "ulimit", false},
	} {
		err := Explain("load x", c.err)
		if !strings.HasPrefix(err.Error(), "load x: ") && !strings.Contains(err.Error(), ": load x: ") {
			t.Errorf("%v does not say what was attempted", err)
		}
		if !strings.Contains(err.Error(), c.want) || core.IsPermanent(err) != c.permanent {
			t.Errorf("%v: want %q in it, permanent %v", err, c.want, c.permanent)
		}
	}
	if err := Explain("load x", os.ErrClosed); !errors.Is(err, os.ErrClosed) || core.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestCapabilitiesWithoutAnything(t *testing.T) {
	f := &facts{versionErr: errors.New("no version"), capsErr: errors.New("no /proc"), typesErr: fs.ErrNotExist}
	for _, line := range capabilities(f, []NamedNeeds{{Kind: "x", Needs: Needs{Tracepoints: []string{"a"}}, Better: &Needs{Tracepoints: []string{"b"}}}}) {
		if line.Name == "lockdown" {
			continue // unknown is not bad
		}
		if line.OK || line.Why == "" || line.Remedy == "" {
			t.Errorf("%+v: want a reason and a remedy", line)
		}
	}
}
