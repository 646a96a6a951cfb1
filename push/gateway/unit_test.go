package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/porttest"
)

// told collects what a unit reports.
type told struct {
	mu     sync.Mutex
	row    core.GatewayRow
	rows   int
	gone   int
	events []core.Event
}

func (r *told) config(c UnitConfig) UnitConfig {
	c.Report = func(row core.GatewayRow) { r.mu.Lock(); r.row = row; r.rows++; r.mu.Unlock() }
	c.Gone = func() { r.mu.Lock(); r.gone++; r.mu.Unlock() }
	c.Event = func(e core.Event) { r.mu.Lock(); r.events = append(r.events, e); r.mu.Unlock() }
	return c
}

func (r *told) newest() core.GatewayRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.row
}

func attach(t *testing.T, c UnitConfig) (u *unit, detach func()) {
	t.Helper()
	spec, err := NewSpec(c)
	if err != nil {
		t.Fatal(err)
	}
	made, err := spec.Make()
	if err != nil {
		t.Fatal(err)
	}
	u = made.(*unit)
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- u.Serve(context.Background(), func() {}) }()
	detach = sync.OnceFunc(func() {
		client.CloseIdleConnections()
		if err := u.Detach(context.Background()); err != nil {
			t.Errorf("Detach: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(detach)
	return u, detach
}

// The embedded gateway tells its groups, deletes one when asked, and is another
// one's successor on the same address and directory.
func TestEmbeddedGateway(t *testing.T) {
	dir, deletes := t.TempDir(), make(chan string, 1)
	var r told
	c := r.config(UnitConfig{Listen: "127.0.0.1:0", Dir: dir, Delete: deletes})
	u, detach := attach(t, c)
	s := &server{t: t, name: "embedded", url: "http://" + u.listener.Addr().String()}
	s.want(200, "PUT", "/metrics/job/one", "a 1\nb{x=\"y\"} 2\n")
	s.want(200, "PUT", "/metrics/job/two/zone/z", "c 3\n", "X-Push-TTL", "1h")
	s.want(400, "PUT", "/metrics/job/two/zone/z", "# TYPE a counter\na 3\n")
	var row core.GatewayRow
	eventually(t, "the groups are told", func() bool { row = r.newest(); return row.Groups == 2 && row.Refused == 1 })
	if row.Unit != "gateway/gateway" || row.Address != u.listener.Addr().String() || row.Store != dir || row.Pushes != 2 || row.Series != 3 || row.Bytes == 0 || row.StoreError != "" {
		t.Errorf("%+v", row)
	}
	mustContain(t, row.LastError, "a is a counter")
	two, one := row.Listed[0], row.Listed[1]
	if two.Labels != `{job="two",zone="z"}` || two.Series != 1 || two.Families != 1 || two.Failed.IsZero() || time.Until(two.Expires) < 50*time.Minute || two.LastError == "" {
		t.Errorf("%+v", two)
	}
	if one.Labels != `{job="one"}` || one.Series != 2 || !one.Expires.IsZero() || !one.Failed.IsZero() || one.Bytes == 0 {
		t.Errorf("%+v", one)
	}
	deletes <- one.ID
	eventually(t, "the group is gone", func() bool { return r.newest().Groups == 1 })
	deletes <- one.ID
	eventually(t, "both are told", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.events) == 2 })
	mustContain(t, r.events[0].Reason, `{job="one"} was deleted`)
	mustContain(t, r.events[1].Error, "gone already")

	if f, err := u.CheckHealth(t.Context(), core.CheckRequest{}); err != nil || f.Status != core.StatusOK || f.Details["groups"] != 1 {
		t.Errorf("%v %+v", err, f)
	}
	c.Listen = u.listener.Addr().String()
	second := newUnit(c)
	if _, err := second.Attach(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a second one on the address: %v", err)
	}
	detach()
	if r.gone != 1 {
		t.Errorf("its end was told %d times", r.gone)
	}
	if _, err := u.CheckHealth(t.Context(), core.CheckRequest{}); err == nil {
		t.Error("a gateway that ended is healthy")
	}
	third, _ := attach(t, c)
	s.url = "http://" + third.listener.Addr().String()
	if got := s.series(); got[`c{instance="",job="two",zone="z"}`] != 3 {
		t.Errorf("the successor has %v", got)
	}
}

func TestEmbeddedGatewayLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	u := newUnit(UnitConfig{Listen: "127.0.0.1:0", Dir: dir})
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // never served
		if err := u.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Serve(t.Context(), func() { t.Error("served after Detach") }); err != nil {
		t.Error(err)
	}
	if l, err := net.Listen("tcp", u.listener.Addr().String()); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
	d, err := OpenDisk(dir, nil, nil)
	if err != nil {
		t.Fatal("the directory is still locked:", err)
	}
	defer d.Close()
	// A directory that is taken: the address is given free again.
	u = newUnit(UnitConfig{Listen: porttest.Free(t), Dir: dir})
	if _, err := u.Attach(t.Context()); err == nil {
		t.Fatal("two gateways in one directory")
	}
	if l, err := net.Listen("tcp", u.Listen); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
	for _, c := range []UnitConfig{{Listen: "9091"}, {Listen: "127.0.0.1:0", Config: Config{WebConfig: "/nonexistent"}}} {
		if _, err := NewSpec(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestReportsAreBounded(t *testing.T) {
	s := start(t, Config{})
	for i := range core.MaxGatewayGroups + 20 {
		s.want(200, "PUT", "/metrics/job/j"+strings.Repeat("x", i), "a{n=\""+strings.Repeat("y", i)+"\"} 1\n")
	}
	row := s.gw.Row()
	if row.Groups != core.MaxGatewayGroups+20 || len(row.Listed) != core.MaxGatewayGroups {
		t.Fatalf("%d groups, %d listed", row.Groups, len(row.Listed))
	}
	for i := 1; i < len(row.Listed); i++ {
		if row.Listed[i].Pushed.After(row.Listed[i-1].Pushed) {
			t.Fatal("not the newest first")
		}
	}
	if !strings.Contains(row.Listed[0].Labels, "xxxx") {
		t.Errorf("the newest is %s", row.Listed[0].Labels)
	}
}

// TLS and users as Prometheus' exporters have them, read again when they change.
func TestWebConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/web.yml"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// "test", by htpasswd -bnBC 4
	const users = "basic_auth_users: {me: $2y$04$7/pDQxOSOKb9JvqaIImw4u0f7PHZh8bhJVI4GbsU5mGCwtMQdVfH.}\n"
	write(users)
	s := start(t, Config{WebConfig: file})
	s.want(401, "PUT", "/metrics/job/j", "a 1\n")
	s.want(401, "GET", "/metrics", nil)
	req, _ := http.NewRequest("PUT", s.url+"/metrics/job/j", strings.NewReader("a 1\n"))
	req.SetBasicAuth("me", "wrong")
	if resp, err := client.Do(req); err != nil || resp.StatusCode != 401 {
		t.Errorf("%v %v", err, resp)
	}
	write("basic_auth_users: {}\n")
	s.want(200, "PUT", "/metrics/job/j", "a 1\n")
	write("basic_auth_users: [")
	if r := s.do("PUT", "/metrics/job/j", "a 1\n"); r.code < 500 {
		t.Errorf("a broken configuration lets in: %d", r.code)
	}
	write("basic_auth_users: {}\n")
	s.stop()

	for _, bad := range []string{"tls_server_config: {cert_file: a.pem}\n", "users: {}\n", "tls_server_config: {key: `hunter2`}\n"} {
		write(bad)
		g, err := New(Config{WebConfig: file})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), file) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

// With TLS: no certificate of ours, no push; a body that stalls is cut off here too.
func TestTLSAndClientCertificates(t *testing.T) {
	dir := t.TempDir()
	throwaway := httptest.NewUnstartedServer(nil)
	throwaway.StartTLS()
	defer throwaway.Close()
	pair := throwaway.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(dir+"/"+name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := dir + "/web.yml"
	if err := os.WriteFile(file, []byte("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_ca_file: cert.pem\n  client_auth_type: RequireAnyClientCert\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, short := start(t, Config{WebConfig: file}), start(t, Config{WebConfig: file, Timeout: 300 * time.Millisecond})
	trust := x509.NewCertPool()
	trust.AddCert(throwaway.Certificate())
	with := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trust, Certificates: certs, ServerName: "example.com"}}}
	}
	put := func(c *http.Client, s *server, body io.Reader) (*http.Response, error) {
		req, _ := http.NewRequest("PUT", strings.Replace(s.url, "http://", "https://", 1)+"/metrics/job/j", body)
		resp, err := c.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	good := with(pair)
	if resp, err := put(good, s, strings.NewReader("a 1\n")); err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("%v %v", err, resp)
	}
	if _, err := put(with(), s, strings.NewReader("a 1\n")); err == nil {
		t.Error("pushed without a certificate")
	}
	if resp, err := http.Get(s.url + "/metrics"); err == nil && resp.StatusCode == 200 {
		t.Error("answers without TLS")
	}
	stalled, w := io.Pipe()
	go w.Write([]byte("a 1\n"))
	began := time.Now()
	resp, err := put(good, short, stalled)
	w.Close()
	if took := time.Since(began); took > 9*time.Second || // the default is 10
		err == nil && resp.StatusCode != 503 {
		t.Errorf("a stalled body: %v %v after %v", err, resp, took)
	}
	good.CloseIdleConnections()
}
