package kern

import (
	"errors"
	"slices"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// NamedNeeds is a probe's kind with what it needs.
type NamedNeeds struct {
	Kind  string
	Needs Needs
	// Better is what it uses instead where the kernel has all of that, nil for nothing.
	Better *Needs
}

// Capabilities reports what this kernel and this user allow: the ground that all
// probes stand on, then each probe. It loads nothing into the kernel and works
// without privileges; it reads for some milliseconds.
func Capabilities(probes []NamedNeeds) []Feature {
	return capabilities(lookAtKernel(btf.NewCache()), probes)
}

func capabilities(f *facts, probes []NamedNeeds) []Feature {
	lines := []Feature{
		f.versionFeature(),
		f.privilegeFeature(),
		f.lockdownFeature(),
		f.typesFeature(),
		f.statisticsFeature(),
	}
	for _, p := range probes {
		needs := p.Needs
		if p.Better != nil && p.Better.check(f) == nil {
			needs = *p.Better
		}
		lines = append(lines, feature("probe "+p.Kind, needs.describe(), needs.check(f)))
	}
	return lines
}

func (n Needs) describe() string {
	var hooks string
	for _, h := range slices.Concat(prefixed("tp_btf/", n.Tracepoints), prefixed("iter/", n.Iterators)) {
		if hooks != "" {
			hooks += ", "
		}
		hooks += h
	}
	return hooks
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

func (f *facts) versionFeature() Feature {
	line := Feature{Name: "kernel version", Why: f.release, OK: true}
	if f.versionErr != nil {
		return Feature{Name: line.Name, Why: f.versionErr.Error(), Remedy: "report it with the output of uname -r"}
	}
	if f.version.Less(floor()) {
		line.OK, line.Remedy = false, "boot a kernel "+floor().String()+" or later"
	}
	return line
}

func (f *facts) privilegeFeature() Feature {
	line := Feature{Name: "privilege"}
	switch {
	case f.capsErr != nil:
		line.Why, line.Remedy = f.capsErr.Error(), "mount /proc"
	case f.has(unix.CAP_SYS_ADMIN):
		line.OK, line.Why = true, "CAP_SYS_ADMIN"
	case f.mayTrace():
		line.OK, line.Why = true, "CAP_BPF and CAP_PERFMON"
	default:
		line.Why = "neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON"
		line.Remedy = "start it with sudo, or give it CAP_BPF and CAP_PERFMON"
	}
	return line
}

func (f *facts) lockdownFeature() Feature {
	line := Feature{Name: "lockdown", OK: true, Why: f.lockdown}
	switch f.lockdown {
	case "":
		line.Why = "unknown: /sys/kernel/security/lockdown cannot be read"
	case "confidentiality":
		line.OK, line.Remedy = false, "boot with lockdown=integrity"
	}
	return line
}

func (f *facts) typesFeature() Feature {
	const name = "type information (BTF)"
	if f.typesErr != nil {
		return Feature{Name: name, Why: f.typesErr.Error(),
			Remedy: "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (it has /sys/kernel/btf/vmlinux)"}
	}
	return Feature{Name: name, OK: true, Why: "/sys/kernel/btf/vmlinux"}
}

func (f *facts) statisticsFeature() Feature {
	if f.has(unix.CAP_SYS_ADMIN) {
		return Feature{Name: "cost of our programs", OK: true, Why: "run-time statistics"}
	}
	return feature("cost of our programs", "", unsupported(
		errors.New("run-time statistics need CAP_SYS_ADMIN"), "start it with sudo; without it the cost is shown as unknown"))
}
