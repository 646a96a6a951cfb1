package serve

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"

	"vitals/core"
)

// Handler answers everything. It may be mounted in another server, whose
// deadlines hold then.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve finds the page by the escaped path: what an id contains never moves a
// request elsewhere.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	path := r.URL.EscapedPath()
	rest := func(prefix string) (string, bool) { return strings.CutPrefix(path, prefix) }
	page, op := s.notFound, "serve other"
	switch {
	case path == "/" || path == "":
		page = s.index
	case path == "/metrics":
		page, op = s.metrics, "serve metrics"
	case path == "/health" || path == "/health/":
		page, op = s.health, "serve health"
	case path == "/sd":
		page, op = s.discovery, "serve targets"
	case path == "/api/v1/snapshot":
		page, op = s.snapshot, "serve snapshot"
	case path == "/-/healthy":
		page = s.healthy
	case path == "/-/ready":
		page = s.ready
	default:
		if id, ok := rest("/metrics/"); ok {
			page, op = func(w http.ResponseWriter, r *http.Request) error { return s.unitMetrics(w, r, id) }, "serve metrics"
		} else if id, ok := rest("/health/"); ok {
			page, op = func(w http.ResponseWriter, r *http.Request) error { return s.unitHealth(w, r, id) }, "serve health"
		} else if path, ok := rest("/integrations"); ok && (path == "" || path[0] == '/') {
			page, op = func(w http.ResponseWriter, r *http.Request) error { return s.integrations(w, r, path) }, "serve integrations"
		}
	}
	if strings.HasPrefix(op, "serve integrations") {
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.Limits.Body)
	} else if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		page = s.notAllowed
	}
	if err := s.strange(r); err != nil {
		page = func(w http.ResponseWriter, _ *http.Request) error {
			return answer(w, http.StatusMisdirectedRequest, err.Error())
		}
	}
	s.timed(op, page, w, r)
}

// timed runs a page as a call of ours. A panic is an answer of 500 as far as
// that is still possible, and never reaches the server.
func (s *Server) timed(op string, page func(http.ResponseWriter, *http.Request) error, w http.ResponseWriter, r *http.Request) {
	call := core.StartCall(s.cfg.Recorder, op)
	defer func() {
		v := recover()
		switch {
		case v == nil:
			return
		case v == http.ErrAbortHandler:
			call.End(errors.New("aborted"))
			panic(v)
		}
		call.End(&core.PanicError{Value: v})
		s.cfg.Log.Error("a page panicked", "path", core.Clean(r.URL.Path, core.MaxRoute), "panic", core.Clean(fmt.Sprint(v), core.MaxCmdline),
			"stack", string(debug.Stack()))
		http.Error(w, "something went wrong inside: the log has it", http.StatusInternalServerError)
	}()
	call.End(page(w, r))
}

// strange refuses requests for a name that is not this machine's when only this
// machine may ask: a web page that makes a browser believe that its own name
// stands for 127.0.0.1 would read everything. Users of a web configuration are
// asked for a password anyway.
func (s *Server) strange(r *http.Request) error {
	if s.cfg.WebConfig != "" {
		return nil
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !loopback(local) {
		return nil
	}
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	if own, _ := os.Hostname(); host == strings.ToLower(own) || host == strings.ToLower(s.cfg.Instance) {
		return nil
	}
	return fmt.Errorf("%q is not a name of this machine: ask for 127.0.0.1, or configure users with --web-config", core.Clean(host, core.MaxName))
}

// answer writes a line of text.
func answer(w http.ResponseWriter, code int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, err := fmt.Fprintln(w, text)
	return err
}

func (s *Server) notFound(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusNotFound, "there is no such page: / lists those there are")
}

func (s *Server) notAllowed(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusMethodNotAllowed, "this page can only be read: use GET")
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, "vitals is alive")
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.cfg.Source.Latest().Seq == 0 || !s.cfg.Ready() {
		w.Header().Set("Retry-After", "1")
		return answer(w, http.StatusServiceUnavailable, "vitals is starting: not all that is wanted is attached yet")
	}
	return answer(w, http.StatusOK, "vitals is ready")
}

// notYet answers before the first snapshot.
func notYet(w http.ResponseWriter) error {
	w.Header().Set("Retry-After", "1")
	return answer(w, http.StatusServiceUnavailable, "not yet available: vitals is starting")
}
