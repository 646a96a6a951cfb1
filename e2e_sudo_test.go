package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// caller is somebody who may call sudo vitals and nothing else: their home, and
// the environment that sudo gives.
func caller(t *testing.T) (home string, env []string) {
	t.Helper()
	home, err := os.MkdirTemp("", "caller")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	for _, dir := range []string{home, filepath.Join(home, "vitals")} {
		os.Mkdir(dir, 0o755)
		os.Chown(dir, 65534, 65534)
	}
	return home, []string{"SUDO_UID=65534", "SUDO_GID=65534", "SUDO_USER=nobody", "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + home + "/state"}
}

// A configuration of the caller's names a file of root's in every way there is:
// nothing of it goes to the servers that it also names, or is shown.
func TestUnderSudoFilesOfRootStayRoots(t *testing.T) {
	needRoot(t)
	home, env := caller(t)
	var mu sync.Mutex
	var heard strings.Builder
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&heard, "%v %s\n", r.Header, password)
	}))
	defer evil.Close()
	secret := filepath.Join(t.TempDir(), "word")
	os.WriteFile(secret, []byte("topsecret"), 0o600)
	run := func(args ...string) string {
		p := start(t, env, binary(t, "vitals"), args...)
		p.wait()
		return p.stdout() + p.stderr()
	}
	text := "push:\n"
	for i, login := range []string{"authorization: {credentials_file: %s}", "basic_auth: {username: u, password_file: %s}", "tls_config: {ca_file: %s}", "http_headers: {X-A: {files: [%s]}}"} {
		text += fmt.Sprintf("  - url: %s\n    job: j%d\n    name: d%d\n    http: {"+login+"}\n", evil.URL, i, i, secret)
	}
	text += fmt.Sprintf("integrations:\n  redis: {address: \"%s\", password: \"file:%s\"}\n", strings.TrimPrefix(evil.URL, "http://"), secret)
	os.WriteFile(filepath.Join(home, "vitals", "config.yaml"), []byte(text), 0o644)
	if said := run("check"); strings.Contains(said, "topsecret") || strings.Count(said, "permission denied") < 5 {
		t.Errorf("the check says\n%s", tail(said))
	}
	if said := run("--once"); strings.Contains(said, "topsecret") || !strings.Contains(said, "permission denied") {
		t.Errorf("a push says\n%s", tail(said))
	}
	if said := run("check", "--config", secret); strings.Contains(said, "topsecret") || !strings.Contains(said, "rights of nobody") {
		t.Errorf("a file that is named: it says\n%s", tail(said))
	}
	if said := run("gateway", "--listen", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--store", "disk:"+filepath.Join(filepath.Dir(secret), "store")); !strings.Contains(said, "permission denied") {
		t.Errorf("a store where only root may write: it says\n%s", tail(said))
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(heard.String(), "topsecret") {
		t.Errorf("sent to a server of the caller's: %s", heard.String())
	}
}

// What vitals writes for the caller is the caller's: a text file, and what a
// command under the dashboard prints, and a saved screen.
func TestUnderSudoFilesBelongToTheCaller(t *testing.T) {
	needRoot(t)
	home, env := caller(t)
	config := filepath.Join(home, "vitals", "config.yaml")
	ours := filepath.Join(t.TempDir(), "vitals.prom")
	os.WriteFile(config, []byte("push: {type: textfile, path: "+ours+"}\n"), 0o644)
	p := start(t, env, binary(t, "vitals"), "--once")
	p.wait()
	if _, err := os.Stat(ours); err == nil || p.ProcessState.ExitCode() == 0 || !strings.Contains(p.stderr(), "permission denied") {
		t.Errorf("written where only root may: %v\n%s", err, tail(p.stderr()))
	}
	theirs := filepath.Join(home, "vitals.prom")
	os.WriteFile(config, []byte("push: {type: textfile, path: "+theirs+"}\n"), 0o644)
	p = start(t, env, binary(t, "vitals"), "--once")
	p.wait()
	if st, err := os.Stat(theirs); err != nil || st.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("%v, exit %d\n%s", err, p.ProcessState.ExitCode(), tail(p.stderr()))
	}
	os.Remove(config)
	m := openTerminal(t, 120, 40)
	m.run("cd " + home + " && " + strings.Join(env, " ") + " " + binary(t, "vitals") + " -- sh -c 'echo hello; exec sleep 1000'")
	file := goesTo.FindStringSubmatch(m.waitMatch(goesTo.String()))[1]
	defer os.Remove(file)
	if st, err := os.Stat(file); err != nil || st.Sys().(*syscall.Stat_t).Uid != 65534 || st.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v", file, err)
	}
	m.keys("C-s")
	m.waitFor("screen saved as")
	saved, _ := filepath.Glob(filepath.Join(home, "vitals-*.txt"))
	if len(saved) != 1 {
		t.Fatalf("%d saved screens", len(saved))
	}
	if st, err := os.Stat(saved[0]); err != nil || st.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("%s: %v", saved[0], err)
	}
	m.keys("q", "q", "q")
	m.waitFor("its output is in")
}

// The way in which vitals starts a command is no way for others to have root run
// one, whatever descriptor 3 is.
func TestNobodyElseBecomesACommand(t *testing.T) {
	needRoot(t)
	gate := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte{1})
		w.Close()
		return r
	}
	plain, err := os.Open("/proc/self/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  []string
		gate *os.File
	}{"none": {}, "a file": {nil, plain}, "a pipe": {nil, gate()}, "a pipe under sudo": {[]string{"SUDO_UID=65534"}, gate()}} {
		cmd := exec.Command(binary(t, "vitals"), waitingArg, "/bin/sh", "sh", "-c", "echo it runs")
		cmd.Env = append(os.Environ(), c.env...)
		if c.gate != nil {
			cmd.ExtraFiles = []*os.File{c.gate}
		}
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "it runs") || err == nil || !strings.Contains(string(out), "for nobody else") {
			t.Errorf("%s: %s %v", name, out, err)
		}
	}
}
