package discover

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vitals/core"
)

const goServer = `package main

import (
	"net"
	"os"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if _, err := net.Listen("unix", os.Args[1]); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(l.Addr().String())
	os.Stdout.Close()
	select {}
}
`

func buildGoServer(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	source := filepath.Join(folder, "main.go")
	if err := os.WriteFile(source, []byte(goServer), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "orders")
	if out, err := exec.Command(need(t, "go"), "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

func TestRealProgramsAreDescribed(t *testing.T) {
	python, node, sleep := need(t, "python3"), need(t, "node"), need(t, "sleep")
	folder := t.TempDir()
	script := filepath.Join(folder, "billing.js")
	_ = os.WriteFile(script, []byte(`require("http").createServer().listen(0, "127.0.0.1")`), 0o600)
	class := filepath.Join(folder, "Stock.java")
	_ = os.WriteFile(class, []byte(`public class Stock { public static void main(String[] a) throws Exception { Thread.sleep(60000); } }`), 0o600)
	program := buildGoServer(t)

	before := map[string]int{
		"python": spawn(t, []string{"OTEL_RESOURCE_ATTRIBUTES=team=red,oops"}, python, "-m", "http.server", "--bind", "127.0.0.1", "0").Process.Pid,
		"node":   spawn(t, nil, node, script).Process.Pid,
		"c":      spawn(t, nil, sleep, "60").Process.Pid,
	}
	if java, err := exec.LookPath("java"); err == nil { // a quarter of a GiB to install: only where it is
		before["java"] = spawn(t, []string{"OTEL_SERVICE_NAME=stock"}, java, class).Process.Pid
	}
	d, r := start(t, Config{})
	socket := filepath.Join(folder, "o.sock")
	before["go"] = spawn(t, nil, program, socket).Process.Pid

	listens := func(p *core.Process, prefix string) bool {
		return slices.ContainsFunc(p.Listeners, func(l core.Listener) bool { return strings.HasPrefix(l.String(), prefix) })
	}
	for _, c := range []struct {
		what string
		ok   func(p *core.Process) bool
	}{
		{"python", func(p *core.Process) bool {
			return strings.HasPrefix(p.Runtime.Version, "3.") && p.Service == "http.server" && listens(p, "tcp 127.0.0.1:") && p.Attributes["team"] == "red"
		}},
		{"node", func(p *core.Process) bool {
			return strings.Count(p.Runtime.Version, ".") == 2 && p.Service == "billing" && listens(p, "tcp 127.0.0.1:")
		}},
		{"java", func(p *core.Process) bool { return p.Runtime.Version != "" && p.Service == "stock" }},
		{"c", func(p *core.Process) bool {
			return p.Runtime.Version == "" && p.Service == "sleep" && p.Cmdline == sleep+" 60" && p.PPID == int32(os.Getpid()) && p.NSPID == p.PID && p.NetNS != 0
		}},
		{"go", func(p *core.Process) bool {
			return strings.HasPrefix(p.Runtime.Version, "1.") && p.Service == "orders" && p.Exe == program && listens(p, "tcp 127.0.0.1:") && listens(p, "unix "+socket)
		}},
	} {
		if before[c.what] == 0 {
			t.Logf("%s is not installed", c.what)
			continue
		}
		var last *core.Process
		if !wait(func() bool {
			last = r.pid(before[c.what])
			return last != nil && last.Runtime.Language == c.what && c.ok(last) && last.User != "" && last.Skip == ""
		}) {
			t.Errorf("%s: %+v", c.what, last)
		}
	}
	if n := d.Stats().Malformed; n == 0 {
		t.Error("the malformed pair was not counted")
	}
	if p := r.pid(before["go"]); p != nil && (time.Since(p.Started) > time.Minute || time.Until(p.Started) > time.Second) {
		t.Errorf("started %v", p.Started)
	}
}

func TestI57_PollingSeesBeginExecAndEnd(t *testing.T) {
	var mu sync.Mutex
	usage := map[core.ProcKey]core.Usage{}
	_, r := start(t, Config{UsageEvery: 100 * time.Millisecond, Usage: func(list []core.Usage) {
		mu.Lock()
		defer mu.Unlock()
		for _, u := range list {
			usage[u.ProcKey] = u
		}
	}})
	cmd := exec.Command("sh", "-c", "read x; exec sleep 60")
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	key := keyOf(t, cmd.Process.Pid)
	eventually(t, "begin", func() bool { p := r.get(key); return p != nil && p.Comm == "sh" && p.Runtime.Language == "c" })
	_, _ = in.Write([]byte("\n"))
	eventually(t, "exec", func() bool { p := r.get(key); return p != nil && p.Comm == "sleep" && p.Service == "sleep" })
	eventually(t, "usage", func() bool {
		mu.Lock()
		defer mu.Unlock()
		u, ok := usage[key]
		return ok && u.RSS > 0 && u.Threads == 1 && u.CPUUser >= 0 && u.ReadBytes == -1
	})
	_ = cmd.Process.Kill()
	eventually(t, "end, while it is a zombie", func() bool { _, ok := r.exit(key); return ok })
	_, _ = cmd.Process.Wait()
	if e, _ := r.exit(key); e.Known && e.Signal != 9 {
		t.Errorf("exit %+v", e)
	}
}

func TestI32_OurselvesOurChildrenAndKernelThreads(t *testing.T) {
	child := spawn(t, nil, "sleep", "60").Process.Pid
	_, r := start(t, Config{Self: int32(os.Getpid())})
	eventually(t, "ourselves", func() bool { p := r.pid(os.Getpid()); return p != nil && p.Skip == "vitals itself" })
	eventually(t, "our child", func() bool { p := r.pid(child); return p != nil && p.Skip == "started by vitals" })
	if _, err := os.Stat("/proc/2/exe"); err == nil || !os.IsNotExist(err) {
		eventually(t, "kernel threads", func() bool { p := r.pid(2); return p == nil || p.Skip == "kernel thread" || p.Exe != "" })
	}
}

func TestOnlyThesePIDsAndTheirDescendants(t *testing.T) {
	cmd := spawn(t, nil, "sh", "-c", "sleep 60 & wait")
	d, r := start(t, Config{PIDs: []int32{int32(cmd.Process.Pid)}, Self: int32(os.Getpid())})
	eventually(t, "process and child", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.live) == 2
	})
	if p := r.pid(cmd.Process.Pid); p == nil || p.Skip != "" {
		t.Errorf("asked for by the user, although our child: %+v", p)
	}
	if d.Stats().Known < 3 {
		t.Error("the others should be known, so that they are not read again and again")
	}
	if _, err := New(Config{Handler: r, PIDs: []int32{nobody}}); err == nil || !strings.Contains(err.Error(), "1073741824") {
		t.Errorf("a process that does not exist: %v", err)
	}
}

func TestI70_RulesAndGroups(t *testing.T) {
	pid := spawn(t, nil, "sleep", "60").Process.Pid
	d, r := start(t, Config{Selection: Selection{Exclude: []string{"sleep"}}})
	eventually(t, "excluded", func() bool { p := r.pid(pid); return p != nil && p.Skip == "excluded by rule sleep" })
	if err := d.Select(Selection{Include: []string{"user=nobody-has-this"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not included", func() bool { return r.pid(pid).Skip == "not included by any rule" })
	if err := d.Select(Selection{Groups: []Group{{Name: "night", Select: []string{"exe=/*/sleep,name=sl*"}, Service: "dream", Attributes: map[string]string{"tier": "x"}}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "grouped", func() bool {
		p := r.pid(pid)
		return p.Skip == "" && p.Group == "night" && p.Service == "dream" && p.Attributes["tier"] == "x"
	})
	for _, bad := range []string{"colour=red", "name=", "name=[a", "pid=x", "pid=-1", "", "attr.=x", "a,,b"} {
		err := d.Select(Selection{Exclude: []string{bad}})
		if err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("rule %q: %v", bad, err)
		}
		if CheckRule(bad) == nil {
			t.Errorf("CheckRule(%q) finds nothing", bad)
		}
	}
}

// A name may hold anything that ends a line, closes a parenthesis or moves a cursor.
func TestHostileNames(t *testing.T) {
	python := need(t, "python3")
	cmd := spawn(t, []string{"OTEL_SERVICE_NAME=a\x1b]0;x\x07\u202eb"}, python, "-c",
		`import sys,time; open("/proc/self/comm","w").write("x) Z 1 (\x1b[2J"); time.sleep(60)`, "\x1b[31m\u200b"+strings.Repeat("A", 4096))
	_, r := start(t, Config{})
	eventually(t, "described", func() bool {
		p := r.pid(cmd.Process.Pid)
		return p != nil && strings.HasPrefix(p.Comm, "x) Z 1 (") && p.Service != p.Comm && p.Runtime.Language == "python" && strings.HasPrefix(p.Service, "a")
	})
	p := r.pid(cmd.Process.Pid)
	for _, s := range []string{p.Comm, p.Cmdline, p.Service, p.Exe} {
		if core.Clean(s, core.MaxCmdline) != s || strings.ContainsAny(s, "\x1b\n\u202e\u200b") {
			t.Errorf("%q is not clean", s)
		}
	}
	if len(p.Cmdline) > core.MaxCmdline {
		t.Errorf("command line of %d bytes", len(p.Cmdline))
	}
}

func TestI33_OtherNamespaces(t *testing.T) {
	needRoot(t)
	need(t, "unshare")
	cmd := exec.Command("unshare", "--fork", "--pid", "--mount", "--net", "--mount-proc", "sh", "-c",
		"mount -t tmpfs none /mnt; cp /bin/sleep /mnt/inner; exec /mnt/inner 60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_, _ = cmd.Process.Wait()
	})
	_, r := start(t, Config{})
	var inner *core.Process
	eventually(t, "a process in its own namespaces", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, p := range r.live {
			if p.PPID == int32(cmd.Process.Pid) && p.Comm == "inner" && p.Exe == "/mnt/inner" && p.Runtime.Language == "c" {
				inner = p
			}
		}
		return inner != nil
	})
	own, _ := os.Readlink("/proc/self/ns/net")
	if inner.NSPID != 1 || inner.PID == 1 || inner.NetNS == 0 || strings.Contains(own, "["+itoa(inner.NetNS)+"]") {
		t.Errorf("%+v", inner)
	}
}

func itoa(n uint64) string {
	b := []byte{}
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// A listener that appears long after the start, in a process that nobody
// expects it from, is found; one that is closed goes away.
func TestListenersComeAndGo(t *testing.T) {
	_, r := start(t, Config{Kernel: always})
	eventually(t, "profile", func() bool { p := r.pid(os.Getpid()); return p != nil && p.NetNS != 0 })
	time.Sleep(400 * time.Millisecond)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	want := core.Listener{Network: "tcp", Address: l.Addr().String()}
	has := func() bool { return slices.Contains(r.pid(os.Getpid()).Listeners, want) }
	eventually(t, "opened", has)
	_ = l.Close()
	eventually(t, "closed", func() bool { return !has() })
}

// A program that was started by another name of its file goes by that name.
func TestProgramsGoByTheNameTheyWereStartedBy(t *testing.T) {
	dir := t.TempDir()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check-tool"), body, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("check-tool", filepath.Join(dir, "big-server")); err != nil {
		t.Fatal(err)
	}
	p, err := openProc("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	cmd := exec.Command(filepath.Join(dir, "big-server"), "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	exe := filepath.Join(dir, "check-tool")
	for comm, want := range map[string]string{"big-server": filepath.Join(dir, "big-server"), "check-tool": exe, "something": exe, "": exe, "../x": exe} {
		if got := p.alias(int32(cmd.Process.Pid), exe, comm); got != want {
			t.Errorf("comm %q: %s, want %s", comm, got, want)
		}
	}
}
