package haproxy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

const config = `global
  stats socket %[1]s/haproxy.sock mode 600 level user
  maxconn 100
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:%[2]d
  default_backend app
backend app
  server good %[3]s
  server gone 127.0.0.1:1 check inter 100ms
frontend stats
  bind 127.0.0.1:%[4]d
  http-request use-service prometheus-exporter if { path /metrics }
  stats enable
  stats uri /stats
  %[5]s
`

// proxy is an HAProxy before a web server.
type proxy struct {
	*servertest.Server
	socket, web, stats string
}

func start(t testing.TB, more string) proxy {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(app.Close)
	dir, web, stats := servertest.Dir(t, ""), servertest.Port(t), servertest.Port(t)
	file := servertest.Write(t, dir, "haproxy.cfg", fmt.Sprintf(config, dir, web, app.Listener.Addr(), stats, more))
	p := proxy{Server: servertest.Start(t, "", servertest.Need(t, "haproxy"), "-db", "-f", file), socket: dir + "/haproxy.sock",
		web: servertest.Loopback(web), stats: servertest.Loopback(stats)}
	p.Listens("unix", p.socket)
	p.Listens("tcp", p.web)
	servertest.Eventually(t, func() error { // until the check failed it gets requests
		if v := kittest.Value(kittest.Collect(t, Kind(), Settings{Address: p.socket}), "haproxy_server_up", "server", "gone"); v != 0 {
			return fmt.Errorf("gone is %v", v)
		}
		return nil
	})
	return p
}

func get(t testing.TB, url string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func TestFiguresEqualThoseOfBothExporters(t *testing.T) {
	p := start(t, "")
	for i := range 30 {
		get(t, "http://"+p.web+map[bool]string{true: "/broken", false: "/"}[i%10 == 0])
	}
	port := servertest.Port(t)
	servertest.Start(t, "", servertest.Need(t, "prometheus-haproxy-exporter"), "--haproxy.scrape-uri", "unix:"+p.socket, "--web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	servertest.Scrape(t, url)
	own := "http://" + p.stats + "/metrics"
	before, ownBefore := servertest.Scrape(t, url), servertest.Scrape(t, own)
	r := kittest.Collect(t, Kind(), Settings{Address: p.socket})
	ours := servertest.PageOf(r)
	after, ownAfter := servertest.Scrape(t, url), servertest.Scrape(t, own)
	servertest.Oracle{
		Absent: []string{"haproxy_exporter_", "haproxy_up", "go_", "process_", "promhttp_"},
		Least:  100,
	}.Between(t, before, ours, after)
	servertest.Oracle{
		Only: []string{"haproxy_process_"},
		// Levels of what the looks themselves take.
		Moving: map[string]float64{"haproxy_process_pool": 1 << 20,
			"haproxy_process_current": 10, "haproxy_process_max_": 10, "haproxy_process_jobs": 5, "haproxy_process_idle_time_percent": 100},
		Absent: []string{"haproxy_process_build_info", "haproxy_process_nbproc", "haproxy_process_relative", "haproxy_process_max_", "haproxy_process_hard", "haproxy_process_limit",
			"haproxy_process_pipes", "haproxy_process_frontend", "haproxy_process_current_", "haproxy_process_http_comp", "haproxy_process_spliced", "haproxy_process_recv",
			"haproxy_process_unstoppable", "haproxy_process_busy"},
		Least: 25,
	}.Between(t, ownBefore, ours, ownAfter)
	for series, want := range map[string]float64{
		`haproxy_frontend_http_responses_total{code="5xx",frontend="web"}`: 3, `haproxy_server_http_responses_total{backend="app",code="2xx",server="good"}`: 27,
		`haproxy_server_up{backend="app",server="gone"}`: 0, `haproxy_frontend_up{frontend="web"}`: 1, `haproxy_backend_up{backend="app"}`: 1,
	} {
		if ours[series] != want {
			t.Errorf("%s is %v, want %v", series, ours[series], want)
		}
	}
	if r.Dropped != 0 {
		t.Errorf("%d dropped", r.Dropped)
	}
}

func TestPageTellsWhatTheSocketTells(t *testing.T) {
	p := start(t, "stats auth vitals:s3cret-word")
	get(t, "http://"+p.web+"/")
	page := Settings{Address: p.stats, Path: "/stats", Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}}
	socket := func() servertest.Page {
		told := servertest.PageOf(kittest.Collect(t, Kind(), Settings{Address: p.socket}))
		maps.DeleteFunc(told, func(k string, _ float64) bool { return !strings.Contains(k, `frontend="web"`) })
		return told
	}
	before := socket()
	ours := servertest.PageOf(kittest.Collect(t, Kind(), page))
	servertest.Oracle{Least: 10}.Between(t, before, ours, socket())
	for name, login := range map[string]kit.Login{"none": {}, "wrong": {User: "vitals", Password: kit.Plain("wrong-s3cret")}} {
		page.Login = login
		_, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), page))
		if !errors.Is(err, kit.ErrCredentials) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	p := start(t, "")
	c := kittest.Open(t, Kind(), Settings{Address: p.socket})
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if _, err := kittest.Round(t, Kind(), c); err == nil {
		t.Error("a dead server tells something")
	}
	p.Restart()
	p.Listens("unix", p.socket)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted: %v", err)
	}
	servertest.Frozen(t, p.Server, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestProbe(t *testing.T) {
	p := start(t, "")
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: p.socket}); err != nil || !strings.HasPrefix(saw, "HAProxy 2.") {
		t.Errorf("%q, %v", saw, err)
	}
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: p.stats, Path: "/stats"}); err != nil || saw == "" {
		t.Errorf("the page: %q, %v", saw, err)
	}
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: p.web, Path: "/stats"}); !errors.Is(err, kit.ErrNotOffered) {
		t.Errorf("a frontend: %v", err)
	}
	other := servertest.Answer(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: other}); !errors.Is(err, kit.ErrOther) {
		t.Errorf("another server: %v", err)
	}
}

// The kernel tells the name under which a socket was bound.
func TestCandidatesAreWhatTheProcessShows(t *testing.T) {
	p := start(t, "")
	unix, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	bound := ""
	for line := range strings.Lines(string(unix)) {
		if words := strings.Fields(line); strings.HasPrefix(words[len(words)-1], p.socket) {
			bound = words[len(words)-1]
		}
	}
	endpoints := []kit.Endpoint{{Network: "unix", Address: bound}, {Network: "tcp", Address: p.web}, {Network: "tcp", Address: "127.0.0.1:8404"}}
	got := Kind().Candidates(kit.Server{Endpoints: endpoints})
	if len(got) != 3 || got[0].(Settings).Address != "unix:"+p.socket || got[1].(Settings).Path != "/stats" {
		t.Errorf("of %v: %+v", endpoints, got)
	}
}

// A frontend at a socket is not asked, and of many sockets few are.
func TestFrontendsAtSocketsAreLeftAlone(t *testing.T) {
	var endpoints []kit.Endpoint
	for _, name := range []string{"/run/haproxy/web.sock", "/srv/app.12.tmp", "@frontend", "/run/haproxy/admin.sock", "/var/lib/haproxy/stats", "/run/haproxy-master.sock",
		"/run/haproxy.sock.7.tmp", "/run/stats1", "/run/stats2"} {
		endpoints = append(endpoints, kit.Endpoint{Network: "unix", Address: name})
	}
	var got []string
	for _, s := range Kind().Candidates(kit.Server{Endpoints: endpoints}) {
		got = append(got, s.(Settings).Address)
	}
	if want := []string{"unix:/run/haproxy/admin.sock", "unix:/var/lib/haproxy/stats", "unix:/run/haproxy-master.sock", "unix:/run/haproxy.sock"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
