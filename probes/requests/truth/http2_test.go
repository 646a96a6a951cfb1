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

// Each request that a server of HTTP/2 and gRPC has answered is counted, with
// its path and its status, many at a time on few connections.
func TestHTTP2AndGRPCAreCountedExactly(t *testing.T) {
	needRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := as("", room(t, ""), self)
	cmd.Env = append(cmd.Env, "VITALS_TRUTH_HELPER=http2", fmt.Sprintf("VITALS_TRUTH_ADDR=127.0.0.1:%d", port))
	in, _ := cmd.StdinPipe()
	read, write, _ := os.Pipe()
	s := startTo(t, cmd, write, port)
	answers := bufio.NewReader(read)
	ask := func() (counts map[string]uint64) {
		fmt.Fprintln(in, "counts")
		line, _ := answers.ReadString('\n')
		if err := json.Unmarshal([]byte(line), &counts); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return counts
	}
	l := watch(t, roomy, s.key)
	url := "http://" + s.addr()
	// The first connections show how much of a transfer is worth capturing here.
	run(t, exec.Command("h2load", "-c", "2", "-m", "8", "-n", "200", url+"/"))
	settle()
	before := ask()
	l.forget()
	for _, c := range [][]string{
		{url + "/", url + "/some/page", url + "/broken"},
		{"-d", body(t), "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/shop.Items/Get"},
		{"-d", body(t), "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/shop.Items/Lose"},
	} {
		run(t, exec.Command("h2load", append([]string{"-c", "4", "-m", "8", "-n", "3000"}, c...)...))
	}
	settle()
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
