package push

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"vitals/core"
)

func TestT33_BodyIsDelimitedProtobuf(t *testing.T) {
	for name, c := range map[string]struct {
		families func(*core.Snapshot) []*dto.MetricFamily
		method   string
		want     string
		encoding string
	}{
		"small":      {families, "", "PUT", ""},
		"compressed": {wide(500), "", "PUT", "gzip"},
		"T33 post":   {families, "post", "POST", ""},
	} {
		t.Run(name, func(t *testing.T) {
			gw := newRecorder(t, status200)
			cfg := testConfig(gw.URL)
			cfg.Families, cfg.Method = c.families, c.method
			var got rows
			cfg.Report = got.report
			if err := Once(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			all := gw.requests()
			if len(all) != 1 {
				t.Fatalf("%d requests", len(all))
			}
			r := all[0]
			if r.method != c.want || r.encoding != c.encoding || r.path != "/metrics/job/vitals/instance/web-1" {
				t.Errorf("%s %s, encoding %q", r.method, r.path, r.encoding)
			}
			mustContain(t, r.contentType, "application/vnd.google.protobuf", "proto=io.prometheus.client.MetricFamily", "encoding=delimited")
			want := c.families(cfg.Source.Latest())[0]
			if f := r.parsed(t)["http_server_requests_total"]; !proto.Equal(f, want) {
				t.Errorf("received %v", f)
			}
			row := got.last()
			if row.State != StateOK || row.Bytes != uint64(len(r.body)) || row.Series != uint64(len(want.Metric)) || row.Pushes != 1 {
				t.Errorf("row %+v", row)
			}
		})
	}
}

func TestT28_NothingGatheredNothingSent(t *testing.T) {
	gw := newRecorder(t, status200)
	for _, none := range [][]*dto.MetricFamily{nil, {{Name: proto.String("a")}}, {counter("push_time_seconds", "", 1)}} {
		c := testConfig(gw.URL)
		c.Families = func(*core.Snapshot) []*dto.MetricFamily { return none }
		if err := Once(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	if n := len(gw.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestT29_SlowGatherGivesTheContextError(t *testing.T) {
	gw := newRecorder(t, status200)
	c := testConfig(gw.URL)
	c.Fresh = func(ctx context.Context) *core.Snapshot { <-ctx.Done(); return nil }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Once(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := Once(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := len(gw.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestT30_HangingServer(t *testing.T) {
	ended := make(chan struct{})
	gw := newRecorder(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	defer close(ended)
	c := testConfig(gw.URL)
	c.Timeout = 50 * time.Millisecond
	began := time.Now()
	err := Once(t.Context(), c)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	mustContain(t, err.Error(), gw.URL, "no answer in time")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestT31_GatherErrorIsReturned(t *testing.T) {
	gw := newRecorder(t, status200)
	c := testConfig(gw.URL)
	c.Grouping = []Label{{"service_name", "x"}}
	err := Once(t.Context(), c)
	if err == nil || len(gw.requests()) != 0 {
		t.Fatalf("error %v, %d requests", err, len(gw.requests()))
	}
	mustContain(t, err.Error(), `label "service_name"`)
}

func TestT32_UnexpectedStatusTellsStatusAndBody(t *testing.T) {
	gw := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, "bad\x1b[2J\r\nlabels %s", strings.Repeat("x", 200_000))
	})
	err := Once(t.Context(), testConfig(gw.URL))
	if err == nil {
		t.Fatal("taken for a success")
	}
	mustContain(t, err.Error(), "422 Unprocessable Entity: bad·[2J labels xxx", gw.URL)
	if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\x1b\r\n") {
		t.Errorf("error of %d bytes: %.80q", len(err.Error()), err)
	}
	if !core.IsPermanent(err) {
		t.Error("422 is not permanent")
	}
}

func TestT35_SuccessStatuses(t *testing.T) {
	for _, code := range []int{200, 202, 204} {
		gw := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if err := Once(t.Context(), testConfig(gw.URL)); err != nil {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestT38_RedirectsKeepMethodBodyAndHost(t *testing.T) {
	other := newRecorder(t, status200)
	var to func(*http.Request) (string, int)
	gw := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved/") {
			return
		}
		where, status := to(r)
		http.Redirect(w, r, where, status)
	})
	same := func(r *http.Request) string { return "/moved" + r.URL.Path }
	for name, c := range map[string]struct {
		to       func(*http.Request) (string, int)
		followed bool
	}{
		"307 same host":  {func(r *http.Request) (string, int) { return same(r), 307 }, true},
		"308 same host":  {func(r *http.Request) (string, int) { return same(r), 308 }, true},
		"301 same host":  {func(r *http.Request) (string, int) { return same(r), 301 }, false},
		"302 same host":  {func(r *http.Request) (string, int) { return same(r), 302 }, false},
		"303 same host":  {func(r *http.Request) (string, int) { return same(r), 303 }, false},
		"307 other host": {func(r *http.Request) (string, int) { return other.URL + r.URL.Path, 307 }, false},
		"307 for ever":   {func(r *http.Request) (string, int) { return r.URL.Path, 307 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			to = c.to
			cfg := testConfig(strings.Replace(gw.URL, "http://", "http://u:pw-secret@", 1))
			cfg.Families = wide(100)
			err := Once(t.Context(), cfg)
			last := gw.requests()[len(gw.requests())-1]
			if !c.followed {
				if err == nil {
					t.Fatal("the redirect was taken for a success")
				}
				mustContain(t, err.Error(), "307 and 308 to the same host")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if last.method != "PUT" || len(last.parsed(t)) != 1 || last.auth == "" {
				t.Errorf("%s %s", last.method, last.path)
			}
		})
	}
	if n := len(other.requests()); n != 0 {
		t.Errorf("%d requests to another host", n)
	}
}

// A refused encoding is tried in the next form at once, and remembered.
func TestEncodingsFallBackToText(t *testing.T) {
	var accepts func(*http.Request) int
	gw := newRecorder(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(accepts(r)) })
	refuse := func(status int, ok func(*http.Request) bool) func(*http.Request) int {
		return func(r *http.Request) int {
			if ok(r) {
				return 200
			}
			return status
		}
	}
	plain := func(r *http.Request) bool { return r.Header.Get("Content-Encoding") == "" }
	text := func(r *http.Request) bool {
		return plain(r) && strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain")
	}
	for name, c := range map[string]struct {
		accepts func(*http.Request) int
		size    int
		want    string // the requests of two pushes
	}{
		"all":                     {refuse(415, func(*http.Request) bool { return true }), 200, "gz gz"},
		"no gzip, 415":            {refuse(415, plain), 200, "gz proto proto"},
		"no gzip, 400":            {refuse(400, plain), 200, "gz proto proto"},
		"text only":               {refuse(400, text), 200, "gz proto text text"},
		"text only, small":        {refuse(400, text), 1, "proto text text"},
		"nothing":                 {refuse(400, func(*http.Request) bool { return false }), 200, "gz proto text gz proto text"},
		"not an encoding trouble": {refuse(422, func(*http.Request) bool { return false }), 200, "gz gz"},
	} {
		t.Run(name, func(t *testing.T) {
			accepts = c.accepts
			cfg := testConfig(gw.URL)
			cfg.Families = wide(c.size)
			s, err := cfg.check()
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPusher(s)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			before := len(gw.requests())
			first := p.push(t.Context(), cfg.Source.Latest())
			second := p.push(t.Context(), cfg.Source.Latest())
			var got []string
			for _, r := range gw.requests()[before:] {
				switch {
				case r.encoding != "":
					got = append(got, "gz")
				case strings.HasPrefix(r.contentType, "text/plain"):
					got = append(got, "text")
				default:
					got = append(got, "proto")
				}
				if f := r.parsed(t)["http_server_requests_total"]; len(f.GetMetric()) != c.size {
					t.Errorf("body with %d metrics, want %d", len(f.GetMetric()), c.size)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("requests %q, want %q", s, c.want)
			}
			if fails := name == "nothing" || name == "not an encoding trouble"; (first.err != nil) != fails || (second.err != nil) != fails {
				t.Errorf("errors %v, %v", first.err, second.err)
			}
		})
	}
}

// P37_: of several refusals the first is told, and a DELETE is taken with 202.
func TestP37_FirstErrorIsKeptAndDeleteIsTaken(t *testing.T) {
	n := 0
	gw := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		n++
		http.Error(w, fmt.Sprintf("refusal %d", n), http.StatusBadRequest)
	})
	s, err := testConfig(gw.URL).check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	r := p.push(t.Context(), s.Source.Latest())
	if r.err == nil || n < 2 {
		t.Fatalf("error %v after %d requests", r.err, n)
	}
	mustContain(t, r.err.Error(), "refusal 1")
	if err := p.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if last := gw.requests()[n]; last.method != http.MethodDelete || last.path != "/metrics/job/vitals/instance/web-1" || len(last.body) != 0 {
		t.Errorf("%s %s with %d bytes", last.method, last.path, len(last.body))
	}
}

func TestT36_NothingOutlivesAPush(t *testing.T) {
	hang := make(chan struct{})
	gw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch strings.Split(r.URL.Path, "/")[3] { // the job
		case "hang":
			select {
			case <-r.Context().Done():
			case <-hang:
			}
		case "stall": // the answer begins and never ends
			w.WriteHeader(500)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "long":
			w.WriteHeader(500)
			_, _ = w.Write(make([]byte, 1<<20))
		}
	}))
	defer gw.Close()
	defer close(hang)
	for _, m := range []string{"ok", "hang", "stall", "long"} {
		t.Run(m, func(t *testing.T) {
			noLeaks(t, func() {
				c := testConfig(gw.URL)
				c.Job = m
				c.Timeout = 30 * time.Millisecond
				if m == "long" || m == "ok" {
					c.Timeout = 10 * time.Second
				}
				if err := Once(t.Context(), c); (err == nil) != (m == "ok") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestT37_ConnectionsAreReused(t *testing.T) {
	gw := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = w.Write(make([]byte, 32<<10))
	})
	s, err := testConfig(gw.URL).check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for range 5 {
		p.push(t.Context(), s.Source.Latest())
	}
	clients := map[string]bool{}
	for _, r := range gw.requests() {
		clients[r.client] = true
	}
	// net/http gives a connection up whose writer took 50 ms to say that it has
	// written, as it may on a machine that stalls: that happens once, not always.
	if len(gw.requests()) != 5 || len(clients) > 2 {
		t.Errorf("%d requests over %d connections", len(gw.requests()), len(clients))
	}
}

// Servers that are no HTTP servers, or stop being one half-way.
func TestBrokenServersAreTransientAndExplained(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		says  string
	}{
		"closes at once":     {func(c net.Conn) {}, "push to "},
		"closes after read":  {func(c net.Conn) { _, _ = bufio.NewReader(c).ReadString('\n') }, "push to "},
		"half an answer":     {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 20") }, "push to "},
		"garbage":            {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "SSH-2.0-\x1b[2J\r\n") }, "push to "},
		"writes side closed": {func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite(); _, _ = io.Copy(io.Discard, c) }, "push to "},
		"endless header": {func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-A: "+strings.Repeat("y", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, "push to "},
		"drips": {func(c net.Conn) {
			readRequest(c)
			for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") {
				time.Sleep(20 * time.Millisecond)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
			time.Sleep(time.Second)
		}, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() { defer conn.Close(); c.serve(conn) }()
				}
			}()
			cfg := testConfig(l.Addr().String())
			cfg.Timeout = 300 * time.Millisecond
			s, err := cfg.check()
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPusher(s)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			r := p.push(t.Context(), s.Source.Latest())
			if r.verdict != transient || r.err == nil {
				t.Fatalf("verdict %d, error %v", r.verdict, r.err)
			}
			mustContain(t, r.err.Error(), c.says, l.Addr().String())
			if strings.ContainsAny(r.err.Error(), "\x1b\r\n") {
				t.Errorf("control characters in %q", r.err)
			}
		})
	}
}

func readRequest(c net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func TestT49_DryRunShowsWhatWouldBeSentAndSendsNothing(t *testing.T) {
	gw := newRecorder(t, status200)
	c := testConfig(gw.URL)
	c.Grouping = []Label{{"zone", "a/b"}}
	var w strings.Builder
	if err := DryRun(t.Context(), &w, c); err != nil {
		t.Fatal(err)
	}
	mustContain(t, w.String(), "# PUT "+gw.URL+"/metrics/job/vitals/instance/web-1/zone@base64/YS9i\n",
		"encoding=delimited", "# 1 series in 1 families", "http_server_requests_total{service_name=\"shop\"} 1")
	if n := len(gw.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestT47_OnceTellsWhenNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = Once(t.Context(), testConfig(l.Addr().String()))
	if err == nil {
		t.Fatal("nothing listens, and Once is content")
	}
	mustContain(t, err.Error(), "connection refused", "is the gateway running?", l.Addr().String())
	if strings.Count(err.Error(), "/metrics/") != 0 {
		t.Errorf("the path is told: %v", err)
	}
}
