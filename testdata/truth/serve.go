package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// counts is what one side knows: "METHOD route status" -> number, and the
// duration of each request by route.
type counts struct {
	mu        sync.Mutex
	n         map[string]uint64
	durations map[string][]float64 // seconds; only for the delay routes
}

func newCounts() *counts {
	return &counts{n: map[string]uint64{}, durations: map[string][]float64{}}
}

func (c *counts) add(method, route string, status int, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[fmt.Sprintf("%s %s %d", method, route, status)]++
	if strings.HasPrefix(route, "/delay/") {
		c.durations[route] = append(c.durations[route], d.Seconds())
	}
}

// report is the JSON that both modes print. Durations are sorted, in seconds.
type report struct {
	Counts    map[string]uint64    `json:"counts"`
	Durations map[string][]float64 `json:"durations"`
	Total     uint64               `json:"total"`
	Seconds   float64              `json:"seconds"`
}

func (c *counts) report() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := report{Counts: map[string]uint64{}, Durations: map[string][]float64{}}
	for k, v := range c.n {
		r.Counts[k] = v
		r.Total += v
	}
	for route, ds := range c.durations {
		r.Durations[route] = slices.Sorted(slices.Values(ds))
	}
	return r
}

// delays are the routes that wait, by route.
var delays = map[string]time.Duration{
	"/delay/two":        2 * time.Millisecond,
	"/delay/twenty":     20 * time.Millisecond,
	"/delay/twohundred": 200 * time.Millisecond,
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:0", "address to serve on, or unix:PATH")
	control := flags.String("control", "127.0.0.1:0", "address of the counters")
	timed := flags.Bool("timed", false, "time requests from their first byte read to their last byte written")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := newCounts()
	app, err := listen(*addr)
	if err != nil {
		return err
	}
	ctl, err := net.Listen("tcp", *control)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s\n", app.Addr(), ctl.Addr())
	go http.Serve(ctl, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(c.report())
	}))
	server := &http.Server{Handler: handler(c)}
	if *timed {
		app = timedListener{app}
		server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, timedKey{}, conn)
		}
		server.ConnState = func(conn net.Conn, state http.ConnState) {
			if state == http.StateIdle {
				conn.(*timedConn).done(c)
			}
		}
	}
	return server.Serve(app)
}

// timedConn notes when a request's first byte was read and its answer's last
// byte written: what anybody at the socket would see.
type timedConn struct {
	net.Conn
	mu            sync.Mutex
	first, last   time.Time
	method, route string
	status        int
}

type timedKey struct{}

type timedListener struct{ net.Listener }

func (l timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &timedConn{Conn: c}, nil
}

func (c *timedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.first.IsZero() {
		c.first = time.Now()
	}
	return n, err
}

func (c *timedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	return n, err
}

func (c *timedConn) done(to *counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to.add(c.method, c.route, c.status, c.last.Sub(c.first))
	c.first = time.Time{}
}

func listen(addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", addr)
}

func handler(c *counts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		route, status := r.URL.Path, 200
		switch {
		case strings.HasPrefix(route, "/users/"):
			route = "/users/{id}"
			io.WriteString(w, "a user\n")
		case strings.HasPrefix(route, "/items/"):
			route = "/items/{id}"
			w.Write(page)
		case route == "/upload":
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d bytes\n", n)
		case route == "/chunked":
			for range 4 {
				w.Write(page[:512])
				w.(http.Flusher).Flush()
			}
		case route == "/moved":
			status = 302
			http.Redirect(w, r, "/users/1", status)
		case route == "/busy":
			status = 503
			http.Error(w, "busy", status)
		case delays[route] > 0:
			time.Sleep(delays[route])
			io.WriteString(w, "late\n")
		default:
			status = 404
			http.NotFound(w, r)
		}
		if conn, ok := r.Context().Value(timedKey{}).(*timedConn); ok {
			conn.method, conn.route, conn.status = r.Method, route, status
			return // counted when the answer is out
		}
		c.add(r.Method, route, status, time.Since(start))
	})
}

var page = []byte(strings.Repeat("0123456789abcdef", 64))
