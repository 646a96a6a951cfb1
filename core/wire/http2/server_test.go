package http2

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
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
	n       map[string]int
	hanging map[string]chan struct{}
}

// told gives what was counted until now.
func (c *counts) told() map[string]int {
	c.Lock()
	defer c.Unlock()
	return maps.Clone(c.n)
}

// hangs gives a channel that is closed when the server has the request of that name.
func (c *counts) hangs(name string) chan struct{} {
	c.Lock()
	defer c.Unlock()
	if c.hanging == nil {
		c.hanging = make(map[string]chan struct{})
	}
	if c.hanging[name] == nil {
		c.hanging[name] = make(chan struct{})
	}
	return c.hanging[name]
}

func (c *counts) add(key string) {
	c.Lock()
	defer c.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[key]++
}

// message is a gRPC message of n bytes.
func message(n int) []byte {
	return append([]byte{0, 0, 0, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

// ServeHTTP answers plain requests and calls.
func (c *counts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") == "application/grpc" {
		c.call(w, r)
		return
	}
	body, _ := io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/busy":
		c.add(r.Method + " /busy 503")
		http.Error(w, "busy", 503)
	case "/big":
		c.add(r.Method + " /big 200")
		w.Write(make([]byte, 100_000))
	case "/upload":
		c.add(r.Method + " /upload 200")
		fmt.Fprintln(w, body)
	case "/events":
		c.add(r.Method + " /events 200 stream")
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	case "/hang":
		c.add(r.Method + " /hang 0 cancelled")
		close(c.hangs(r.URL.RawQuery))
		<-r.Context().Done()
	default:
		c.add(r.Method + " /users/{id} 200")
		fmt.Fprintln(w, strings.Repeat("user", 20))
	}
}

func (c *counts) call(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	key := "grpc " + r.URL.Path
	switch r.URL.Path {
	case "/shop.v1beta1.Cart/Missing": // trailers only
		w.Header().Del("Trailer")
		w.Header().Set("Grpc-Status", "5")
		key += " NOT_FOUND"
	case "/shop.v1beta1.Cart/Watch":
		for range 4 {
			w.Write(message(300))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		key += " OK stream"
	default:
		w.Write(message(20))
		w.Header().Set("Grpc-Status", "0")
		key += " OK"
	}
	c.add(key)
}

// serve runs a server of net/http that speaks HTTP/2 in plain text.
func serve(t testing.TB) (*counts, string) {
	t.Helper()
	c := new(counts)
	s := httptest.NewUnstartedServer(c)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return c, s.Listener.Addr().String()
}

// client speaks HTTP/2 only, until the end of the test.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func ask(t testing.TB, hc *http.Client, verb, url, kind string, body []byte) {
	t.Helper()
	r, err := http.NewRequest(verb, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Te", "trailers")
	}
	resp, err := hc.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// mix asks n times for everything, under a name of its own.
func mix(t testing.TB, c *counts, hc *http.Client, url, name string, n int) {
	for i := range n {
		ask(t, hc, "GET", url+"/users/"+strconv.Itoa(i)+"?token=hunter2", "", nil)
		ask(t, hc, "HEAD", url+"/users/1", "", nil)
		ask(t, hc, "GET", url+"/busy", "", nil)
		ask(t, hc, "POST", url+"/upload", "", make([]byte, 700*i))
		ask(t, hc, "GET", url+"/events", "", nil)
		ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Add", "application/grpc", message(10))
		ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Missing", "application/grpc", message(10))
		ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Watch", "application/grpc", message(10))
		if i%3 == 0 {
			ask(t, hc, "GET", url+"/big", "", nil)
			hang(c, hc, url, fmt.Sprint(name, i))
		}
	}
}

// hang gives a request up when the server has it.
func hang(c *counts, hc *http.Client, url, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", url+"/hang?"+name, nil)
	go func() {
		select {
		case <-c.hangs(name):
			cancel()
		case <-ctx.Done():
		}
	}()
	hc.Do(r)
}

// tally counts exchanges as counts does.
func tally(all []wire.Exchange) map[string]int {
	n := make(map[string]int)
	for i := range all {
		x := &all[i]
		key := fmt.Sprintf("%s %s %d", x.Method, x.Target, x.Status)
		if x.Protocol == grpcName {
			key = fmt.Sprintf("%s %s %s", x.Protocol, x.Target, x.Code)
		}
		if x.Error != "" {
			key += " " + x.Error
		}
		if x.Stream {
			key += " stream"
		}
		n[key]++
	}
	return n
}

func equal(t *testing.T, got, want map[string]int) {
	t.Helper()
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %d, the server says %d", k, got[k], n)
		}
	}
	for k, n := range got {
		if want[k] == 0 {
			t.Errorf("%s: %d, the server knows of none", k, n)
		}
	}
}

func TestCountsAgreeWithTheServer(t *testing.T) {
	c, addr := serve(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	var wg sync.WaitGroup
	hc := client(t) // one connection, three at a time
	for worker := range 3 {
		wg.Go(func() { mix(t, c, hc, "http://"+proxy.Addr, fmt.Sprint("w", worker, "-"), 6) })
	}
	wg.Wait()
	// That a request was given up is on its way when the client has done with it.
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && !maps.Equal(tally(proxy.Exchanges(&Protocol)), c.told()); {
		time.Sleep(5 * time.Millisecond)
	}
	equal(t, tally(proxy.Exchanges(&Protocol)), c.told())
	for _, rec := range proxy.Recordings() {
		r := wiretest.Feed(&Protocol, rec.Spans(), false, "")
		if r.Unpaired+int(r.Skipped) != 0 || r.Wrong {
			t.Errorf("unpaired %d, skipped %d, wrong %v", r.Unpaired, r.Skipped, r.Wrong)
		}
	}
}

// Clients of all kinds are understood; the recordings of the other tests were
// made here.
func TestClients(t *testing.T) {
	_, addr := serve(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	hc := client(t)
	url := "http://" + proxy.Addr
	ask(t, hc, "GET", url+"/users/7?token=hunter2", "", nil)
	ask(t, hc, "GET", url+"/events", "", nil)
	ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Add", "application/grpc", message(10))
	ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Missing", "application/grpc", message(10))
	ask(t, hc, "POST", url+"/shop.v1beta1.Cart/Watch", "application/grpc", message(10))
	ask(t, hc, "GET", url+"/busy", "", nil)
	proxy.Save(t, "go")
	all := proxy.Exchanges(&Protocol)

	nginx, _ := startNginx(t)
	proxy = wiretest.NewProxy(t, "tcp", nginx)
	wiretest.Run(t, wiretest.Program(t, "curl"), "-s", "--http2-prior-knowledge", "http://"+proxy.Addr+"/nothing/1234")
	proxy.Save(t, "nginx-curl")
	all = append(all, proxy.Exchanges(&Protocol)...)
	proxy = wiretest.NewProxy(t, "tcp", nginx)
	wiretest.Run(t, wiretest.Program(t, "nghttp"), "-n", "http://"+proxy.Addr+"/page.html", "http://"+proxy.Addr+"/nothing")
	proxy.Save(t, "nginx-nghttp")
	if all = append(all, proxy.Exchanges(&Protocol)...); len(all) != 9 {
		t.Errorf("%d exchanges of 9: %v", len(all), tally(all))
	}
}

// startNginx serves a page over HTTP/2 and gives its address and its access log.
func startNginx(t *testing.T) (addr, log string) {
	t.Helper()
	path := wiretest.Program(t, "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	for d := dir; d != "/" && strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Repeat("x", 3000)), 0o644)
	addr = "127.0.0.1:" + strconv.Itoa(wiretest.FreePort(t))
	log = filepath.Join(dir, "access.log")
	conf := filepath.Join(dir, "nginx.conf")
	os.WriteFile(conf, fmt.Appendf(nil, `daemon off; pid %[1]s/pid; error_log %[1]s/err;
events { worker_connections 256; }
http { log_format v "$request_method $uri $status"; access_log %[3]s v; keepalive_requests 100000;
client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s http2; root %[1]s; } }`, dir, addr, log), 0o644)
	wiretest.Serve(t, "tcp", addr, path, "-p", dir, "-c", conf)
	return addr, log
}

// h2load and nginx have encoders of their own.
func TestCountsAgreeWithTheAccessLog(t *testing.T) {
	addr, log := startNginx(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	h2load := wiretest.Program(t, "h2load")
	url := "http://" + proxy.Addr
	wiretest.Run(t, h2load, "-c", "3", "-m", "20", "-n", "3000", url+"/page.html", url+"/nothing/1234")
	proxy.Wait()
	want := wiretest.AccessLog(t, log, 3000, "/page.html", "/nothing/1234")
	if len(want) != 2 {
		t.Fatalf("the log has %v", want)
	}
	equal(t, tally(proxy.Exchanges(&Protocol)), want)
}
