package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Of every kind of request, a quarter is refused.
const (
	requests = 200
	refused  = requests / 4
	granted  = requests - refused
)

// serve answers on two ports, the second with TLS.
func serve() {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	secret, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	certificate()
	fmt.Println(plain.Addr(), secret.Addr())
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) > 5 && r.URL.Path[:5] == "/busy" {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "welcome\n")
	})
	go func() { log.Fatal(http.Serve(plain, h)) }()
	log.Fatal(http.ServeTLS(secret, h, "cert.pem", "key.pem"))
}

// certificate writes a key and its certificate, where nginx finds them too.
func certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		log.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

// fetch waits for a line, then asks: without TLS, with it, and with HTTP/2 on it.
func fetch(plain, secret string) {
	fmt.Scanln()
	trust := &tls.Config{InsecureSkipVerify: true}
	ask(&http.Transport{}, "http://"+plain, "plain")
	ask(&http.Transport{TLSClientConfig: trust}, "https://"+secret, "secret")
	ask(&http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}, "https://"+secret, "streams")
	fmt.Println("done")
	time.Sleep(time.Hour)
}

// ask asks for /what/NUMBER and, now and then, for /busy/what.
func ask(t *http.Transport, url, what string) {
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t, Timeout: time.Minute}
	for i := range requests {
		path := fmt.Sprintf("/%s/%d", what, 1000+i)
		if i%4 == 0 {
			path = "/busy/" + what
		}
		resp, err := client.Get(url + path)
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if want := map[bool]int{true: 2, false: 1}[what == "streams"]; resp.ProtoMajor != want {
			log.Fatalf("%s: HTTP/%d", what, resp.ProtoMajor)
		}
	}
}

// startNginx starts it, where it is, behind the certificate of the server.
func (a *actors) startNginx() {
	if _, err := exec.LookPath("nginx"); err != nil {
		return
	}
	a.port = free()
	conf := fmt.Sprintf(`daemon off; master_process off; user root; pid %[1]s/pid; error_log stderr error; events {}
http { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
 server { listen 127.0.0.1:%[2]s ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; keepalive_requests 100000;
 location /busy { return 503; } location / { return 200 "welcome\n"; } } }`, os.TempDir(), a.port)
	if err := os.WriteFile("nginx.conf", []byte(conf), 0o600); err != nil {
		log.Fatal(err)
	}
	here, _ := os.Getwd()
	a.nginx = exec.Command("nginx", "-p", here, "-c", here+"/nginx.conf")
	a.nginx.Stderr = os.Stderr
	if err := a.nginx.Start(); err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+a.port); err == nil {
			c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("nginx does not listen")
}

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// curl asks nginx, both with OpenSSL.
func (a *actors) curl() error {
	if a.nginx == nil {
		return nil
	}
	url := "https://127.0.0.1:" + a.port
	for flag, what := range map[string]string{"--http1.1": "openssl", "--http2": "opensslstreams"} {
		last := 1000 + granted - 1
		c := exec.Command("curl", "-sk", flag, fmt.Sprintf("%s/%s/[1000-%d]", url, what, last), fmt.Sprintf("%s/busy/%s?[1-%d]", url, what, refused))
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("curl: %w\n%s", err, out)
		}
	}
	return nil
}
