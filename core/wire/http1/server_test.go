package http1

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// counts are what a server has done by its own account.
type counts struct {
	sync.Mutex
	n map[string]int
}

func (c *counts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, route, note := 200, r.URL.Path, ""
	body, _ := io.Copy(io.Discard, r.Body)
	switch {
	case strings.HasPrefix(route, "/users/"):
		route = "/users/{id}"
		fmt.Fprintln(w, strings.Repeat("a user ", 30))
	case route == "/chunked":
		for range 3 {
			io.WriteString(w, strings.Repeat("x", 700))
			w.(http.Flusher).Flush()
		}
	case route == "/events":
		note = " stream"
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	case route == "/upload":
		fmt.Fprintln(w, body)
	case route == "/empty":
		status = 204
		w.WriteHeader(status)
	case route == "/busy":
		status = 503
		http.Error(w, "busy", status)
	default:
		status = 404
		http.NotFound(w, r)
	}
	c.Lock()
	defer c.Unlock()
	c.n[fmt.Sprintf("%s %s %d%s", r.Method, route, status, note)]++
}

func serve(t *testing.T) (*counts, string) {
	t.Helper()
	c := &counts{n: make(map[string]int)}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.Listener.Addr().String()
}

func tally(all []wire.Exchange) map[string]int {
	n := make(map[string]int)
	for line := range strings.Lines(told(all)) {
		n[strings.TrimSpace(line)]++
	}
	return n
}

func equal(t *testing.T, how string, got, want map[string]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) || len(want) == 0 {
		t.Errorf("%s: %v\nthe server says %v", how, got, want)
	}
}

// turns parses what a proxy has seen as the kernel shows it in exchange mode.
func turns(p *wiretest.Proxy) (all []wire.Exchange) {
	for _, rec := range p.Recordings() {
		all = append(all, exchanges(rec, false, "reset").Exchanges...)
	}
	return all
}

func TestCountsAgreeWithTheServer(t *testing.T) {
	c, addr := serve(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	tr := &http.Transport{MaxIdleConnsPerHost: 3}
	t.Cleanup(tr.CloseIdleConnections)
	hc := &http.Client{Transport: tr, Timeout: 30 * time.Second}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := range 20 {
				for _, ask := range []string{"GET /users/7", "HEAD /users/8", "GET /chunked", "POST /upload", "PUT /upload", "GET /empty", "GET /busy", "DELETE /nothing", "GET /events"} {
					verb, path, _ := strings.Cut(ask, " ")
					r, err := http.NewRequest(verb, "http://"+proxy.Addr+path+"?token=hunter2", nil)
					if err != nil {
						t.Error(err)
						return
					}
					switch verb {
					case "POST":
						r, _ = http.NewRequest(verb, "http://"+proxy.Addr+path, strings.NewReader(strings.Repeat("b", 100*i)))
						r.Header.Set("Expect", "100-continue")
					case "PUT": // of unknown length
						r, _ = http.NewRequest(verb, "http://"+proxy.Addr+path, io.LimitReader(zeros{}, int64(50*i)))
					}
					resp, err := hc.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	equal(t, "each transfer", tally(proxy.Exchanges(&Protocol)), c.n)
	// The 64 bytes of an answer that are captured do not tell an event stream.
	want := make(map[string]int)
	for k, n := range c.n {
		want[strings.TrimSuffix(k, " stream")] += n
	}
	got := make(map[string]int)
	for k, n := range tally(turns(proxy)) {
		got[strings.TrimSuffix(k, " stream")] += n
	}
	equal(t, "turns", got, want)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestCountsAgreeWithTheAccessLog(t *testing.T) {
	path := wiretest.Program(t, "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Repeat("x", 3000)), 0o644)
	addr := fmt.Sprintf("127.0.0.1:%d", wiretest.FreePort(t))
	log, conf := filepath.Join(dir, "access.log"), filepath.Join(dir, "nginx.conf")
	os.WriteFile(conf, fmt.Appendf(nil, `daemon off; pid %[1]s/pid; error_log %[1]s/err;
events { worker_connections 256; }
http { log_format v "$request_method $uri $status"; access_log %[3]s v; keepalive_requests 100000;
client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s; root %[1]s; } }`, dir, addr, log), 0o644)
	wiretest.Serve(t, "tcp", addr, path, "-p", dir, "-c", conf)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	url := "http://" + proxy.Addr
	ab := wiretest.Program(t, "ab")
	wiretest.Run(t, ab, "-q", "-k", "-c", "4", "-n", "2000", url+"/page.html")
	wiretest.Run(t, ab, "-q", "-c", "4", "-n", "200", url+"/nothing/1234")
	proxy.Wait()
	// ab has questions under way when it ends, with keep-alive.
	want := wiretest.AccessLog(t, log, max(2200, len(proxy.Exchanges(&Protocol))), "/page.html", "/nothing/1234")
	if n := want["GET /page.html 200"]; n < 2000 || want["GET /nothing/{id} 404"] != 200 {
		t.Errorf("the test is not what it was meant to be: %v", want)
	}
	equal(t, "each transfer", tally(proxy.Exchanges(&Protocol)), want)
	equal(t, "turns", tally(turns(proxy)), want)
}

// pieces are requests that a real server answers in its own way.
func TestRecordings(t *testing.T) {
	_, addr := serve(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	curl := wiretest.Program(t, "curl")
	url := "http://" + proxy.Addr
	wiretest.Run(t, curl, "-s", url+"/users/7?token=hunter2", url+"/events")
	proxy.Save(t, "go-curl")
	for name, rec := range wiretest.LoadAll(t, "testdata") {
		r := wiretest.Check(t, &Protocol, rec)
		if got := told(r.Exchanges); got != "GET /users/{id} 200\nGET /events 200 stream\n" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
