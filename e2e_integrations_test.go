package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vitals/core/integrations/servertest"
)

// askedServer is a row of the JSON interface.
type askedServer struct {
	ID, Kind, Instance, Origin, State, Why, Needs, Message, Health, Service string
	PIDs                                                                    []int32
	Series                                                                  int
	Runs, Failures                                                          uint64
}

// watcher is a vitals that runs without a screen and serves what it knows.
type watcher struct {
	*proc
	url    string
	config string
}

// watch starts vitals on the programs that a rule means, with more configuration.
func watch(t *testing.T, config string) *watcher {
	t.Helper()
	w := &watcher{config: filepath.Join(t.TempDir(), "config.yaml")}
	w.write(t, config)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	w.url = "http://" + address
	w.proc = start(t, nil, binary(t, "vitals"), "--push", "http://127.0.0.1:9/", "--listen", address, "--config", w.config, "--log-level", "debug")
	until(t, "vitals looks around", func() bool { return fetch(w.url+"/-/ready") != "" }, w.stderr)
	return w
}

func (w *watcher) write(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(w.config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *watcher) servers() []askedServer {
	var s struct{ Integrations []askedServer }
	json.Unmarshal([]byte(fetch(w.url+"/api/v1/snapshot")), &s)
	return s.Integrations
}

// server waits for a server of a kind and an instance that ends so.
func (w *watcher) server(kind, instance string, so func(askedServer) bool) askedServer {
	w.t.Helper()
	var found askedServer
	until(w.t, kind+" "+instance, func() bool {
		for _, s := range w.servers() {
			if s.Kind == kind && strings.HasSuffix(s.Instance, instance) && so(s) {
				found = s
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprintf("servers: %+v\n%s", w.servers(), tail(w.stderr())) })
	return found
}

func found(askedServer) bool      { return true }
func collects(s askedServer) bool { return s.State == "running" && s.Series > 0 }

// copied is a program under a path of its own, so that rules can mean it alone.
func copied(t *testing.T, dir, program string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(need(t, program))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, program)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Servers that start while vitals runs are there within two seconds, with their
// evidence, and live within five, without anything being typed.
func TestServersAreFoundAndAskedByThemselves(t *testing.T) {
	needRoot(t)
	dir := servertest.Dir(t, "")
	redis, nginx := copied(t, dir, "redis-server"), copied(t, dir, "nginx")
	w := watch(t, fmt.Sprintf("include: [\"exe=%s/*\", \"exe=/usr/lib/postgresql/*\"]\n", dir))

	var port int
	var r *proc
	var at string
	again := func() { r = start(t, nil, redis, "--port", fmt.Sprint(port), "--save", "", "--dir", dir) }
	its := func(s askedServer) bool { return collects(s) && len(s.PIDs) == 1 && int(s.PIDs[0]) == r.Process.Pid }
	began := time.Time{}
	fresh := func() {
		began, port = time.Now(), freePort(t)
		at = fmt.Sprintf("127.0.0.1:%d", port)
		again()
	}
	soon(t, 2*time.Second, "a server is found", func() time.Duration {
		fresh()
		s := w.server("redis", at, found)
		if !strings.Contains(s.Why, "executable redis-server") || s.Origin != "found" {
			t.Errorf("its evidence is %q", s.Why)
		}
		return time.Since(began)
	})
	soon(t, 5*time.Second, "a server is live", func() time.Duration {
		fresh()
		s := w.server("redis", at, its)
		if !strings.Contains(s.Why, "PING") && !strings.Contains(s.Why, "redis") {
			t.Errorf("%+v", s)
		}
		return time.Since(began)
	})
	if page := fetch(w.url + "/metrics"); !strings.Contains(page, fmt.Sprintf("redis_connected_clients{instance=%q,job=\"integrations/redis\"}", at)) {
		t.Errorf("its figures are not among the metrics: %s", grep(page, "job=\"integrations"))
	}

	web := freePort(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; pid %[1]s/n.pid; error_log %[1]s/error.log; events {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; server { listen 127.0.0.1:%[2]d; location /stub_status { stub_status; } } }\n", dir, web)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	n := start(t, nil, nginx, "-c", conf, "-p", dir)
	t.Cleanup(func() { n.end(syscall.SIGTERM) }) // and its workers
	w.server("nginx", fmt.Sprintf(":%d", web), collects)

	// Killed, it fails; started again, it is live again by itself.
	soon(t, 5*time.Second, "a server is live again", func() time.Duration {
		r.end(syscall.SIGKILL)
		began = time.Now()
		again()
		w.server("redis", at, its)
		return time.Since(began)
	})
}

// PostgreSQL is found and not asked before somebody agrees; then it is, as its
// own user, and its log has no refused login of ours.
func TestPostgresIsAskedAfterConsent(t *testing.T) {
	needRoot(t)
	bin := servertest.Need(t, "postgres")
	bin = filepath.Dir(bin)
	dir := servertest.Dir(t, "postgres")
	servertest.Run(t, "postgres", filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust", "--auth-local=peer", "--no-sync")
	rule := fmt.Sprintf("include: [\"exe=%s/*\"]\n", bin)
	w := watch(t, rule)
	port := freePort(t)
	pg := servertest.Start(t, "postgres", filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", fmt.Sprint(port),
		"-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "log_connections=on", "-c", "fsync=off")
	socket := fmt.Sprintf("%s/.s.PGSQL.%d", dir, port)
	if s := w.server("postgres", fmt.Sprint(port), found); !strings.Contains(s.Why, "executable postgres") {
		t.Errorf("its evidence is %q", s.Why)
	}
	w.server("postgres", socket, func(s askedServer) bool { return s.Needs == "consent" && s.State == "suggested" })
	w.write(t, rule+fmt.Sprintf("integrations:\n  postgres: {address: \"unix:%s\", ambient: on}\n", socket))
	w.server("postgres", socket, func(s askedServer) bool { return collects(s) && s.Origin == "configured" && len(s.PIDs) > 0 })
	if page := fetch(w.url + "/metrics"); !strings.Contains(page, "pg_stat_database_numbackends{") {
		t.Errorf("its figures are not among the metrics: %s", grep(page, "job=\"integrations"))
	}
	if log := pg.Log(); strings.Contains(log, "FATAL") || strings.Contains(log, "ERROR") {
		t.Errorf("its log: %s", tail(log))
	}
}

// A reload touches what it changes and nothing else, live; what is wrong in the
// file changes nothing at all.
func TestReloadOfIntegrations(t *testing.T) {
	needRoot(t)
	dir := servertest.Dir(t, "")
	redis := copied(t, dir, "redis-server")
	rule := fmt.Sprintf("include: [\"exe=%s/*\"]\n", dir)
	var ports []int
	for range 2 {
		port := freePort(t)
		ports = append(ports, port)
		start(t, nil, redis, "--port", fmt.Sprint(port), "--save", "", "--dir", dir)
	}
	section := func(i int, more string) string {
		return fmt.Sprintf("    - {address: \"127.0.0.1:%d\"%s}\n", ports[i], more)
	}
	const head = "integrations:\n  discovery: off\n  redis:\n"
	w := watch(t, rule+head+section(0, "")+section(1, ""))
	at := []string{fmt.Sprintf(":%d", ports[0]), fmt.Sprintf(":%d", ports[1])}
	w.server("redis", at[0], collects)
	w.server("redis", at[1], collects)

	w.write(t, rule+head+section(0, "")+section(1, ", password: wrong"))
	s := w.server("redis", at[1], func(s askedServer) bool { return s.State == "failed" && s.Needs == "login" })
	if strings.Contains(s.Message+w.stderr(), "wrong}") {
		t.Errorf("%+v", s)
	}
	w.write(t, rule+head+section(0, "")+section(1, ", pasword: x"))
	until(t, "the mistake is told", func() bool { return strings.Contains(w.stderr(), "did you mean password?") })
	w.write(t, rule+head+section(0, "")+section(1, ""))
	w.server("redis", at[1], collects)
	if n := strings.Count(w.stderr(), "unit=integration/redis/127.0.0.1"+at[0]+" from=new"); n != 1 {
		t.Errorf("the one that nobody changed was started %d times", n)
	}
}

// grep is the lines of a page that hold a word.
func grep(page, word string) string {
	var out strings.Builder
	for line := range strings.Lines(page) {
		if strings.Contains(line, word) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// As many integrations as may be configured neither block the start nor the
// check, which is right about each: one of them answers.
func TestAsManyIntegrationsAsMayBe(t *testing.T) {
	truth := startTruth(t, "127.0.0.1:0")
	var b strings.Builder
	b.WriteString("integrations:\n  host: {enabled: false}\n  blackbox:\n")
	fmt.Fprintf(&b, "    - {target: \"tcp://%s\"}\n", truth.addr)
	for port := range 498 {
		fmt.Fprintf(&b, "    - {target: \"tcp://127.0.0.1:%d\"}\n", port+1)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	os.WriteFile(file, []byte(b.String()), 0o600)
	p := start(t, nil, binary(t, "vitals"), "check", "--spec", file, "blackbox")
	p.wait()
	bad, well := 0, 0
	for line := range strings.Lines(p.stdout()) {
		switch {
		case strings.HasPrefix(line, "ERROR") && strings.Contains(line, "refused"):
			bad++
		case strings.HasPrefix(line, "OK") && strings.Contains(line, truth.addr):
			well++
		}
	}
	if well != 1 || bad < 450 || p.ProcessState.ExitCode() != 1 {
		t.Errorf("%d refused, %d well, exit %d\n%s", bad, well, p.ProcessState.ExitCode(), tail(p.stdout()+p.stderr()))
	}
	p = start(t, nil, binary(t, "vitals"), "snapshot", "--config", file, "--for", "1s", "-o", "json")
	p.wait()
	if p.ProcessState.ExitCode() != 0 || !strings.Contains(p.stdout(), "127.0.0.1:498") {
		t.Errorf("exit %d\n%s", p.ProcessState.ExitCode(), tail(p.stderr()))
	}
}
