package requests

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf/btf"

	"vitals/core"
	"vitals/probes/kern"
)

// HTTP/2 between nginx and curl, both with OpenSSL.
func TestNginxAndCurlOverHTTP2(t *testing.T) {
	dir := certificate(t)
	s := newSink()
	attachTLS(t, s, nil, nil)
	port, nginx := startSecretNginx(t, dir)
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	out, err := exec.Command("curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_version} ", url+"/users/[1-100]", url+"/nope").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if string(out[:2]) != "2 " {
		t.Fatalf("curl spoke HTTP/%s", out[:2])
	}
	s.expect(t, "nginx", keyOf(t, nginx), map[string]uint64{"server GET /users/{id} 200": 100, "server GET /nope 404": 1})
}

// Node has OpenSSL inside its executable and hands it bytes instead of sockets.
func TestNodeOverTLS(t *testing.T) {
	dir := certificate(t)
	s := newSink()
	news, shared := &kern.Newcomers{}, &kern.Shared{}
	u := attachTLS(t, s, news, shared)
	cmd, port := secretScript(t, "node", "-e", nodeServer, dir)
	news.Came(&core.Process{ProcKey: keyOf(t, cmd.Process.Pid)})
	eventually(t, "node is probed", func() bool { return u.probes(cmd.Process.Pid) })
	ask(t, fmt.Sprintf("https://127.0.0.1:%d", port), 200)
	s.expect(t, "node", keyOf(t, cmd.Process.Pid), map[string]uint64{"server GET /users/{id} 200": 200})
}

// A stripped Go server gives the same.
func TestStrippedGoServerOverTLS(t *testing.T) {
	dir := certificate(t)
	file := filepath.Join(dir, "stripped")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command("strip", "-o", file, self).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	s := newSink()
	news := &kern.Newcomers{}
	u := attachTLS(t, s, news, nil)
	cmd := exec.Command(file)
	cmd.Env = append(os.Environ(), "VITALS_TEST_HELPER=serve-tls", "VITALS_TEST_ADDR=127.0.0.1:0", "VITALS_TEST_CERT="+dir)
	in, err := cmd.StdinPipe() // it ends when its input does
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var port int
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fmt.Sscanf(line, "127.0.0.1:%d", &port)
	news.Came(&core.Process{ProcKey: keyOf(t, cmd.Process.Pid)})
	eventually(t, "the server is probed", func() bool { return u.probes(cmd.Process.Pid) })
	ask(t, fmt.Sprintf("https://127.0.0.1:%d", port), 200)
	s.expect(t, "stripped", keyOf(t, cmd.Process.Pid), map[string]uint64{"server GET /users/{id} 200": 200})
}

// ask makes n requests, one after the other, over a few connections.
func ask(t testing.TB, url string, n int) {
	t.Helper()
	for c := range 4 {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		client := &http.Client{Transport: tr}
		for i := range n / 4 {
			resp, err := client.Get(fmt.Sprintf("%s/users/%d", url, c*1000+i))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		tr.CloseIdleConnections()
	}
}

// Transfers that pass while their connection is not to be had are missed; that is
// counted, and what is told of the connection afterwards says so.
func TestMissedTransfersLeaveAGap(t *testing.T) {
	dir := certificate(t)
	t.Setenv("VITALS_TEST_CERT", dir)
	server, addr := start(t, "serve-tls", "127.0.0.1:0")
	s := newSink()
	u := attachTLS(t, s, nil, nil)
	eventually(t, "the server is probed", func() bool { return u.probes(server.Process.Pid) })
	if err := u.Select(core.Selection{Set: map[core.ProcKey]bool{server.key: true}}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	get := func(path string) {
		t.Helper()
		resp, err := client.Get("https://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	get("/users/1")
	holdAll(t, u, 1)
	get("/users/2")
	holdAll(t, u, 0)
	get("/users/3")
	client.CloseIdleConnections()
	s.expect(t, "the server", server.key, map[string]uint64{"server GET /users/{id} 200": 2})
	wait(func() bool { return s.covered(server.key).Gaps > 0 && s.losses()["kernel/contended"] > 0 })
	if got := s.covered(server.key); got.Gaps != 1 || s.losses()["kernel/contended"] == 0 {
		t.Errorf("%d gaps, losses %v", got.Gaps, s.losses())
	}
}

// holdAll takes or gives back the lock of every connection, as a processor would
// that stands still.
func holdAll(t *testing.T, u *secrets, lock uint32) {
	t.Helper()
	spec, err := loadSecret()
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, m := range spec.Maps["conns"].Value.(*btf.Struct).Members {
		if m.Name == "lock" {
			at = int(m.Offset.Bytes())
		}
	}
	key, value, held := make([]byte, u.objs.Conns.KeySize()), make([]byte, u.objs.Conns.ValueSize()), 0
	for all := u.objs.Conns.Iterate(); all.Next(&key, &value); held++ {
		binary.NativeEndian.PutUint32(value[at:], lock)
		if err := u.objs.Conns.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if held != 1 {
		t.Fatalf("%d connections, want 1", held)
	}
}
