package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
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

// report is the JSON that both modes print.
type report struct {
	Counts    map[string]uint64             `json:"counts"`
	Quantiles map[string]map[string]float64 `json:"quantiles"`
	Total     uint64                        `json:"total"`
	Seconds   float64                       `json:"seconds"`
}

func (c *counts) report() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := report{Counts: map[string]uint64{}, Quantiles: map[string]map[string]float64{}}
	for k, v := range c.n {
		r.Counts[k] = v
		r.Total += v
	}
	for route, ds := range c.durations {
		sorted := append([]float64(nil), ds...)
		sort.Float64s(sorted)
		at := func(q float64) float64 { return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)] }
		r.Quantiles[route] = map[string]float64{"p50": at(.5), "p90": at(.9), "p99": at(.99), "max": sorted[len(sorted)-1]}
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
	return http.Serve(app, handler(c))
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
		c.add(r.Method, route, status, time.Since(start))
	})
}

var page = []byte(strings.Repeat("0123456789abcdef", 64))
