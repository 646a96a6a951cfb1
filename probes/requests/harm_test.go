package requests

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tlsfind "vitals/probes/tls"
)

// target is a server that answers HTTPS while probes come and go.
type target struct {
	name  string
	start func(t testing.TB) (cmd *exec.Cmd, port int)
	cmd   *exec.Cmd
	url   atomic.Pointer[string]
	pause sync.RWMutex // held while it is restarted
}

const nodeServer = `
const https = require("https"), fs = require("fs"), d = process.argv[1];
const s = https.createServer({key: fs.readFileSync(d+"/key.pem"), cert: fs.readFileSync(d+"/cert.pem")}, (q, r) => r.end("body of " + q.url));
s.listen(0, "127.0.0.1", () => console.log(s.address().port));
`

const pythonServer = `
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        b = ("body of " + self.path).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1]+"/cert.pem", sys.argv[1]+"/key.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_address[1], flush=True)
s.serve_forever()
`

// Probes come and go thousands of times in servers under load, which are
// restarted and replaced meanwhile: nobody crashes, every answer is right, and
// nothing stays in the kernel. VITALS_CYCLES says how often; the full run is 10000.
func TestProbesNeverHarmAnybody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	cycles := 30
	if n, err := strconv.Atoi(os.Getenv("VITALS_CYCLES")); err == nil {
		cycles = n
	}
	dir := certificate(t)
	s := newSink()
	u := attachTLS(t, s, nil, nil)
	targets := []*target{
		{name: "node", start: func(t testing.TB) (*exec.Cmd, int) { return secretScript(t, "node", "-e", nodeServer, dir) }},
		{name: "python", start: func(t testing.TB) (*exec.Cmd, int) { return secretScript(t, "python3", "-c", pythonServer, dir) }},
		{name: "go", start: func(t testing.TB) (*exec.Cmd, int) { return goServer(t, dir) }},
	}
	for _, x := range targets {
		x.restart(t)
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	var asked atomic.Int64
	for _, x := range targets {
		load.Go(func() { x.ask(t, stop, &asked) })
	}
	began := time.Now()
	var done atomic.Int64
	var cycling sync.WaitGroup
	for _, x := range targets {
		cycling.Go(func() {
			for n := 1; int(done.Load()) < cycles && !t.Failed(); n++ {
				x.cycle(t, u)
				done.Add(1)
				if n%100 == 0 {
					x.restart(t)
				}
			}
		})
	}
	cycling.Wait()
	close(stop)
	load.Wait()
	t.Logf("%d cycles in %v, %d answers", done.Load(), time.Since(began).Round(time.Second), asked.Load())
	if asked.Load() == 0 {
		t.Error("nobody was asked")
	}
	for _, x := range targets {
		if x.cmd.ProcessState != nil {
			t.Errorf("%s ended: %v", x.name, x.cmd.ProcessState)
		}
	}
}

// cycle attaches and detaches every probe of a running server.
func (x *target) cycle(t *testing.T, u *secrets) {
	found, blind, err := tlsfind.Look(procOf(int32(x.cmd.Process.Pid)))
	if err != nil || len(found) == 0 {
		t.Errorf("%s: %v %s", x.name, err, blind)
		return
	}
	for i := range found {
		links, err := u.probe1(u.att, &found[i])
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			return
		}
		if err := links.Close(); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func (x *target) restart(t testing.TB) {
	x.pause.Lock()
	defer x.pause.Unlock()
	if x.cmd != nil {
		x.cmd.Process.Kill()
		x.cmd.Wait()
	}
	cmd, port := x.start(t)
	x.cmd = cmd
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	x.url.Store(&url)
}

// ask asks until stop and checks every answer.
func (x *target) ask(t *testing.T, stop chan struct{}, asked *atomic.Int64) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		x.pause.RLock()
		path := fmt.Sprintf("/users/%d", i)
		resp, err := client.Get(*x.url.Load() + path)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		x.pause.RUnlock()
		want := "body of " + path
		if x.name == "go" {
			want = "a user\n"
		}
		if err != nil || string(body) != want {
			t.Errorf("%s: %q, %v", x.name, body, err)
			return
		}
		asked.Add(1)
	}
}

// secretScript runs a server that prints its port.
func secretScript(t testing.TB, name string, args ...string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var port int
	if _, err := fmt.Fscan(bufio.NewReader(out), &port); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd, port
}

// goServer runs a fresh copy of the test program: the file is another one each
// time, as after a deployment, and the one before is replaced while it may run.
func goServer(t testing.TB, dir string) (*exec.Cmd, int) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "server")
	if err := os.WriteFile(file+".new", self, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file)
	cmd.Env = append(os.Environ(), "VITALS_TEST_HELPER=serve-tls", "VITALS_TEST_ADDR=127.0.0.1:0", "VITALS_TEST_CERT="+dir)
	in, err := cmd.StdinPipe() // it ends when its input does
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
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
	if _, err := fmt.Sscanf(line, "127.0.0.1:%d", &port); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd, port
}
