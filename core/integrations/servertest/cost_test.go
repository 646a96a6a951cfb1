package servertest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"vitals/core/integrations/haproxy"
	"vitals/core/integrations/host"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/memcached"
	"vitals/core/integrations/mysql"
	"vitals/core/integrations/nginx"
	"vitals/core/integrations/postgres"
	"vitals/core/integrations/prometheus"
	"vitals/core/integrations/redis"
	"vitals/core/integrations/servertest"
)

// running is a kind with the settings of a server that runs.
type running struct {
	kind     kit.Kind
	settings any
}

// everything starts a server of each kind that has one.
func everything(t testing.TB) []running {
	t.Helper()
	servertest.NeedRoot(t)
	dir := servertest.Dir(t, "")
	all := []running{{host.Kind(), host.Settings{}}}

	cache := servertest.Loopback(servertest.Port(t))
	servertest.Start(t, "", servertest.Need(t, "memcached"), "-u", "nobody", "-l", "127.0.0.1", "-p", strings.TrimPrefix(cache, "127.0.0.1:")).Listens("tcp", cache)
	all = append(all, running{memcached.Kind(), memcached.Settings{Address: cache}})

	store := servertest.Loopback(servertest.Port(t))
	servertest.Start(t, "", servertest.Need(t, "redis-server"), "--port", strings.TrimPrefix(store, "127.0.0.1:"), "--save", "", "--dir", dir).Listens("tcp", store)
	all = append(all, running{redis.Kind(), redis.Settings{Address: store}})

	web := servertest.Loopback(servertest.Port(t))
	servertest.Start(t, "", servertest.Need(t, "nginx"), "-e", dir+"/error.log", "-c", servertest.Write(t, dir, "nginx.conf", fmt.Sprintf(
		"daemon off; pid %[1]s/pid; events {} http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; server { listen %[2]s; location / { stub_status; } } }", dir, web))).Listens("tcp", web)
	all = append(all, running{nginx.Kind(), nginx.Settings{Address: web, Path: "/"}})

	var servers strings.Builder
	for i := range 12 {
		fmt.Fprintf(&servers, "  server s%d 127.0.0.1:1\n", i)
	}
	socket := dir + "/h.sock"
	servertest.Start(t, "", servertest.Need(t, "haproxy"), "-db", "-f", servertest.Write(t, dir, "h.cfg", fmt.Sprintf(
		"global\n  stats socket %s\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  bind %s\n  default_backend b\nbackend b\n%s",
		socket, servertest.Loopback(servertest.Port(t)), servers.String()))).Listens("unix", socket)
	all = append(all, running{haproxy.Kind(), haproxy.Settings{Address: socket}})

	page := servertest.Loopback(servertest.Port(t))
	servertest.Start(t, "", servertest.Need(t, "prometheus-node-exporter"), "--web.listen-address", page).Listens("tcp", page)
	all = append(all, running{prometheus.Kind(), prometheus.Settings{URL: "http://" + page}})
	return append(all, databases(t)...)
}

func databases(t testing.TB) []running {
	t.Helper()
	dir, port := servertest.Dir(t, "postgres"), fmt.Sprint(servertest.Port(t))
	servertest.Run(t, "postgres", servertest.Need(t, "initdb"), "-D", dir+"/data", "-N", "--auth=peer")
	pg := servertest.Start(t, "postgres", servertest.Need(t, "postgres"), "-D", dir+"/data", "-p", port, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	ready := func(s *servertest.Server, words string) {
		s.Await(func() error {
			if !strings.Contains(s.Log(), words) {
				return fmt.Errorf("no %q in its log", words)
			}
			return nil
		})
	}
	ready(pg, "ready to accept connections")

	home := servertest.Dir(t, "mysql")
	servertest.Run(t, "mysql", servertest.Need(t, "mariadb-install-db"), "--no-defaults", "--datadir="+home+"/data", "--auth-root-authentication-method=socket", "--auth-root-socket-user=mysql", "--skip-test-db")
	maria := servertest.Start(t, "mysql", servertest.Need(t, "mariadbd"), "--no-defaults", "--datadir="+home+"/data", "--skip-networking", "--socket="+home+"/m.sock", "--pid-file="+home+"/pid")
	ready(maria, "ready for connections")
	return []running{
		{postgres.Kind(), postgres.Settings{Address: dir + "/.s.PGSQL." + port, Login: kit.Login{Ambient: true}}},
		{mysql.Kind(), mysql.Settings{Address: home + "/m.sock", Login: kit.Login{Ambient: true}}},
	}
}

// cpu is what this process has used so far.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func descriptors(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// A gather of all kinds costs little, and nothing is left when they are closed.
func TestCostAndLeaksOfEverything(t *testing.T) {
	all := everything(t)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	collectors := make([]kit.Collector, len(all))
	for i, r := range all {
		settings, _, err := r.kind.Prepare(r.settings, kittest.Env(t).Shared)
		if err != nil {
			t.Fatal(err)
		}
		if collectors[i], err = r.kind.Open(settings, kittest.Env(t)); err != nil {
			t.Fatal(err)
		}
	}
	const rounds = 10
	series, total := 0, time.Duration(0)
	for i, r := range all {
		told, took := 0, time.Hour
		for n := range rounds + 1 {
			began := cpu(t)
			result, err := kittest.Round(t, r.kind, collectors[i])
			if err != nil {
				t.Fatalf("%s: %v", r.kind.Name, err)
			}
			if told = result.Series; n > 0 { // the first round connects
				took = min(took, cpu(t)-began) // others on the machine make it more, and nobody makes it less
			}
		}
		t.Logf("%-10s %4d series, %v of CPU a round", r.kind.Name, told, took.Round(10*time.Microsecond))
		series, total = series+told, total+took
	}
	t.Logf("%-10s %4d series, %v of CPU a round", "all", series, total.Round(10*time.Microsecond))
	if limit := 60 * time.Millisecond; total > limit { // four times what is asked for: the race detector takes its share
		t.Errorf("a gather takes %v of CPU, at most %v are allowed", total, limit)
	}
	for _, c := range collectors {
		c.Close()
	}
	servertest.Eventually(t, func() error {
		if g, f := runtime.NumGoroutine(), descriptors(t); g > goroutines || f > files {
			return fmt.Errorf("%d goroutines and %d files are left of %d and %d", g, f, goroutines, files)
		}
		return nil
	})
}
