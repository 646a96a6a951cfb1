package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
)

// lab is what a server reads, set by the test.
type lab struct {
	mu      sync.Mutex
	now     *core.Snapshot
	changed chan struct{}
	units   map[string]core.Unit
}

func newLab() *lab {
	return &lab{now: &core.Snapshot{}, changed: make(chan struct{}), units: map[string]core.Unit{}}
}

func (l *lab) Latest() *core.Snapshot   { l.mu.Lock(); defer l.mu.Unlock(); return l.now }
func (l *lab) Changed() <-chan struct{} { l.mu.Lock(); defer l.mu.Unlock(); return l.changed }
func (l *lab) Lookup(id string) (core.Spec, core.Unit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.units[id]
	return core.Spec{ID: id}, u, ok
}

// set publishes a snapshot after f changed it.
func (l *lab) set(f func(s *core.Snapshot)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := *l.now
	s.Seq, s.At = s.Seq+1, time.Now()
	s.Self.Version = "1.2.3"
	if f != nil {
		f(&s)
	}
	l.now = &s
}

// add makes a unit of an integration that runs.
func (l *lab) add(kind, instance string, u core.Unit) string {
	id := "integration/" + kind + "/" + instance
	l.set(func(s *core.Snapshot) {
		s.Units = append(s.Units[:len(s.Units):len(s.Units)], &core.UnitRow{ID: id, Class: core.ClassIntegration, Kind: kind,
			Phase: core.PhaseRunning, Health: core.HealthOK})
	})
	l.mu.Lock()
	l.units[id] = u
	l.mu.Unlock()
	return id
}

// phase moves a unit.
func (l *lab) phase(id string, f func(*core.UnitRow)) {
	l.set(func(s *core.Snapshot) {
		rows := append([]*core.UnitRow(nil), s.Units...)
		for i, r := range rows {
			if r.ID == id {
				moved := *r
				f(&moved)
				rows[i] = &moved
			}
		}
		s.Units = rows
	})
}

// unit has every ability, as far as its hooks are set.
type unit struct {
	check   func(context.Context, core.CheckRequest) (core.Finding, error)
	collect func(context.Context, core.CheckRequest) ([]core.Family, error)
	handler func() (http.Handler, error)
	targets []core.Target
}

func (*unit) Attach(context.Context) (core.Parts, error)    { return nil, nil }
func (*unit) Serve(ctx context.Context, ready func()) error { ready(); <-ctx.Done(); return nil }
func (*unit) Detach(context.Context) error                  { return nil }
func (u *unit) Targets() []core.Target                      { return u.targets }
func (u *unit) CheckHealth(ctx context.Context, r core.CheckRequest) (core.Finding, error) {
	if u.check == nil {
		return core.Healthy("fine"), nil
	}
	return u.check(ctx, r)
}
func (u *unit) Collect(ctx context.Context, r core.CheckRequest) ([]core.Family, error) {
	if u.collect == nil {
		return nil, nil
	}
	return u.collect(ctx, r)
}
func (u *unit) Handler() (http.Handler, error) {
	if u.handler == nil {
		return nil, nil
	}
	return u.handler()
}

// gauge is a family of one series.
func gauge(name string, v float64) core.Family {
	return core.Family{Name: name, Help: "A level", Kind: core.Gauge, Series: []core.Series{{V: v}}}
}

// server makes a server of the lab.
func (l *lab) server(t *testing.T, set ...func(*Config)) *Server {
	t.Helper()
	c := Config{Source: l, Directory: l, Instance: "here", Advertise: "10.0.0.1:9435"}
	for _, f := range set {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks a handler; headers are names and values in turn.
func get(t *testing.T, s *Server, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// listen serves on a free port of 127.0.0.1 until the test ends.
func listen(t *testing.T, s *Server) (address string, stop func() error) {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return l.Addr().String(), stop
}

// raw sends text over a connection and reads the answer to the end.
func raw(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(c)
	return string(b)
}
