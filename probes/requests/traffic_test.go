package requests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/probes/kern/kerntest"
)

// conn is a keep-alive connection to a helper.
type conn struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

func dial(t *testing.T, addr string) *conn {
	t.Helper()
	network, address := split(addr)
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	return &conn{c, bufio.NewReader(c), t}
}

func (c *conn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conn) answer(method string) int {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Error(err)
		return 0
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func (c *conn) do(method, path, headers, body string) int {
	c.t.Helper()
	c.send(method + " " + path + "?token=hunter2 HTTP/1.1\r\nHost: shop.example\r\n" + headers + "\r\n" + body)
	return c.answer(method)
}

// mix sends n requests of all the shapes that matter.
func (c *conn) mix(n int, count func(string)) {
	for i := range n {
		switch i % 8 {
		case 0, 1:
			count(fmt.Sprintf("GET /users/{id} %d", c.do("GET", fmt.Sprintf("/users/%d", i), "", "")))
		case 2:
			count(fmt.Sprintf("HEAD /users/{id} %d", c.do("HEAD", fmt.Sprintf("/users/%d", i), "", "")))
		case 3:
			body := strings.Repeat("abcdefgh", 1+i%700)
			count(fmt.Sprintf("POST /upload %d", c.do("POST", "/upload", fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)))
		case 4:
			count(fmt.Sprintf("POST /upload %d", c.do("POST", "/upload", "Transfer-Encoding: chunked\r\n", "400\r\n"+strings.Repeat("x", 1024)+"\r\n0\r\n\r\n")))
		case 5:
			count(fmt.Sprintf("GET /chunked %d", c.do("GET", "/chunked", "", "")))
		case 6:
			count(fmt.Sprintf("GET /busy %d", c.do("GET", "/busy", "", "")))
		case 7:
			count(fmt.Sprintf("GET /nothing %d", c.do("GET", "/nothing", "", "")))
		}
	}
}

// storm runs mix on conns at once and returns what was done, keys with a prefix.
func storm(prefix string, n int, conns ...*conn) map[string]uint64 {
	var mu sync.Mutex
	want := map[string]uint64{}
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			mine := map[string]uint64{}
			c.mix(n, func(k string) { mine[prefix+k]++ })
			mu.Lock()
			defer mu.Unlock()
			for k, v := range mine {
				want[k] += v
			}
		})
	}
	wg.Wait()
	return want
}

func TestServerCountsAreExact(t *testing.T) { bothPaths(t, serverCountsAreExact) }

func serverCountsAreExact(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if kind == "unix" {
				addr = "unix:" + filepath.Join(t.TempDir(), "s")
			}
			server, bound := start(t, "serve", addr)
			if kind == "tcp" {
				addr = bound
			}
			var conns []*conn
			for range 4 { // older than the probe, used and idle
				c := dial(t, addr)
				c.do("GET", "/users/0", "", "")
				conns = append(conns, c)
			}
			kerntest.CallsEnded(t, server.Process.Pid)
			p := attach(t, roomy, server.key)
			for range 4 {
				conns = append(conns, dial(t, addr))
			}
			began := time.Now()
			each := many(2000)
			all := uint64(8 * each)
			want := storm("server ", each, conns...)
			t.Logf("%.0f requests/s", float64(all)/time.Since(began).Seconds())
			p.expect(t, kind, server.key, want)
			p.stop()
			same(t, kind, p.of(server.key), want)
			if lost := p.losses(); len(lost) > 0 {
				t.Errorf("lost %v", lost)
			}
			c := p.covered(server.key)
			// A byte that is read ahead of a request can be an exchange of its own.
			if c.Exchanges < all || c.Exchanges > all+10 || c.Parsed != all || c.Unpaired != 0 {
				t.Errorf("coverage %+v", c)
			}
		})
	}
}

func TestClientCountsAreExact(t *testing.T) { bothPaths(t, clientCountsAreExact) }

func clientCountsAreExact(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if kind == "unix" {
				addr = "unix:" + filepath.Join(t.TempDir(), "s")
			}
			server, bound := start(t, "serve", addr)
			if kind == "tcp" {
				addr = bound
			}
			client, _ := start(t, "fetch", addr)
			client.ask("100") // connections that are older than the probe
			kerntest.CallsEnded(t, server.Process.Pid, client.Process.Pid)
			p := attach(t, roomy, server.key, client.key)
			all := uint64(many(20000))
			if got := client.ask(fmt.Sprint(all)); got != "ok" {
				t.Fatal(got)
			}
			p.expect(t, "server", server.key, map[string]uint64{"server GET /users/{id} 200": all})
			wait(func() bool { return p.total(client.key) == all })
			p.stop()
			seen := p.of(client.key)
			if kind == "unix" {
				// A Unix socket has no sequence numbers: a send that is told after its
				// answer is counted with the next one, its status unknown.
				unknown := seen["client GET /users/{id} 0"]
				t.Logf("%d of %d requests have no status", unknown, all)
				if unknown > all/20 {
					t.Error("that is too many")
				}
				delete(seen, "client GET /users/{id} 0")
				seen["client GET /users/{id} 200"] += unknown
			}
			same(t, "client", seen, map[string]uint64{"client GET /users/{id} 200": all})
			late := 0
			for _, r := range p.all() {
				if r.Partial {
					late++
				}
				if r.Proc == client.key && r.Peer != "shop.example" {
					t.Fatalf("peer %q", r.Peer)
				}
			}
			t.Logf("%d requests were reported after their answers; coverage client %+v server %+v", late, p.covered(client.key), p.covered(server.key))
		})
	}
}

// Who asks the probe to settle knows of every answer that was there, at once, and
// what follows is counted as ever.
func TestSettlingTellsEveryAnswer(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		server, addr := start(t, "serve", "127.0.0.1:0")
		r := attach(t, roomy, server.key)
		c := dial(t, addr)
		for i := range 50 {
			c.do("GET", "/users/7", "", "")
			r.settled(server)
			if n := r.total(server.key); n != uint64(i+1) {
				t.Fatalf("%d told, want %d", n, i+1)
			}
		}
	})
}
