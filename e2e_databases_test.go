package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// traffic is the part of the snapshot that tells who talks to whom.
type traffic struct {
	Requests []struct {
		PID                                   int
		Role, Protocol, Method, Code, Service string
		Failed                                bool
		Count                                 uint64
	}
	Edges []struct {
		From, To, Protocol string
		Count, Errors      uint64
		P50                *float64 `json:"p50_seconds"`
		Outside            bool
	}
	Services []struct {
		Name      string
		Exemplars []struct {
			PID                    int
			Protocol, Method, Code string
			Failed                 bool
		}
		Coverage struct{ Exchanges, Parsed, Unknown, Bytes uint64 }
	}
}

// A cache and its client, seen by the whole program: operations on both sides,
// the edge between them, the errors one by one, and how much was understood.
//
// When the reader was kept from the ring by other things, so that something was
// lost, it is made again with less.
func TestADatabaseAndItsClient(t *testing.T) {
	needRoot(t)
	for _, each := range []uint64{2000, 1000, 300, 100} {
		if databaseAndClient(t, each) {
			return
		}
	}
	t.Error("something was lost four times in a row")
}

// startCache starts a Redis under a name of its own: others may run one, too.
func startCache(t *testing.T) (server *proc, name, port string) {
	t.Helper()
	port = fmt.Sprint(freePort(t))
	name = "cache" + port
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	image, _ := os.ReadFile(program)
	program = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(program, image, 0o755); err != nil {
		t.Fatal(err)
	}
	server = start(t, nil, program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	until(t, "redis listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return server, name, port
}

func databaseAndClient(t *testing.T, each uint64) (whole bool) {
	t.Helper()
	server, name, port := startCache(t)
	// Chosen before it is what it will be: not one of its requests is missed.
	client := start(t, nil, "sh", "-c", fmt.Sprintf("read go; exec redis-benchmark -p %s -q -c 4 -n %d -t set,get", port, each))
	snap := startSnapshot(t, "--include", fmt.Sprintf("pid=%d", server.Process.Pid), "--include", fmt.Sprintf("pid=%d", client.Process.Pid))
	client.tell("go")
	client.wait()
	if client.err != nil {
		t.Fatalf("%v\n%s", client.err, client.stderr())
	}
	failing := exec.Command("redis-cli", "-p", port)
	failing.Stdin = strings.NewReader(strings.Repeat("SET text x\r\nLPUSH text y\r\n", 5))
	failing.Run()
	time.Sleep(1500 * time.Millisecond)
	l := snap.stop()
	var got traffic
	if err := json.Unmarshal([]byte(snap.stdout()), &got); err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	service := ""
	for _, r := range got.Requests {
		switch r.PID {
		case server.Process.Pid:
			if service = r.Service; !strings.HasPrefix(service, name) {
				t.Fatalf("service %q", service)
			}
		case client.Process.Pid:
		default:
			continue
		}
		if r.Protocol == "redis" {
			counts[fmt.Sprint(r.Role, " ", r.Method, " ", r.Code)] += r.Count
		}
	}
	if l.lost() != 0 {
		t.Logf("lost %v", l.Self.Lost)
		server.end(syscall.SIGTERM)
		return false
	}
	for key, want := range map[string]uint64{"server SET ": each + 5, "server GET ": each, "client SET ": each, "client GET ": each, "server LPUSH WRONGTYPE": 5} {
		if counts[key] != want {
			t.Errorf("%s: %d, want %d", key, counts[key], want)
		}
	}
	edges := uint64(0)
	for _, e := range got.Edges {
		if e.To == service && e.Protocol == "redis" && e.From != "outside" {
			edges += e.Count // until its name is read, the client has that of the shell
			if e.Outside || e.P50 == nil && e.Count > 0 && e.Errors > 0 {
				t.Errorf("%+v", e)
			}
		}
	}
	if edges < 2*each*9/10 || edges > 2*each+30 {
		t.Errorf("%d requests lead from the client to %s", edges, service)
	}
	failed := 0
	for _, s := range got.Services {
		if c := s.Coverage; s.Name == service && (c.Parsed < 2*each || c.Unknown > 0 || c.Bytes == 0 || c.Exchanges < c.Parsed) {
			t.Errorf("coverage %+v", c)
		}
		for _, x := range s.Exemplars {
			if x.PID == server.Process.Pid && x.Failed && x.Method == "LPUSH" && x.Code == "WRONGTYPE" {
				failed++
			}
		}
	}
	if failed != 5 {
		t.Errorf("%d failures one by one, want 5", failed)
	}
	if t.Failed() {
		t.Logf("counts %v, lost %v, edges %+v", counts, l.Self.Lost, got.Edges)
	}
	return true
}
