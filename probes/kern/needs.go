package kern

import (
	"errors"
	"fmt"
	"strings"

	"vitals/core"
)

// Needs is what a probe cannot do without. Attachment.Require checks it, and gives
// better answers than the verifier.
type Needs struct {
	Since       Version  // oldest kernel, zero for the floor of 5.8
	Tracepoints []string // by BTF: "sched_process_exec"
	Iterators   []string // "task_file"
	Helpers     []string // without the prefix bpf_: "task_pt_regs"
}

// floor is the oldest kernel that any of our probes works on.
func floor() Version { return Version{5, 8} }

// check returns nil when this kernel and this user have it all, else an error
// that wraps core.ErrUnsupported and comes with a remedy.
func (n Needs) check(f *facts) error {
	since := floor()
	if since.Less(n.Since) {
		since = n.Since
	}
	switch {
	case f.capsErr == nil && !f.mayTrace():
		return unsupported(errors.New("no permission to load eBPF programs"), "start it with sudo, or give it CAP_BPF and CAP_PERFMON")
	case f.versionErr == nil && f.version.Less(since):
		return unsupported(fmt.Errorf("kernel %s is older than %s", f.release, since), "boot a kernel "+since.String()+" or later")
	case f.lockdown == "confidentiality":
		return unsupported(errors.New("kernel lockdown is in mode confidentiality: programs may not read memory"),
			"boot with lockdown=integrity")
	case f.typesErr != nil:
		return unsupported(fmt.Errorf("no type information of the kernel: %w", f.typesErr),
			"boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (it has /sys/kernel/btf/vmlinux)")
	}
	if missing := n.missing(f); len(missing) > 0 {
		return unsupported(fmt.Errorf("kernel %s lacks %s", f.release, strings.Join(missing, ", ")), "boot a newer kernel")
	}
	return nil
}

func (n Needs) missing(f *facts) []string {
	var missing []string
	for _, name := range n.Tracepoints {
		if !f.tracepoint(name) {
			missing = append(missing, "tp_btf/"+name)
		}
	}
	for _, name := range n.Iterators {
		if !f.iterator(name) {
			missing = append(missing, "iter/"+name)
		}
	}
	for _, name := range n.Helpers {
		if !f.helper(name) {
			missing = append(missing, "bpf_"+name)
		}
	}
	return missing
}

// Feature is one line of what this kernel and this user allow.
type Feature struct {
	Name   string // "type information (BTF)", "network"
	OK     bool
	Why    string // what was found, or why it does not work
	Remedy string // empty when OK
}

// feature turns an error of Needs into a line.
func feature(name, found string, err error) Feature {
	if err == nil {
		return Feature{Name: name, OK: true, Why: found}
	}
	line := Feature{Name: name, Why: err.Error()}
	var r *core.Remedied
	if errors.As(err, &r) {
		line.Why, line.Remedy = r.Err.Error(), r.Remedy
	}
	return line
}
