package kern

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Version is a kernel's version without what distributions append.
type Version struct{ Major, Minor int }

// String gives "6.3".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less compares versions.
func (v Version) Less(o Version) bool {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor)) < 0
}

// ParseVersion reads a release as uname gives it: "6.18.44-fc-v669".
func ParseVersion(release string) (Version, error) {
	major, rest, ok := strings.Cut(release, ".")
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(rest)
	}
	var v Version
	var err1, err2 error
	v.Major, err1 = strconv.Atoi(major)
	v.Minor, err2 = strconv.Atoi(rest[:digits])
	if !ok || err1 != nil || err2 != nil || v.Major < 0 {
		return Version{}, fmt.Errorf("kernel release %q: want a form like 6.18.1", release)
	}
	return v, nil
}

// facts are what the checks look at, read once per check.
type facts struct {
	release    string
	version    Version
	versionErr error
	caps       uint64 // effective capabilities
	capsErr    error
	lockdown   string // "none", "integrity", "confidentiality", "" unknown
	types      *btf.Spec
	typesErr   error
}

func lookAtKernel(types *btf.Cache) *facts {
	f := &facts{}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		f.versionErr = fmt.Errorf("uname: %w", err)
	} else {
		f.release = unix.ByteSliceToString(uts.Release[:])
		f.version, f.versionErr = ParseVersion(f.release)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.capsErr = err
	} else {
		f.caps, f.capsErr = parseCapabilities(string(status))
	}
	if text, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil {
		f.lockdown = parseLockdown(string(text))
	}
	f.types, f.typesErr = types.Kernel()
	return f
}

func parseCapabilities(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, errors.New("no CapEff line in /proc/self/status")
}

// parseLockdown takes "none [integrity] confidentiality".
func parseLockdown(text string) string {
	_, rest, ok := strings.Cut(text, "[")
	mode, _, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return ""
	}
	return mode
}

func (f *facts) has(capability int) bool { return f.caps&(1<<capability) != 0 }

func (f *facts) mayTrace() bool {
	return f.has(unix.CAP_SYS_ADMIN) || f.has(unix.CAP_BPF) && f.has(unix.CAP_PERFMON)
}

// tracepoint reports whether programs can hang on a tracepoint by BTF.
func (f *facts) tracepoint(name string) bool {
	var t *btf.Typedef
	return f.types != nil && f.types.TypeByName("btf_trace_"+name, &t) == nil
}

// iterator reports whether the kernel has an iterator: "task", "task_file".
func (f *facts) iterator(name string) bool {
	var t *btf.Func
	return f.types != nil && f.types.TypeByName("bpf_iter_"+name, &t) == nil
}

// helper reports whether the kernel has a helper function: "task_pt_regs".
func (f *facts) helper(name string) bool {
	var t *btf.Enum
	if f.types == nil || f.types.TypeByName("bpf_func_id", &t) != nil {
		return false
	}
	for _, v := range t.Values {
		if v.Name == "BPF_FUNC_"+name {
			return true
		}
	}
	return false
}
