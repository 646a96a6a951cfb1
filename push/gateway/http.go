package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
	"vitals/push/codec"
)

// route is one address: its name in metrics, and who answers which method.
type route struct {
	name    string
	methods map[string]http.HandlerFunc
}

func (g *Gateway) route(path string) route {
	get := func(name string, h http.HandlerFunc) route {
		return route{name, map[string]http.HandlerFunc{http.MethodGet: h, http.MethodHead: h}}
	}
	put := func(name string, h http.HandlerFunc) route {
		return route{name, map[string]http.HandlerFunc{http.MethodPut: h, http.MethodPost: h}}
	}
	switch path {
	case "/":
		return get("status", g.page)
	case "/metrics":
		return get("metrics", g.metrics)
	case "/-/healthy", "/-/ready":
		return get(path[3:], g.healthy)
	case "/-/quit":
		return put("quit", g.quit)
	case "/api/v1/status":
		return get("api/v1/status", g.apiStatus)
	case "/api/v1/metrics":
		return get("api/v1/metrics", g.apiMetrics)
	case "/api/v1/admin/wipe":
		if g.Admin {
			return route{"wipe", map[string]http.HandlerFunc{http.MethodPut: g.wipe}}
		}
	}
	if strings.HasPrefix(path, "/metrics/job/") || strings.HasPrefix(path, "/metrics/job"+base64Suffix+"/") {
		return route{"push", map[string]http.HandlerFunc{http.MethodPut: g.push, http.MethodPost: g.push, http.MethodDelete: g.delete}}
	}
	return route{name: "unknown"}
}

// ServeHTTP answers the whole API. Requests that a browser makes for another
// site are refused, or every page could push to a gateway on localhost.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := g.route(r.URL.EscapedPath())
	name := to.name
	if name == "push" && r.Method == http.MethodDelete {
		name = "delete"
	}
	rec := &recorder{ResponseWriter: w, code: http.StatusOK}
	defer func() {
		g.own.requests.WithLabelValues(strconv.Itoa(rec.code), name, methodName(r.Method)).Inc()
	}()
	handle, ok := to.methods[r.Method]
	switch {
	case to.methods == nil:
		answer(rec, r, &refusal{status: http.StatusNotFound, err: errors.New("there is nothing at this address: push to /metrics/job/<job>, read /metrics")})
	case r.Method == http.MethodOptions:
		rec.Header().Set("Allow", to.allow())
	case !ok:
		answer(rec, r, &refusal{status: http.StatusMethodNotAllowed, allow: to.allow(), err: fmt.Errorf("this address takes %s", to.allow())})
	default:
		if err := g.origin.Check(r); err != nil {
			answer(rec, r, &refusal{status: http.StatusForbidden, err: err})
			return
		}
		if err := g.allowed(to, r); err != nil {
			answer(rec, r, err)
			return
		}
		handle(rec, r)
	}
}

// allowed keeps the pace of clients that change something.
func (g *Gateway) allowed(to route, r *http.Request) error {
	if to.name != "push" && to.name != "wipe" {
		return nil
	}
	wait := g.pace.take(r.RemoteAddr)
	if wait <= 0 {
		return nil
	}
	err := &refusal{status: http.StatusTooManyRequests, retry: (wait + time.Second - 1).Truncate(time.Second),
		err: fmt.Errorf("more than %g pushes a second from this address: put series together in one push, or push less often", g.Rate)}
	g.own.refused.WithLabelValues(strconv.Itoa(err.status)).Inc()
	g.tally.pushed(err)
	return err
}

func (r route) allow() string {
	var out []string
	for _, m := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut} {
		if r.methods[m] != nil || m == http.MethodOptions {
			out = append(out, m)
		}
	}
	return strings.Join(out, ", ")
}

func methodName(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions:
		return strings.ToLower(m)
	}
	return "other"
}

// recorder keeps the status.
type recorder struct {
	http.ResponseWriter
	code    int
	written bool
}

func (r *recorder) WriteHeader(code int) {
	if !r.written {
		r.code, r.written = code, true
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.written = true
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (g *Gateway) push(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	size, err := g.take(w, r)
	method := methodName(r.Method)
	g.own.duration.WithLabelValues(method).Observe(time.Since(began).Seconds())
	g.own.size.WithLabelValues(method).Observe(float64(size))
	g.tally.pushed(err)
	switch {
	case err != nil:
		var ref *refusal
		code := http.StatusInternalServerError
		if errors.As(err, &ref) {
			code = ref.status
		}
		g.own.refused.WithLabelValues(strconv.Itoa(code)).Inc()
		g.Log.Debug("push refused", "path", core.Clean(r.URL.Path, 256), "from", r.RemoteAddr, "error", err)
		answer(w, r, err)
	case g.Unchecked:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// take does a push, within the timeout.
func (g *Gateway) take(w http.ResponseWriter, r *http.Request) (size int64, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), g.Timeout)
	defer cancel()
	key, err := parseKey(strings.TrimPrefix(r.URL.EscapedPath(), "/metrics/"), g.Limits, g.UTF8Names)
	if err != nil {
		return 0, err
	}
	ttl, err := g.ttl(r.Header.Get("X-Push-TTL"))
	if err != nil {
		return 0, err
	}
	b, err := g.intake.read(ctx, w, r)
	if err != nil {
		return 0, err
	}
	defer b.release()
	c := &change{op: opPut, key: key, ttl: ttl}
	if r.Method == http.MethodPost {
		c.op = opPost
	}
	if c.families, err = newBuilder(g, key).build(b.format, b.data); err != nil {
		if ref, ok := errors.AsType[*refusal](err); ok && ref.fails {
			_ = g.submit(ctx, &change{op: opFail, key: key, cause: err.Error()})
		}
		return b.wire, err
	}
	if err := g.submit(ctx, c); err != nil {
		return b.wire, err
	}
	if len(g.Sinks) > 0 {
		g.tell(ctx, key, r.Method, b)
	}
	return b.wire, nil
}

// ttl reads the header that asks for another time to live: a duration, or
// seconds; 0 means never.
func (g *Gateway) ttl(header string) (time.Duration, error) {
	if header == "" {
		return g.TTL, nil
	}
	d, err := time.ParseDuration(header)
	if err != nil {
		var seconds uint32
		if _, scan := fmt.Sscanf(header, "%d", &seconds); scan == nil && strconv.Itoa(int(seconds)) == header {
			d, err = time.Duration(seconds)*time.Second, nil
		}
	}
	if err != nil || d < 0 {
		return 0, malformed("X-Push-TTL %q is not a duration: give one such as 10m, or seconds", core.Clean(header, 64))
	}
	return d, nil
}

// tell gives sinks what was pushed. Decoding it again is the price of keeping
// what is stored and what is sent on apart.
func (g *Gateway) tell(ctx context.Context, key Key, method string, b *body) {
	m, err := message(b, g.UTF8Names, g.Limits, g.Transforms, g.Format)
	m.Key, m.Method = key, method
	for _, s := range g.Sinks {
		failure := err
		if failure == nil {
			failure = s.WriteMessage(ctx, m)
		}
		if failure != nil {
			g.own.sinks.Inc()
			g.Log.Warn("a sink did not take a push", "group", key.String(), "error", failure)
		}
	}
}

func (g *Gateway) delete(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), g.Timeout)
	defer cancel()
	key, err := parseKey(strings.TrimPrefix(r.URL.EscapedPath(), "/metrics/"), g.Limits, g.UTF8Names)
	if err == nil {
		err = g.submit(ctx, &change{op: opDelete, key: key})
	}
	g.accepted(w, r, err)
}

func (g *Gateway) wipe(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), g.Timeout)
	defer cancel()
	g.accepted(w, r, g.submit(ctx, &change{op: opWipe}))
}

func (g *Gateway) accepted(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// unwell says why changes do not get through to the store, nil when they do.
func (g *Gateway) unwell() error {
	switch text := g.storeErr.Load(); {
	case g.closing.Load():
		return unavailable("the gateway is shutting down")
	case len(g.queue) == cap(g.queue):
		return unavailable("the queue is full: %d changes wait", cap(g.queue))
	case text != nil:
		return unavailable("groups cannot be stored: %s", *text)
	}
	return nil
}

func (g *Gateway) healthy(w http.ResponseWriter, r *http.Request) {
	if err := g.unwell(); err != nil {
		answer(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "OK")
}

func (g *Gateway) quit(w http.ResponseWriter, r *http.Request) {
	if g.Quit == nil {
		answer(w, r, &refusal{status: http.StatusForbidden, err: errors.New("quitting by request is not enabled")})
		return
	}
	io.WriteString(w, "Requesting termination... Goodbye!")
	g.Quit()
}

// collectFamilies decodes a body into whole families.
func collectFamilies(b *body, utf8Names bool, l Limits) ([]*dto.MetricFamily, error) {
	var out []*dto.MetricFamily
	series := 0
	at := map[string]*dto.MetricFamily{}
	err := codec.Decode(b.format, b.data, codec.Options{UTF8Names: utf8Names}, func(part *dto.MetricFamily) error {
		f := at[part.GetName()]
		switch series += len(part.Metric); {
		case series > l.PushSeries:
			return exceeded("series in one push or more", series, l.PushSeries)
		case len(out) > l.PushFamilies:
			return exceeded("families in one push or more", len(out), l.PushFamilies)
		case f == nil:
			at[part.GetName()] = part
			out = append(out, part)
		case f.GetType() != part.GetType():
			return inconsistent("%s is a %s and a %s in one push", core.Clean(f.GetName(), core.MaxName), kindName(f.GetType()), kindName(part.GetType()))
		default:
			f.Metric = append(f.Metric, part.Metric...)
		}
		return nil
	})
	if err != nil {
		return nil, readError(err)
	}
	return out, nil
}
