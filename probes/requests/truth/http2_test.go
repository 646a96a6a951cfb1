package truth

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"vitals/core"
)

func TestMain(m *testing.M) {
	switch os.Getenv("VITALS_TRUTH_HELPER") {
	case "tls":
		serveTLS()
	case "lookup":
		lookUp()
	case "http2":
		serveHTTP2()
	default:
		os.Exit(m.Run())
	}
}

// serveHTTP2 is a server of HTTP/2 without TLS that counts what it answers. On
// each line of its input it tells its counts.
func serveHTTP2() {
	var mu sync.Mutex
	counts := map[string]uint64{}
	l, err := net.Listen("tcp", os.Getenv("VITALS_TRUTH_ADDR"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			echo(w)
			return
		}
		io.Copy(io.Discard, r.Body)
		key := ""
		switch {
		case strings.HasPrefix(r.URL.Path, "/shop.Items/"):
			status := "0"
			if r.URL.Path == "/shop.Items/Lose" {
				status = "5"
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.Write([]byte("\x00\x00\x00\x00\x05hello"))
			w.Header().Set("Grpc-Status", status)
			key = r.URL.Path + " " + status
		case r.URL.Path == "/broken":
			http.Error(w, "no", 500)
			key = r.URL.Path + " 500"
		default:
			io.WriteString(w, strings.Repeat("x", 3000))
			key = r.URL.Path + " 200"
		}
		mu.Lock()
		counts[key]++
		mu.Unlock()
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	go (&http.Server{Handler: handler, Protocols: protocols}).Serve(l)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		mu.Lock()
		b, _ := json.Marshal(counts)
		mu.Unlock()
		fmt.Println(string(b))
	}
}

// echo switches to WebSockets and sends each frame back as one of its own.
func echo(w http.ResponseWriter) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	for {
		var head [6]byte // two bytes and the mask
		if _, err := io.ReadFull(rw, head[:]); err != nil {
			return
		}
		payload := make([]byte, head[1]&0x7f)
		io.ReadFull(rw, payload)
		c.Write(append([]byte{head[0], byte(len(payload))}, payload...))
		if head[0] == 0x88 {
			return
		}
	}
}

// A WebSocket is a stream: counted once, never a latency.
func TestWebSocketsAreStreams(t *testing.T) {
	needRoot(t)
	self, _ := os.Executable()
	port := freePort(t)
	cmd := as("", room(t, ""), self)
	cmd.Env = append(cmd.Env, "VITALS_TRUTH_HELPER=http2", fmt.Sprintf("VITALS_TRUTH_ADDR=127.0.0.1:%d", port))
	in, _ := cmd.StdinPipe()
	defer in.Close()
	s := start(t, cmd, port)
	l := watch(t, roomy, s.key)
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /chat/42 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n")
	r := bufio.NewReader(c)
	for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
	}
	for range 50 {
		io.WriteString(c, "\x81\x85\x00\x00\x00\x00hello")
		io.CopyN(io.Discard, r, 7)
	}
	io.WriteString(c, "\x88\x82\x00\x00\x00\x00\x03\xe8")
	io.Copy(io.Discard, r)
	c.Close()
	l.settle()
	l.stop()
	if n := l.count(func(r row) bool {
		return r.stream && r.protocol == "websocket" && r.role == core.RoleServer && r.route == "/chat/{id}"
	}); n != 1 {
		t.Errorf("%d WebSockets", n)
	}
	if n := l.count(func(r row) bool { return !r.stream && r.protocol != "http" }); n != 0 {
		t.Errorf("%d requests beside it", n)
	}
	l.nothingLost()
	if t.Failed() {
		for i := range l.seen {
			t.Logf("%+v", l.seen[i])
		}
	}
}

// startHTTP2 starts a server that tells what it has answered when it is asked.
func startHTTP2(t *testing.T) (s *server, ask func() map[string]uint64) {
	t.Helper()
	needRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := as("", room(t, ""), self)
	cmd.Env = append(cmd.Env, "VITALS_TRUTH_HELPER=http2", fmt.Sprintf("VITALS_TRUTH_ADDR=127.0.0.1:%d", port))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s = startTo(t, cmd, write, port)
	answers := bufio.NewReader(read)
	return s, func() (counts map[string]uint64) {
		t.Helper()
		fmt.Fprintln(in, "counts")
		line, _ := answers.ReadString('\n')
		if err := json.Unmarshal([]byte(line), &counts); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return counts
	}
}

// Each request that a server of HTTP/2 and gRPC has answered is counted, with
// its path and its status, many at a time on few connections.
func TestHTTP2AndGRPCAreCountedExactly(t *testing.T) {
	s, ask := startHTTP2(t)
	l := watch(t, roomy, s.key)
	url := "http://" + s.addr()
	// The first connections show how much of a transfer is worth capturing here.
	run(t, exec.Command("h2load", "-c", "2", "-m", "8", "-n", "200", url+"/"))
	l.settle()
	before := ask()
	l.forget()
	for _, c := range [][]string{
		{url + "/", url + "/some/page", url + "/broken"},
		{"-d", body(t), "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/shop.Items/Get"},
		{"-d", body(t), "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/shop.Items/Lose"},
	} {
		run(t, exec.Command("h2load", append([]string{"-c", "4", "-m", "8", "-n", "3000"}, c...)...))
	}
	l.settle()
	want := ask()
	want["/ 200"] -= before["/ 200"]
	l.stop()
	sum := uint64(0)
	for key, n := range want {
		path, status, _ := strings.Cut(key, " ")
		got := l.count(func(r row) bool {
			if r.role != core.RoleServer || r.route != path {
				return false
			}
			switch {
			case r.protocol == "grpc":
				return r.code == map[string]string{"0": "OK", "5": "NOT_FOUND"}[status] && r.failed == false
			case r.protocol == "http":
				return fmt.Sprint(r.status) == status && r.failed == (status == "500")
			}
			return false
		})
		if got != n {
			t.Errorf("%s: counted %d, the server %d", key, got, n)
		}
		sum += n
	}
	if sum != 9000 {
		t.Errorf("the server answered %d requests", sum)
	}
	if all := l.count(func(row) bool { return true }); all != sum {
		t.Errorf("%d requests counted, %d answered", all, sum)
	}
	l.nothingLost()
	l.report()
}

// body is a message of gRPC in a file.
func body(t *testing.T) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "body")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("\x00\x00\x00\x00\x03abc")
	return f.Name()
}
