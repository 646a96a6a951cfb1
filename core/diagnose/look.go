package diagnose

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// System is where Look looks. The zero System is this machine.
type System struct {
	Root string   // "" or, in tests, a directory that stands for /
	Env  []string // nil means the process' environment
	EUID int      // used when Root is set
	// TTY reports whether standard output is a terminal.
	TTY bool
	// User is the person called under sudo, "" otherwise.
	User string
}

// Look finds what can be seen without eBPF: kernel, rights, BTF, lockdown, /proc,
// namespaces and the terminal. It reads a handful of files.
func Look(s System) []Row {
	if s.Root == "" {
		s.EUID = os.Geteuid()
	}
	if s.Env == nil {
		s.Env = os.Environ()
	}
	return []Row{
		s.kernel(), s.rights(), s.btf(), s.lockdown(), s.jit(), s.proc(), s.pidNamespace(), s.cgroups(), s.terminal(), s.locale(), s.user(),
	}
}

func (s System) read(path string) string {
	f, err := os.Open(filepath.Join("/", s.Root, path))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	n, _ := f.Read(buf)
	return strings.TrimSpace(string(buf[:n]))
}

func (s System) getenv(name string) string {
	for i := len(s.Env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(s.Env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

func (s System) kernel() Row {
	release := s.read("proc/sys/kernel/osrelease")
	r := Row{Feature: "kernel", State: Works, Essential: true, Why: release + " " + runtime.GOARCH}
	major, minor, ok := kernelVersion(release)
	switch {
	case !ok:
		r.State, r.Why, r.Remedy = Unknown, "the version cannot be read", "mount /proc"
	case major < 5 || major == 5 && minor < 8:
		r.State, r.Why = Unsupported, release+" is older than 5.8"
		r.Remedy = "processes are shown all the same; everything else needs kernel 5.8 or later with BTF"
	case major < 6 || major == 6 && minor < 3:
		r.State, r.Why = Limited, release+" is older than 6.3"
		r.Remedy = "requests cost other system calls a little, too; from 5.15 on TLS is read, from 5.11 on network, from 5.9 on requests"
	}
	return r
}

func kernelVersion(release string) (major, minor int, ok bool) {
	a, rest, _ := strings.Cut(release, ".")
	b := strings.FieldsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if len(b) == 0 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b[0])
	return major, minor, err1 == nil && err2 == nil
}

// The capabilities that eBPF tracing uses, by bit.
var capabilities = [...]struct {
	bit  uint
	name string
	why  string
}{
	{39, "CAP_BPF", "load programs"},
	{38, "CAP_PERFMON", "attach them"},
	{21, "CAP_SYS_ADMIN", "measure what they cost"},
	{19, "CAP_SYS_PTRACE", "read other users' /proc/PID"},
	{2, "CAP_DAC_READ_SEARCH", "read executables of other users"},
}

func (s System) rights() Row {
	r := Row{Feature: "rights", State: Works, Essential: true}
	held, ok := s.effectiveCaps()
	if !ok {
		r.State, r.Why, r.Remedy = Unknown, "the capabilities of this process cannot be read", "mount /proc"
		return r
	}
	var missing []string
	for _, c := range capabilities {
		if held&(1<<c.bit) == 0 {
			missing = append(missing, c.name+" ("+c.why+")")
		}
	}
	who := "user " + strconv.Itoa(s.EUID)
	if s.EUID == 0 {
		who = "root"
	}
	switch {
	case len(missing) == 0:
		r.Why = who + " with every capability that is used"
	// CAP_SYS_ADMIN contains the first two.
	case held&(1<<21) != 0 || held&(1<<39) != 0 && held&(1<<38) != 0:
		r.State, r.Why = Limited, who+" without "+strings.Join(missing, ", ")
		r.Remedy = "sudo vitals, or grant the capabilities to the container or service"
	default:
		r.State, r.Why = Unsupported, who+" without "+strings.Join(missing, ", ")
		r.Remedy = "sudo vitals; without it processes, integrations and push still work"
	}
	return r
}

func (s System) effectiveCaps() (uint64, bool) {
	for line := range strings.Lines(s.read("proc/self/status")) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return n, err == nil
		}
	}
	return 0, false
}

func (s System) btf() Row {
	const file = "sys/kernel/btf/vmlinux"
	r := Row{Feature: "BTF", State: Works, Essential: true}
	st, err := os.Stat(filepath.Join("/", s.Root, file))
	if err != nil || st.Size() == 0 {
		r.State, r.Why = Unsupported, "/"+file+" is missing"
		r.Remedy = "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every large distribution's is); in a container, mount /sys"
		return r
	}
	r.Why = fmt.Sprintf("/%s, %.1f MiB", file, float64(st.Size())/(1<<20))
	return r
}

func (s System) lockdown() Row {
	r := Row{Feature: "lockdown", State: Info}
	text := s.read("sys/kernel/security/lockdown")
	_, rest, ok := strings.Cut(text, "[")
	mode, _, ok2 := strings.Cut(rest, "]")
	switch {
	case !ok || !ok2:
		r.Why = "not known, securityfs is not mounted; no hook that lockdown=integrity forbids is used"
	case mode == "confidentiality":
		r.State, r.Why, r.Remedy = Unsupported, "mode confidentiality forbids reading memory from BPF", "boot with lockdown=integrity"
		r.Essential = true
	default:
		r.Why = "mode " + mode + ": every hook that is used is allowed"
	}
	return r
}

func (s System) jit() Row {
	r := Row{Feature: "BPF JIT", State: Works}
	switch s.read("proc/sys/net/core/bpf_jit_enable") {
	case "0":
		r.State, r.Why, r.Remedy = Limited, "off: programs are interpreted and cost several times more", "sysctl -w net.core.bpf_jit_enable=1"
	case "":
		r.State, r.Why = Unknown, "the setting cannot be read: it is built in, or needs root"
	default:
		r.Why = "on"
	}
	return r
}

func (s System) proc() Row {
	r := Row{Feature: "/proc", State: Works, Essential: true}
	found := false
	for line := range strings.Lines(s.read("proc/self/mounts")) {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != "proc" || f[1] != "/proc" {
			continue
		}
		found = true
		for opt := range strings.SplitSeq(f[3], ",") {
			if v, ok := strings.CutPrefix(opt, "hidepid="); ok && v != "0" && v != "off" {
				r.State, r.Why = Limited, "mounted with hidepid="+v+": processes of others are hidden from users"
				r.Remedy = "sudo vitals, or mount -o remount,hidepid=0 /proc"
				if s.EUID == 0 {
					r.State, r.Remedy = Works, ""
				}
			}
		}
	}
	switch {
	case !found:
		r.State, r.Why, r.Remedy = Unknown, "no procfs at /proc", "mount -t proc proc /proc"
	case r.Why == "":
		r.Why = "shows every process"
	}
	return r
}

// initialPIDNamespace is the inode of the machine's own pid namespace, fixed in
// the kernel (PROC_PID_INIT_INO).
const initialPIDNamespace = "pid:[4026531836]"

func (s System) pidNamespace() Row {
	r := Row{Feature: "pid namespace", State: Works}
	link, err := os.Readlink(filepath.Join("/", s.Root, "proc/self/ns/pid"))
	switch {
	case err != nil:
		r.State, r.Why = Unknown, "/proc/self/ns/pid cannot be read"
	case link == initialPIDNamespace:
		r.Why = "the machine's own: every process is visible"
	default:
		r.State, r.Why = Limited, "a container's: processes outside of it are not visible"
		r.Remedy = "run with the host's pid namespace (docker run --pid=host, or hostPID: true)"
	}
	return r
}

func (s System) cgroups() Row {
	r := Row{Feature: "cgroups", State: Info}
	if s.read("sys/fs/cgroup/cgroup.controllers") != "" {
		r.Why = "version 2"
	} else if s.read("proc/self/cgroup") != "" {
		r.Why = "version 1 or mixed"
	} else {
		r.State, r.Why = Unknown, "/proc/self/cgroup cannot be read: containers are not told apart"
	}
	return r
}
