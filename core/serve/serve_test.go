package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

func TestC19_BindErrorIsReturnedAndTeaches(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen(l.Addr().String())
	var remedied *core.Remedied
	if !errors.As(err, &remedied) || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), l.Addr().String()) || remedied.Remedy == "" {
		t.Errorf("%v", err)
	}
	if _, err := Listen("192.0.2.1:9435"); !errors.As(err, &remedied) || !strings.Contains(err.Error(), "does not have the address") {
		t.Errorf("%v", err)
	}
	if _, err := Listen("127.0.0.1:http-nope"); err == nil {
		t.Error("a port that is none")
	}
}

func TestC19_PortAloneIsLoopbackAndOtherAddressesAreWarnedOf(t *testing.T) {
	l, err := Listen("0") // any free port
	if err != nil {
		t.Fatal(err)
	}
	if !loopback(l.Addr()) {
		t.Errorf("%v", l.Addr())
	}
	l.Close()
	for address, warned := range map[string]bool{"127.0.0.1:0": false, "[::1]:0": false, ":0": true} {
		var log bytes.Buffer
		lab := newLab()
		s := lab.server(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		l, err := Listen(address)
		if err != nil {
			t.Logf("%s: %v", address, err) // no IPv6 here
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(log.String(), "whoever reaches this address"); got != warned {
			t.Errorf("%s: warned %v: %s", address, got, &log)
		}
	}
}

// What others register with net/http's own mux is not served.
func TestC19_OwnMux(t *testing.T) {
	path := fmt.Sprint("/debug/leak", time.Now().UnixNano()) // there is one mux for all runs of this test
	http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "leaked") })
	l := newLab()
	l.set(nil)
	address, _ := listen(t, l.server(t))
	r, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 404 {
		t.Error(r.StatusCode)
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	l := newLab()
	l.set(nil)
	address, _ := listen(t, l.server(t))
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		r, _ := http.NewRequest(method, "http://"+address+"/metrics", strings.NewReader("x"))
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	a, err := http.Head("http://" + address + "/metrics")
	if err != nil || a.StatusCode != 200 || a.Header.Get("Content-Length") == "" && a.Header.Get("Content-Encoding") == "" {
		t.Errorf("HEAD: %v %v", a, err)
	}
}

// A name that somebody else made point to 127.0.0.1 must not open this server
// to that name's web pages.
func TestForeignNamesAreRefusedOnLoopback(t *testing.T) {
	l := newLab()
	l.set(nil)
	address, _ := listen(t, l.server(t))
	for host, code := range map[string]int{"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1": 200, "localhost:1": 200, "LOCALHOST": 200,
		"here": 200, "[::1]:7": 200, "x.localhost.": 200} {
		r, _ := http.NewRequest("GET", "http://"+address+"/-/healthy", nil)
		r.Host = host
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != code {
			t.Errorf("%s: %d", host, a.StatusCode)
		}
	}
}

func TestHugeHeadersAndBodiesAreRefused(t *testing.T) {
	l := newLab()
	var read error
	l.add("test", "one", &unit{handler: func() (http.Handler, error) {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, read = io.Copy(io.Discard, r.Body) }), nil
	}})
	address, _ := listen(t, l.server(t))
	if a := raw(t, address, "GET /metrics HTTP/1.1\nHost: 127.0.0.1\nX: "+strings.Repeat("x", 64<<10)+"\n\n"); !strings.HasPrefix(a, "HTTP/1.1 431") {
		t.Errorf("%.60q", a)
	}
	a, err := http.Post("http://"+address+Prefix("test", "one"), "text/plain", strings.NewReader(strings.Repeat("x", 2<<20)))
	if err == nil {
		a.Body.Close()
	}
	var tooLarge *http.MaxBytesError
	if !errors.As(read, &tooLarge) {
		t.Errorf("the body: %v, %v", read, err)
	}
	for _, garbage := range []string{"\x16\x03\x01\x00", "GET / HTTP/9\n\n", "GET /%zz HTTP/1.1\nHost: a\n\n", "\n\n\n"} {
		if a := raw(t, address, garbage+"\n"); a != "" && !strings.HasPrefix(a, "HTTP/1.1 4") && !strings.HasPrefix(a, "HTTP/1.1 505") {
			t.Errorf("%q: %.60q", garbage, a)
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	l := newLab()
	l.add("test", "one", &unit{handler: func() (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}), nil
	}})
	address, _ := listen(t, l.server(t, func(c *Config) {
		c.Limits = Limits{Read: 300 * time.Millisecond, Write: 300 * time.Millisecond, Idle: 300 * time.Millisecond}
	}))
	for name, request := range map[string]string{
		"a header that never ends":    "GET / HTTP/1.1\r\nHost: a\r\n",
		"an answer that nobody reads": "GET " + Prefix("test", "one") + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"a connection that is idle":   "GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, request)
		if strings.HasPrefix(name, "an answer") {
			time.Sleep(time.Second)
		}
		began := time.Now()
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still open after %v", name, time.Since(began))
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := newLab()
	l.set(nil)
	address, _ := listen(t, l.server(t, func(c *Config) { c.Limits.Connections = 2 }))
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return c
	}
	answered := func(c net.Conn, limit time.Duration) bool {
		c.SetReadDeadline(time.Now().Add(limit))
		_, err := bufio.NewReader(c).ReadByte()
		return err == nil
	}
	first, second := dial(), dial()
	if !answered(first, 30*time.Second) || !answered(second, 30*time.Second) {
		t.Fatal("two are not answered")
	}
	third := dial()
	if answered(third, 200*time.Millisecond) {
		t.Error("a third is answered while two are open")
	}
	first.Close()
	if !answered(third, 30*time.Second) {
		t.Error("the third waits for ever")
	}
}

func TestPagesPutTogetherAtOneTimeAreBounded(t *testing.T) {
	l := newLab()
	l.set(nil)
	s := l.server(t, func(c *Config) { c.Limits.Renders, c.Limits.Wait = 1, 50*time.Millisecond })
	s.renders <- struct{}{}
	if w := get(t, s, "/metrics"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
	<-s.renders
	if w := get(t, s, "/metrics"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestServingLeavesNothingBehind(t *testing.T) {
	fds := func() int { list, _ := os.ReadDir("/proc/self/fd"); return len(list) }
	client := &http.Client{Transport: &http.Transport{}}
	before, open := runtime.NumGoroutine(), fds()
	for range 5 {
		l := newLab()
		l.add("test", "one", &unit{})
		address, stop := listen(t, l.server(t))
		for _, path := range []string{"/metrics", "/health", "/sd", "/"} {
			r, err := client.Get("http://" + address + path)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		if c, err := net.Dial("tcp", address); err == nil { // says nothing
			defer c.Close()
		}
		client.CloseIdleConnections()
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	var now, have int
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		// Five connections are of the test itself.
		if now, have = runtime.NumGoroutine(), fds(); now <= before && have <= open+6 {
			return
		}
	}
	b := make([]byte, 1<<16)
	t.Errorf("%d goroutines, there were %d; %d descriptors, there were %d\n%s", now, before, have, open, b[:runtime.Stack(b, true)])
}

func TestRequestsThatRunAreFinished(t *testing.T) {
	l := newLab()
	began := make(chan struct{})
	l.add("test", "one", &unit{handler: func() (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			time.Sleep(200 * time.Millisecond)
			fmt.Fprint(w, "done")
		}), nil
	}})
	address, stop := listen(t, l.server(t))
	got := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + address + Prefix("test", "one"))
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}()
	<-began
	if err := stop(); err != nil {
		t.Error(err)
	}
	if s := <-got; s != "done" {
		t.Error(s)
	}
}

// webConfig writes a web configuration with a certificate of its own.
func webConfig(t *testing.T, text string) (file string, pool *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vitals"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(dir, "web.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return file, pool
}

func TestTLSAndUsers(t *testing.T) {
	// htpasswd -nbB -C 4 alice test: cheap, for a test.
	file, pool := webConfig(t, `tls_server_config: {cert_file: cert.pem, key_file: key.pem}
basic_auth_users: {alice: "$2y$04$.NIGBSKl9osZ8hHa0VNfzOvAU1i6EtkR0djdTHiFUO4h2NQW3Xwbu"}
`)
	l := newLab()
	l.add("redis", "r", scraped(core.Target{}))
	address, _ := listen(t, l.server(t, func(c *Config) { c.WebConfig = file }))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		user, password string
		code           int
	}{{"", "", 401}, {"alice", "wrong", 401}, {"bob", "test", 401}, {"alice", "test", 200}} {
		r, _ := http.NewRequest("GET", "https://"+address+"/sd", nil)
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if a.StatusCode != c.code || c.code == 200 && !strings.Contains(string(b), `"__scheme__":"https"`) {
			t.Errorf("%s %s: %d %s", c.user, c.password, a.StatusCode, b)
		}
	}
	if a := raw(t, address, "GET /metrics HTTP/1.0\n\n"); !strings.HasPrefix(a, "HTTP/1.0 400") {
		t.Errorf("without TLS: %.60q", a)
	}
}

func TestWrongWebConfigurationIsAnErrorAtStart(t *testing.T) {
	for name, text := range map[string]string{"unknown key": "tls: 1\n", "no certificate": "tls_server_config: {cert_file: none.pem, key_file: none.pem}\n",
		"no hash": "basic_auth_users: {alice: test}\n", "no user": "basic_auth_users: hunter2\n"} {
		file, _ := webConfig(t, text)
		if _, err := New(Config{Source: newLab(), WebConfig: file}); err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Source: newLab(), WebConfig: "/nowhere/web.yml"}); err == nil {
		t.Error("a file that is not there")
	}
}
