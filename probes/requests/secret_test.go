package requests

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern"
)

// serveTLS is the helper process that answers HTTPS with Go's own library.
func serveTLS(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	dir := os.Getenv("VITALS_TEST_CERT")
	go http.ServeTLS(l, http.HandlerFunc(answer), dir+"/cert.pem", dir+"/key.pem")
	io.Copy(io.Discard, os.Stdin)
}

// certificate makes a key pair for 127.0.0.1 and returns its folder.
func certificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vitals test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// attachTLS starts the probe of TLS libraries, observing everybody.
func attachTLS(t testing.TB, s *sink, news *kern.Newcomers, shared *kern.Shared) *secrets {
	t.Helper()
	return attachTLSWith(t, kern.Env{Sink: s, RequestsRing: roomy, Newcomers: news, Shared: shared})
}

func attachTLSWith(t testing.TB, env kern.Env) *secrets {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	env.Log = quiet()
	unit, err := SpecTLS(env).Make()
	if err != nil {
		t.Fatal(err)
	}
	u := unit.(*secrets)
	parts, err := u.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range parts {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- u.Serve(ctx, func() { close(ready) }) }()
	<-ready
	if err := u.Select(core.Selection{Default: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := u.Detach(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return u
}

// probes reports whether the program of a process is probed.
func (s *secrets) probes(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		for u := range f.users {
			if int(u.PID) == pid && f.links != nil {
				return true
			}
		}
	}
	return false
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// A Go server over TLS: HTTP/1 and HTTP/2, every request with route and status.
func TestGoServerOverTLS(t *testing.T) {
	dir := certificate(t)
	t.Setenv("VITALS_TEST_CERT", dir)
	server, addr := start(t, "serve-tls", "127.0.0.1:0")
	s := newSink()
	u := attachTLS(t, s, nil, nil)
	eventually(t, "the server is probed", func() bool { return u.probes(server.Process.Pid) })
	for _, http2 := range []bool{false, true} {
		before := s.of(server.key)
		fetchTLS(t, addr, http2, 400)
		got := func() map[string]uint64 {
			got := s.of(server.key)
			for k, n := range before {
				if got[k] -= n; got[k] == 0 {
					delete(got, k)
				}
			}
			// Go's client may close a stream that it has read to its length before it
			// sees the frame that ends it: that is a cancel, of a request that counts.
			for k, n := range got {
				if whole, ok := strings.CutSuffix(k, " cancelled"); ok && http2 {
					got[whole] += n
					delete(got, k)
				}
			}
			return got
		}
		want := map[string]uint64{"server GET /users/{id} 200": 200, "server GET /busy 503": 100, "server GET /nope 404": 100}
		settle()
		wait(func() bool { return maps.Equal(got(), want) })
		same(t, fmt.Sprintf("http2 %v", http2), got(), want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if !r.TLS || r.Duration <= 0 || r.Duration > time.Minute {
			t.Fatalf("TLS %v, duration %v", r.TLS, r.Duration)
		}
	}
}

// fetchTLS asks for three routes over and over, from four connections or one.
func fetchTLS(t testing.TB, addr string, http2 bool, n int) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: http2, MaxIdleConnsPerHost: 8}
	if !http2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	paths := []string{"/users/7", "/busy", "/users/abc123def456", "/nope"}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				path := paths[i%len(paths)]
				if i%len(paths) == 2 {
					path = fmt.Sprintf("/users/%d", i)
				}
				resp, err := client.Get("https://" + addr + path)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if want := map[bool]int{true: 2, false: 1}[http2]; resp.ProtoMajor != want {
					t.Errorf("HTTP/%d", resp.ProtoMajor)
				}
			}
		})
	}
	wg.Wait()
}

// OpenSSL as a server in Python and as a client in curl, which begins and ends
// while it is watched.
func TestOpenSSLServersAndClients(t *testing.T) {
	for _, tool := range []string{"python3", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed", tool)
		}
	}
	dir := certificate(t)
	s := newSink()
	news, shared := &kern.Newcomers{}, &kern.Shared{}
	attachTLS(t, s, news, shared)
	code := `
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200 if self.path.startswith("/users") else 404)
        self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(b"ok\n")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1]+"/cert.pem", sys.argv[1]+"/key.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_address[1], flush=True)
s.serve_forever()
`
	py := exec.Command("python3", "-c", code, dir)
	out, _ := py.StdoutPipe()
	if err := py.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { py.Process.Kill(); py.Wait() })
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	news.Came(&core.Process{ProcKey: keyOf(t, py.Process.Pid)})
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	if msg, err := exec.Command("curl", "-sk", url+"/users/[1-50]", url+"/nope").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	s.expect(t, "python", keyOf(t, py.Process.Pid), map[string]uint64{"server GET /users/{id} 200": 50, "server GET /nope 404": 1})
	client := func() map[string]uint64 {
		client := map[string]uint64{}
		for _, r := range s.all() {
			if r.Peer == fmt.Sprintf("127.0.0.1:%d", port) {
				client[fmt.Sprintf("%s %s %s %d", r.Role, r.Method, r.Route, r.Status)]++
			}
		}
		return client
	}
	want := map[string]uint64{"client GET /users/{id} 200": 50, "client GET /nope 404": 1}
	wait(func() bool { return maps.Equal(client(), want) })
	same(t, "curl", client(), want)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// With the requests probe beside it, a TLS connection has its socket: both ends
// of one on this machine know each other.
func TestTLSConnectionsHaveTheirSockets(t *testing.T) {
	dir := certificate(t)
	s := newSink()
	shared := &kern.Shared{}
	attachTLS(t, s, nil, shared)
	outside := newSink()
	plain, err := Spec(kern.Env{Sink: outside, RequestsRing: roomy, Log: quiet(), Shared: shared}).Make()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- plain.Serve(ctx, func() {}) }()
	defer func() { cancel(); <-done; plain.Detach(context.Background()) }()
	if err := plain.(core.Selective).Select(core.Selection{Default: true}); err != nil {
		t.Fatal(err)
	}
	port, nginx := startSecretNginx(t, dir)
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	for range 3 {
		if msg, err := exec.Command("curl", "-sk", "--http1.1", url+"/users/[1-20]").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
	}
	settle()
	server, client := func(r core.Request) bool { return r.Role == core.RoleServer && int(r.Proc.PID) == nginx },
		func(r core.Request) bool {
			return r.Role == core.RoleClient && r.Peer == fmt.Sprintf("127.0.0.1:%d", port)
		}
	wait(func() bool { return s.number(server) >= 60 && s.number(client) >= 60 })
	alone := s.number(func(r core.Request) bool {
		if client(r) && r.PeerProc.PID != 0 && int(r.PeerProc.PID) != nginx {
			t.Errorf("a client's peer is %v, want %d (%+v)", r.PeerProc, nginx, r)
		}
		return client(r) && r.PeerProc.PID == 0
	})
	outside.mu.Lock()
	defer outside.mu.Unlock()
	for _, r := range outside.seen {
		if r.Protocol == core.ProtoTLS && int(r.Proc.PID) == nginx {
			t.Errorf("counted as unreadable, too: %+v", r)
		}
	}
	// The first request of a connection may come before the other end is known.
	if served, asked := s.number(server), s.number(client); served != 60 || asked != 60 || alone > 3 {
		t.Errorf("served %d, asked %d, want 60 each; %d without a peer, want 3 at most", served, asked, alone)
	}
}

// startSecretNginx starts one worker that answers HTTPS, and gives its port and pid.
func startSecretNginx(t testing.TB, dir string) (port, worker int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr error; events {}
http { access_log %[1]s/access.log; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
 keepalive_requests 100000;
 server { listen 127.0.0.1:%[2]d ssl http2; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
 location /users { return 200 "ok\n"; } location / { return 404; } } }`, dir, port)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port, cmd.Process.Pid
}
