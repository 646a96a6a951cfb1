package kit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func plainEnv() Env {
	var d net.Dialer
	return Env{Dial: d.DialContext}
}

func TestWebKeepsOneConnection(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	w := plainEnv().Web(Endpoint{Network: "tcp", Address: s.Listener.Addr().String()}, TLS{})
	defer w.Close()
	for range 5 {
		a, err := w.Get(t.Context(), "/status", nil, 100, nil)
		if err != nil || string(a.Body) != "/status" {
			t.Fatalf("%q, %v", a.Body, err)
		}
	}
	if connections.Load() != 1 {
		t.Errorf("%d connections for five requests", connections.Load())
	}
}

func TestWebSaysWhatAnAnswerMeans(t *testing.T) {
	asked := make(chan struct{}, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			w.WriteHeader(http.StatusUnauthorized)
		case "/rights":
			w.WriteHeader(http.StatusForbidden)
		case "/moved":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case "/large":
			fmt.Fprint(w, strings.Repeat("x", 1<<20))
		case "/slow":
			asked <- struct{}{}
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	w := plainEnv().Web(Endpoint{Network: "tcp", Address: s.Listener.Addr().String()}, TLS{})
	defer w.Close()
	for path, want := range map[string]error{"/login": ErrCredentials, "/rights": ErrRights, "/large": errTooMuch, "/moved": nil} {
		a, err := w.Get(t.Context(), path, nil, 1000, nil)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
		if path == "/moved" && a.Status != http.StatusFound {
			t.Errorf("a redirect was followed: %d", a.Status)
		}
	}
	if a, err := w.Get(t.Context(), "/none", nil, 1000, nil); err == nil || a.Status != http.StatusNotFound {
		t.Errorf("not found: %d, %v", a.Status, err)
	}
	ctx, expire := expiring(t)
	go func() { <-asked; expire() }()
	if _, err := w.Get(ctx, "/slow", nil, 1000, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	go func() { <-asked; w.Close() }()
	if _, err := w.Get(t.Context(), "/slow", nil, 1000, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
}

func TestWebErrorsDoNotRepeatTheURL(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := plainEnv().Web(Endpoint{Network: "tcp", Address: l.Addr().String()}, TLS{})
	_, err = w.Get(t.Context(), "/x?token=s3cret", nil, 10, nil)
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

func TestWebTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer s.Close()
	at := Endpoint{Network: "tcp", Address: s.Listener.Addr().String()}
	w := plainEnv().Web(at, TLS{Enabled: true})
	if _, err := w.Get(t.Context(), "/", nil, 10, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	w = plainEnv().Web(at, TLS{Enabled: true, InsecureSkipVerify: true})
	defer w.Close()
	if _, err := w.Get(t.Context(), "/", nil, 10, nil); err != nil {
		t.Error(err)
	}
}
