package diagnose

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine makes a directory that stands for /.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// good is a machine on which everything works.
func good() map[string]string {
	return map[string]string{
		"proc/sys/kernel/osrelease":        "6.12.3-amd64\n",
		"proc/self/status":                 "Name:\tvitals\nCapEff:\t000001ffffffffff\n",
		"sys/kernel/btf/vmlinux":           strings.Repeat("b", 1<<20),
		"sys/kernel/security/lockdown":     "none [integrity] confidentiality\n",
		"proc/sys/net/core/bpf_jit_enable": "1\n",
		"proc/self/mounts":                 "sysfs /sys sysfs rw 0 0\nproc /proc proc rw,nosuid,relatime 0 0\n",
		"proc/self/ns/pid":                 "-> pid:[4026531836]",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
	}
}

func row(t *testing.T, rows []Row, feature string) Row {
	t.Helper()
	for _, r := range rows {
		if r.Feature == feature {
			return r
		}
	}
	t.Fatalf("no row %q", feature)
	return Row{}
}

func TestFindings(t *testing.T) {
	env := []string{"TERM=xterm-256color", "COLORTERM=truecolor", "LC_ALL=C.UTF-8"}
	for _, c := range []struct {
		name    string
		file    string // what differs from the good machine
		text    string
		remove  bool
		env     []string
		feature string
		state   State
		says    string
		ok      bool
	}{
		{"good", "", "", false, nil, "kernel", Works, "6.12.3-amd64", true},
		{"good btf", "", "", false, nil, "BTF", Works, "1.0 MiB", true},
		{"good rights", "", "", false, nil, "rights", Works, "root", true},
		{"good terminal", "", "", false, nil, "terminal", Works, "16 million", true},
		{"6.2", "proc/sys/kernel/osrelease", "6.2.0-rc1", false, nil, "kernel", Limited, "6.3", true},
		{"5.8", "proc/sys/kernel/osrelease", "5.8.0", false, nil, "kernel", Limited, "from 5.9 on requests", true},
		{"5.4", "proc/sys/kernel/osrelease", "5.4.0-42-generic", false, nil, "kernel", Unsupported, "5.8", false},
		{"7.2", "proc/sys/kernel/osrelease", "7.2", false, nil, "kernel", Works, "7.2", true},
		{"no proc", "proc/sys/kernel/osrelease", "", true, nil, "kernel", Unknown, "/proc", false},
		{"odd release", "proc/sys/kernel/osrelease", "x\x1b", false, nil, "kernel", Unknown, "read", false},
		{"no caps", "proc/self/status", "CapEff:\t0000000000000000\n", false, nil, "rights", Unsupported, "sudo", false},
		{"bpf and perfmon", "proc/self/status", "CapEff:\t000000c000000000\n", false, nil, "rights", Limited, "CAP_SYS_PTRACE", true},
		{"bpf only", "proc/self/status", "CapEff:\t0000008000000000\n", false, nil, "rights", Unsupported, "CAP_PERFMON", false},
		{"sys_admin", "proc/self/status", "CapEff:\t0000000000200000\n", false, nil, "rights", Limited, "CAP_SYS_PTRACE", true},
		{"garbled status", "proc/self/status", "CapEff:\tzz\n", false, nil, "rights", Unknown, "read", false},
		{"no BTF", "sys/kernel/btf/vmlinux", "", true, nil, "BTF", Unsupported, "CONFIG_DEBUG_INFO_BTF", false},
		{"empty BTF", "sys/kernel/btf/vmlinux", "", false, nil, "BTF", Unsupported, "missing", false},
		{"confidentiality", "sys/kernel/security/lockdown", "none integrity [confidentiality]", false, nil, "lockdown", Unsupported, "integrity", false},
		{"no securityfs", "sys/kernel/security/lockdown", "", true, nil, "lockdown", Info, "not known", true},
		{"no JIT", "proc/sys/net/core/bpf_jit_enable", "0", false, nil, "BPF JIT", Limited, "sysctl", true},
		{"hidepid", "proc/self/mounts", "proc /proc proc rw,hidepid=invisible 0 0", false, nil, "/proc", Works, "hidepid=invisible", true},
		{"no procfs", "proc/self/mounts", "", false, nil, "/proc", Unknown, "mount", false},
		{"container", "proc/self/ns/pid", "-> pid:[4026532847]", false, nil, "pid namespace", Limited, "--pid=host", true},
		{"cgroup v1", "sys/fs/cgroup/cgroup.controllers", "", true, nil, "cgroups", Unknown, "containers", true},
		{"sudo", "", "", false, []string{"TERM=tmux-256color", "SUDO_USER=me", "LANG=de_DE.utf8"}, "terminal", Works, "--color truecolor", true},
		{"dumb", "", "", false, []string{"TERM=dumb"}, "terminal", Limited, "TERM=xterm", true},
		{"console", "", "", false, []string{"TERM=linux"}, "terminal", Works, "no braille", true},
		{"no colour", "", "", false, []string{"TERM=xterm", "NO_COLOR=1"}, "terminal", Works, "NO_COLOR", true},
		{"C locale", "", "", false, []string{"TERM=xterm", "LC_ALL=C", "LANG=de_DE.UTF-8"}, "locale", Limited, "ASCII", true},
		{"empty locale", "", "", false, []string{"TERM=xterm"}, "locale", Limited, "C.UTF-8", true},
	} {
		files := good()
		if c.remove {
			delete(files, c.file)
		} else if c.file != "" {
			files[c.file] = c.text
		}
		s := System{Root: machine(t, files), Env: c.env, TTY: true}
		if c.env == nil {
			s.Env = env
		}
		rows := Look(s)
		r := row(t, rows, c.feature)
		if r.State != c.state || !strings.Contains(r.Why+" "+r.Remedy, c.says) {
			t.Errorf("%s: %+v", c.name, r)
		}
		if OK(rows) != c.ok {
			t.Errorf("%s: OK is %v", c.name, !c.ok)
		}
		if (r.State == Unsupported || r.State == Limited) && r.Remedy == "" {
			t.Errorf("%s: no remedy: %+v", c.name, r)
		}
	}
	user := System{Root: machine(t, map[string]string{"proc/self/mounts": "proc /proc proc rw,hidepid=2 0 0"}), EUID: 1000, Env: env, User: "me"}
	if r := row(t, Look(user), "/proc"); r.State != Limited {
		t.Errorf("hidepid without root: %+v", r)
	}
	if r := row(t, Look(user), "settings of"); !strings.HasPrefix(r.Why, "me,") {
		t.Errorf("%+v", r)
	}
	if r := row(t, Look(user), "terminal"); r.State != Info {
		t.Errorf("no TTY: %+v", r)
	}
}

// On the machine of the test nothing is unknown that every Linux tells.
func TestThisMachine(t *testing.T) {
	rows := Look(System{})
	for _, feature := range []string{"kernel", "rights", "/proc", "pid namespace"} {
		if r := row(t, rows, feature); r.State == Unknown {
			t.Errorf("%+v", r)
		}
	}
}

func TestTextAndJSON(t *testing.T) {
	rows := []Row{
		{Feature: "a", State: Works, Why: "fine", Remedy: "none needed"},
		{Feature: "long feature", State: Unsupported, Why: "bad \x1b[31m", Remedy: "do\nthis"},
	}
	var b bytes.Buffer
	if err := WriteText(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := "ok           a             fine\n" +
		"unsupported  long feature  bad ·[31m\n" +
		"                           -> do·this\n" +
		"\nThe essentials work here; what is listed as limited or unsupported is left out.\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	if err := WriteJSON(&b, rows); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b.Bytes(), &r); err != nil || !r.OK || r.Version != 1 || len(r.Rows) != 2 || r.Rows[1].Why != "bad ·[31m" {
		t.Errorf("%v %+v", err, r)
	}
}
