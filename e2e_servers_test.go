package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Servers of four kinds, none of them restarted, show their requests with
// language, route and status; so does the client.
func TestServersOfEveryKindAreSeen(t *testing.T) {
	needRoot(t)
	_, nginx, nginxPort := proxied(t, 1)
	truth := startTruth(t, "127.0.0.1:0")
	pythonPort, nodePort := freePort(t), freePort(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	python := start(t, nil, need(t, "python3"), "-m", "http.server", fmt.Sprint(pythonPort), "--bind", "127.0.0.1", "--directory", dir)
	node := start(t, nil, need(t, "node"), "-e", fmt.Sprintf(
		`require("http").createServer((q, r) => { r.statusCode = 201; r.end("hi") }).listen(%d, "127.0.0.1")`, nodePort))
	waitPort(t, pythonPort)
	waitPort(t, nodePort)
	snap := startSnapshot(t)

	const n = 50
	for range n {
		for _, url := range []string{
			fmt.Sprintf("http://127.0.0.1:%d/static/GPL-3", nginxPort),
			"http://" + truth.addr + "/users/7",
			fmt.Sprintf("http://127.0.0.1:%d/hello.txt", pythonPort),
			fmt.Sprintf("http://127.0.0.1:%d/things/12", nodePort),
		} {
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()

	for _, c := range []struct {
		pid      int
		language string
		row      lookRow
	}{
		{children(t, nginx)[0], "c", lookRow{Method: "GET", Route: "/static/GPL-3", Status: 200}},
		{truth.Process.Pid, "go", lookRow{Method: "GET", Route: "/users/{id}", Status: 200}},
		{python.Process.Pid, "python", lookRow{Method: "GET", Route: "/hello.txt", Status: 200}},
		{node.Process.Pid, "node", lookRow{Method: "GET", Route: "/things/{id}", Status: 201}},
	} {
		row := got.row("server", c.pid, c.row.Route)
		if row == nil || row.Count != n || row.Method != c.row.Method || row.Status != c.row.Status {
			t.Errorf("%s: row %+v, want %d of %+v", c.language, row, n, c.row)
		}
		for _, p := range got.Processes {
			if p.PID == c.pid && p.Runtime.Language != c.language {
				t.Errorf("pid %d (%s): language %q, want %q", p.PID, p.Comm, p.Runtime.Language, c.language)
			}
		}
	}
}

// With -p nothing is counted of anybody else, known or not.
func TestOneProcessOnly(t *testing.T) {
	needRoot(t)
	chosen, other := startTruth(t, "127.0.0.1:0"), startTruth(t, "127.0.0.1:0")
	snap := startSnapshot(t, "-p", fmt.Sprint(chosen.Process.Pid))
	startLoad(t, "-addr", other.addr, "-old", "0", "-new", "2", "-requests", "1000").finish()
	startLoad(t, "-addr", chosen.addr, "-old", "0", "-new", "2", "-requests", "1000").finish()
	time.Sleep(500 * time.Millisecond)
	got := snap.stop()
	var n uint64
	for _, r := range got.Requests {
		if r.PID != chosen.Process.Pid {
			t.Errorf("a row of pid %d (%s): %s %s %s", r.PID, r.Service, r.Role, r.Method, r.Route)
		}
		n += r.Count
	}
	if n != 1000 {
		t.Errorf("counted %d of 1000", n)
	}
}
