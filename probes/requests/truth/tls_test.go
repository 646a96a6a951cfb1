package truth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"vitals/core"
)

// serveTLS is a server of HTTPS with a certificate of its own making.
func serveTLS() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		os.Exit(1)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"shop.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		os.Exit(1)
	}
	l, err := net.Listen("tcp", os.Getenv("VITALS_TRUTH_ADDR"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	http.Serve(tls.NewListener(l, config), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secret\n") }))
}

// What is encrypted is said to be, with the name that was asked for, and nothing
// is claimed of it.
func TestEncryptedConnectionsAreToldAsSuch(t *testing.T) {
	needRoot(t)
	self, _ := os.Executable()
	port := freePort(t)
	cmd := as("", room(t, ""), self)
	cmd.Env = append(cmd.Env, "VITALS_TRUTH_HELPER=tls", fmt.Sprintf("VITALS_TRUTH_ADDR=127.0.0.1:%d", port))
	s := start(t, cmd, port)
	l := watch(t, roomy)
	l.asked = []int{int(s.key.PID)}
	url := fmt.Sprintf("https://shop.example:%d/", port)
	const asked = 20
	args := []string{"-s", "-k", "--http1.1", "--resolve", fmt.Sprintf("shop.example:%d:127.0.0.1", port)}
	for range asked {
		args = append(args, "-o", "/dev/null", url)
	}
	curl := exec.Command("curl", args...)
	run(t, curl)
	l.settle()
	l.stop()
	var served, made int
	for i := range l.seen {
		r := &l.seen[i]
		switch {
		case r.Proc == s.key:
			served++
		case r.Proc.PID == int32(curl.Process.Pid):
			made++
			if r.Peer != fmt.Sprintf("shop.example:%d", port) || r.PeerProc != (core.ProcKey{}) && r.PeerProc != s.key {
				t.Errorf("peer %q, process %v", r.Peer, r.PeerProc)
			}
		default:
			continue
		}
		if r.Protocol != core.ProtoTLS || !r.TLS || r.Method+r.Route != "" || r.Status != 0 {
			t.Errorf("%+v", *r)
		}
	}
	if why := l.why[s.key]; why != "tls (offers http/1.1)" {
		t.Errorf("unreadable because of %q", why)
	}
	// One exchange for each request, and those of the handshake behind its first.
	if served < asked || served > asked+3 || made < asked || made > asked+3 {
		t.Errorf("%d exchanges served, %d made, %d requests", served, made, asked)
	}
}
