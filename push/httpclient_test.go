package push

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHTTPClientSettings(t *testing.T) {
	c, _, err := ParseHTTPClient("basic_auth:\n  username: u\n  password: \"hunter2\"\nhttp_headers:\n  X-Scope: {values: [a]}\n")
	if err != nil || c.BasicAuth.Username != "u" || string(c.BasicAuth.Password) != "hunter2" || !c.FollowRedirects || !c.EnableHTTP2 {
		t.Errorf("%v %+v", err, c)
	}
	if c, _, err := ParseHTTPClient("\n"); c != nil || err != nil {
		t.Errorf("nothing is none: %v %v", c, err)
	}
	for text, want := range map[string]struct {
		line int
		says string
	}{
		"basic_auth:\n  username: u\n  colour: red\n":        {3, "colour is not a setting"},
		"basic_auth: {username: u}\nbearer_token: hunter2\n": {0, "at most one of"},
		"tls_config:\n  min_version: TLS99\n":                {0, "TLS"},
		"tls_config: {cert_file: a}\n":                       {0, "key"},
		"follow_redirects: hunter2\n":                        {1, "does not fit"},
		"proxy_url: \"http://u:hunter2@%\"\n":                {0, ""},
		"basic_auth: [hunter2]\n":                            {1, "does not fit"},
		"oauth2: {client_id: a}\n":                           {0, "token_url"},
		"a: b: c\n":                                          {0, "yaml"},
	} {
		c, line, err := ParseHTTPClient(text)
		if err == nil {
			t.Errorf("%q was accepted: %+v", text, c)
			continue
		}
		mustContain(t, err.Error(), want.says)
		if line != want.line || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: line %d, %q", text, line, err)
		}
	}
}

func FuzzHTTPClient(f *testing.F) {
	for _, s := range []string{"basic_auth: {username: u}", "tls_config:\n  ca: |\n    x\n", "oauth2: {}", "http_headers: {a: {values: [b]}}", "a: &x {b: *x}", "proxy_url: ["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			return
		}
		c, line, err := ParseHTTPClient(s)
		if err == nil && c != nil {
			clientSecrets(c)
			return
		}
		if err != nil && (line < 0 || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("line %d: %q", line, err)
		}
	})
}

// A password and a certificate that are replaced while we run are used from the
// next push on.
func TestSecretsAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) {
		t.Helper()
		// By renaming, as secret stores do it.
		if err := os.WriteFile(file("new"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file("new"), file(name)); err != nil {
			t.Fatal(err)
		}
	}
	ca := newAuthority(t)
	var password, client string
	gw := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ = r.BasicAuth()
		client = r.TLS.PeerCertificates[0].Subject.CommonName
	}))
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	gw.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, Certificates: []tls.Certificate{ca.pair(t, "gateway")}}
	gw.Config.ErrorLog = log.New(io.Discard, "", 0)
	gw.StartTLS()
	defer gw.Close()

	issue := func(name string) {
		cert, key := ca.issue(t, name)
		write("cert.pem", cert)
		write("key.pem", key)
	}
	write("password", []byte("first-secret\n"))
	write("ca.pem", ca.pem)
	issue("one")
	text := "basic_auth: {username: u, password_file: " + file("password") + "}\n" +
		"tls_config: {ca_file: " + file("ca.pem") + ", cert_file: " + file("cert.pem") + ", key_file: " + file("key.pem") + "}\n"
	c := testConfig(gw.URL)
	var err error
	if c.HTTP, _, err = ParseHTTPClient(text); err != nil {
		t.Fatal(err)
	}
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	push := func(wantPassword, wantClient string) {
		t.Helper()
		if r := p.push(context.Background(), s.Source.Latest()); r.err != nil {
			t.Fatal(r.err)
		}
		if password != wantPassword || client != wantClient {
			t.Errorf("the gateway saw %q of %q, want %q of %q", password, client, wantPassword, wantClient)
		}
	}
	push("first-secret", "one")
	write("password", []byte("second-secret\n"))
	push("second-secret", "one")
	issue("two")
	push("second-secret", "two")
	if err := os.Remove(file("password")); err != nil {
		t.Fatal(err)
	}
	r := p.push(context.Background(), s.Source.Latest())
	if r.err == nil || r.verdict == permanent {
		t.Errorf("without its password: %v", r.err)
	} else {
		mustContain(t, r.err.Error(), file("password"))
	}
}

// authority issues certificates for this machine.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) issue(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func (a *authority) pair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
