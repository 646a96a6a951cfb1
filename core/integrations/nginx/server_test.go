package nginx

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

const config = `worker_processes 2; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
	access_log %[1]s/access.log; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen 127.0.0.1:%[2]d; %[3]s location / { return 200 "hello"; } }
}`

const status = `location = /stub_status { stub_status; }`

// start runs an nginx whose server block holds locations.
func start(t testing.TB, locations string) (s *servertest.Server, address, dir string) {
	t.Helper()
	port := servertest.Port(t)
	dir = servertest.Dir(t, "")
	file := servertest.Write(t, dir, "nginx.conf", fmt.Sprintf(config, dir, port, locations))
	s = servertest.Start(t, "", servertest.Need(t, "nginx"), "-e", dir+"/error.log", "-c", file)
	return s.Listens("tcp", servertest.Loopback(port)), servertest.Loopback(port), dir
}

func TestFiguresEqualThoseOfTheExporterAndTheLog(t *testing.T) {
	_, address, dir := start(t, status)
	for range 30 {
		resp, err := http.Get("http://" + address + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	port := servertest.Port(t)
	servertest.Start(t, "", servertest.Need(t, "prometheus-nginx-exporter"), "-nginx.scrape-uri", "http://"+address+"/stub_status", "-web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	before := servertest.Scrape(t, url)
	ours := servertest.PageOf(kittest.Collect(t, Kind(), Settings{Address: address}))
	requests := lines(t, dir+"/access.log", ours["nginx_http_requests_total"])
	after := servertest.Scrape(t, url)
	servertest.Oracle{
		// Each look is a connection and a request itself.
		Moving: map[string]float64{"nginx_connections_": 2, "nginx_connections_accepted": 0, "nginx_connections_handled": 0},
		Absent: []string{"nginx_up", "nginxexporter_", "go_", "process_", "promhttp_"},
		Least:  7,
	}.Between(t, before, ours, after)
	if ours["nginx_http_requests_total"] != requests {
		t.Errorf("%v requests, %v lines in the log", ours["nginx_http_requests_total"], requests)
	}
}

// lines are those of a log once there are so many: a request is counted before it
// is logged, which comes after its answer.
func lines(t testing.TB, path string, want float64) (n float64) {
	t.Helper()
	servertest.Eventually(t, func() error {
		log, err := os.ReadFile(path)
		if n = float64(strings.Count(string(log), "\n")); err == nil && n < want {
			err = fmt.Errorf("%v lines in the log, want %v", n, want)
		}
		return err
	})
	return n
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	s, address, dir := start(t, status)
	c := kittest.Open(t, Kind(), Settings{Address: address})
	accepted := func() error {
		r, err := kittest.Round(t, Kind(), c)
		if n := kittest.Value(r, "nginx_connections_accepted"); err == nil && n != 2 {
			err = fmt.Errorf("%v connections, want one of the test and one of ours", n)
		}
		return err
	}
	servertest.Eventually(t, accepted) // each worker counts in its own time
	for range 3 {
		if err := accepted(); err != nil {
			t.Error(err)
		}
	}
	s.Kill()
	if _, err := kittest.Round(t, Kind(), c); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("killed: %v", err)
	}
	s.Restart()
	s.Listens("tcp", address)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted: %v", err)
	}
	s.Restart()
	s.Listens("tcp", address)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted between two rounds: %v", err)
	}
	servertest.Frozen(t, s, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
	log, err := os.ReadFile(dir + "/error.log")
	if err != nil || strings.Contains(string(log), "[error]") {
		t.Errorf("the server's log of errors: %s %v", log, err)
	}
}

func TestProbeFindsThePage(t *testing.T) {
	for path, locations := range map[string]string{"/stub_status": status, "/basic_status": "location /basic_status { stub_status; }"} {
		_, address, _ := start(t, locations)
		found, saw, err := kittest.Probe(t, Kind(), Settings{Address: address})
		if err != nil || found.(Settings).Path != path || !strings.HasPrefix(saw, "nginx/") {
			t.Errorf("%s: %+v, %q, %v", path, found, saw, err)
		}
	}
	_, address, _ := start(t, "")
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: address}); !errors.Is(err, kit.ErrNotOffered) || !strings.Contains(err.Error(), "stub_status;") {
		t.Errorf("without the page: %v", err)
	}
	other := servertest.Answer(t, "HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: other}); !errors.Is(err, kit.ErrOther) {
		t.Errorf("another server: %v", err)
	}
}

func TestLoginAndRights(t *testing.T) {
	dir := servertest.Dir(t, "")
	servertest.Write(t, dir, "users", "vitals:{PLAIN}s3cret-word\n")
	_, address, _ := start(t, `location = /stub_status { stub_status; auth_basic x; auth_basic_user_file `+dir+`/users; } location = /denied { stub_status; deny all; }`)
	for name, c := range map[string]struct {
		s    Settings
		want error
	}{
		"none":   {Settings{}, kit.ErrCredentials},
		"wrong":  {Settings{Login: kit.Login{User: "vitals", Password: kit.Plain("wrong-s3cret")}}, kit.ErrCredentials},
		"right":  {Settings{Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}}, nil},
		"denied": {Settings{Path: "/denied"}, kit.ErrRights},
		"page":   {Settings{Path: "/"}, kit.ErrNotOffered},
	} {
		c.s.Address = address
		_, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), c.s))
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndlessAndBrokenPages(t *testing.T) {
	for name, answer := range map[string]string{
		"endless": "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n" + strings.Repeat("x", maxPage+1),
		"garbage": "\x00\x01\x02",
		"cut":     "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 1000\r\n\r\nActive",
		"header":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20),
	} {
		address := servertest.Answer(t, answer)
		_, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: address}))
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
