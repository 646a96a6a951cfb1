package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load opens the old connections and uses each once, prints "ready", waits for
// a line on standard input, opens the new ones, sends exactly the given number
// of requests, or until its time is over or another line comes, and prints a report.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	addr := flags.String("addr", "", "server, or unix:PATH")
	old := flags.Int("old", 4, "connections opened before the go")
	fresh := flags.Int("new", 4, "connections opened after it")
	total := flags.Int("requests", 10000, "requests to send")
	waits := flags.Bool("delays", false, "only the delay routes")
	rate := flags.Int("rate", 0, "requests a second over all connections, 0 is no limit")
	forTime := flags.Duration("for", 0, "send for this long instead of a number of requests")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var conns []*client
	for range *old {
		c, err := dial(*addr)
		if err != nil {
			return err
		}
		// A connection that is older than the observer has spoken before.
		if _, err := c.do("GET", "/warmup", ""); err != nil {
			return err
		}
		conns = append(conns, c)
	}
	fmt.Println("ready")
	orders := bufio.NewReader(os.Stdin)
	if _, err := orders.ReadString('\n'); err != nil {
		return err
	}
	var stop atomic.Bool
	go func() {
		if _, err := orders.ReadString('\n'); err == nil {
			stop.Store(true)
		}
	}()
	for range *fresh {
		c, err := dial(*addr)
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}

	start := time.Now()
	var wg sync.WaitGroup
	results, failures := make([]*counts, len(conns)), make([]error, len(conns))
	for i, c := range conns {
		share := *total / len(conns)
		if i < *total%len(conns) {
			share++
		}
		var deadline time.Time
		if *forTime > 0 {
			deadline, share = start.Add(*forTime), 1<<40
		}
		var pace time.Duration
		if *rate > 0 {
			pace = time.Duration(float64(time.Second) * float64(len(conns)) / float64(*rate))
		}
		results[i] = newCounts()
		wg.Go(func() {
			failures[i] = c.run(rand.New(rand.NewPCG(1, uint64(i))), share, deadline, &stop, pace, *waits, results[i])
		})
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	all := newCounts()
	for _, r := range results {
		for k, v := range r.n {
			all.n[k] += v
		}
		for k, v := range r.durations {
			all.durations[k] = append(all.durations[k], v...)
		}
	}
	rep := all.report()
	rep.Seconds = time.Since(start).Seconds()
	return json.NewEncoder(os.Stdout).Encode(rep)
}

// client is one keep-alive connection.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*client, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c)}, nil
}

func (c *client) run(rnd *rand.Rand, n int, deadline time.Time, stop *atomic.Bool, pace time.Duration, waits bool, out *counts) error {
	next := time.Now()
	for range n {
		if stop.Load() || !deadline.IsZero() && time.Now().After(deadline) {
			return nil
		}
		if pace > 0 {
			next = next.Add(pace)
			time.Sleep(time.Until(next))
		}
		method, path, route, body := pick(rnd, waits)
		start := time.Now()
		status, err := c.do(method, path, body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		out.add(method, route, status, time.Since(start))
	}
	return nil
}

// pick chooses the next request: mostly cheap reads, all the shapes that matter.
func pick(rnd *rand.Rand, waits bool) (method, path, route, body string) {
	if waits {
		switch n := rnd.IntN(20); {
		case n == 0:
			return "GET", "/delay/twohundred", "/delay/twohundred", ""
		case n < 5:
			return "GET", "/delay/twenty", "/delay/twenty", ""
		}
		return "GET", "/delay/two", "/delay/two", ""
	}
	switch n := rnd.IntN(20); {
	case n < 8:
		return "GET", fmt.Sprintf("/users/%d", rnd.IntN(100000)), "/users/{id}", ""
	case n < 11:
		return "GET", fmt.Sprintf("/items/%08x-1c2d-4e3f-8a9b-%012x", rnd.Uint32(), rnd.Uint64()&0xffffffffffff), "/items/{id}", ""
	case n < 13:
		return "HEAD", fmt.Sprintf("/users/%d", rnd.IntN(100000)), "/users/{id}", ""
	case n < 15:
		return "POST", "/upload", "/upload", upload[:rnd.IntN(len(upload))+1]
	case n == 15:
		return "POST", "/upload", "/upload", "chunked"
	case n == 16:
		return "GET", "/chunked", "/chunked", ""
	case n == 17:
		return "GET", "/moved", "/moved", ""
	case n == 18:
		return "GET", "/nothing", "/nothing", ""
	}
	return "GET", "/busy", "/busy", ""
}

var upload = strings.Repeat("abcdefghijklmnop", 256)

// do sends one request and reads the whole answer.
func (c *client) do(method, path, body string) (int, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s?secret=hunter2 HTTP/1.1\r\nHost: truth.example\r\nAuthorization: Bearer hunter2\r\n", method, path)
	switch {
	case body == "chunked":
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n400\r\n" + upload[:1024] + "\r\n200\r\n" + upload[:512] + "\r\n0\r\n\r\n")
	case body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		b.WriteString("\r\n")
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}
