package http1

import (
	"bytes"
	"strings"
	"testing"
)

func TestRequest(t *testing.T) {
	for _, c := range []struct {
		in           string
		ok           bool
		method, path string
		host         string
		head         int
		length       int64
	}{
		{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", true, "GET", "/", "a.example", 35, -1},
		{"GET /a?token=hunter2 HTTP/1.0\r\n\r\n", true, "GET", "/a", "", 33, -1},
		{"GET /a;session=1?x HTTP/1.1\nhost:b\n\n", true, "GET", "/a", "b", 36, -1},
		{"POST /u HTTP/1.1\r\ncontent-LENGTH: 12\r\n\r\nbody", true, "POST", "/u", "", 40, 12},
		{"\r\nGET / HTTP/1.1\r\n\r\n", true, "GET", "/", "", 18, -1},
		{"GET http://u:secret@c.example:81/p?q HTTP/1.1\r\nHost: d\r\n\r\n", true, "GET", "/p", "c.example:81", 58, -1},
		{"GET http://c.example HTTP/1.1\r\n\r\n", true, "GET", "", "c.example", 33, -1},
		{"CONNECT e.example:443 HTTP/1.1\r\n\r\n", true, "CONNECT", "", "e.example:443", 34, -1},
		{"OPTIONS * HTTP/1.1\r\n\r\n", true, "OPTIONS", "*", "", 22, -1},
		{"GET /cut/of", true, "GET", "/cut/of", "", 0, -1},
		{"GET /a HTT", true, "GET", "/a", "", 0, -1},
		{"GET /a HTTP/1.1\r\nHost: cut", true, "GET", "/a", "", 0, -1},
		{"POST /u HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", true, "POST", "/u", "", 58, -1},
		{"GET /a HTTP/2.0\r\n\r\n", false, "", "", "", 0, 0},
		{"PRI * HTTP/2.0\r\n\r\n", false, "", "", "", 0, 0},
		{"GET /a\r\n\r\n", false, "", "", "", 0, 0},
		{"GET relative HTTP/1.1\r\n\r\n", false, "", "", "", 0, 0},
		{"GET /a\x00b HTTP/1.1\r\n\r\n", false, "", "", "", 0, 0},
		{"BREW /pot HTTP/1.1\r\n\r\n", false, "", "", "", 0, 0},
		{"GETTY", false, "", "", "", 0, 0},
		{"*1\r\n$4\r\nPING\r\n", false, "", "", "", 0, 0},
		{"", false, "", "", "", 0, 0},
	} {
		var r Request
		if ok := r.Parse([]byte(c.in)); ok != c.ok {
			t.Errorf("%q: %v, want %v", c.in, ok, c.ok)
			continue
		} else if !ok {
			continue
		}
		if r.Method != c.method || string(r.Path) != c.path || string(r.Host) != c.host || r.Head != c.head || r.Length != c.length {
			t.Errorf("%q: %s path %q host %q head %d length %d", c.in, r.Method, r.Path, r.Host, r.Head, r.Length)
		}
	}
}

func TestResponse(t *testing.T) {
	for in, want := range map[string]int{
		"HTTP/1.1 200 OK\r\n\r\n":   200,
		"HTTP/1.0 404 Not Found":    404,
		"HTTP/1.1 204":              204,
		"HTTP/1.1 100 Continue\r\n": 100,
		"HTTP/2.0 200 OK\r\n":       0,
		"HTTP/1.1 2000 OK\r\n":      0,
		"HTTP/1.1 2x0 OK\r\n":       0,
		"HTTP/1.1 ":                 0,
		"hello":                     0,
	} {
		var r Response
		if ok := r.Parse([]byte(in)); ok != (want != 0) || ok && r.Status != want {
			t.Errorf("%q: %v %d, want %d", in, ok, r.Status, want)
		}
	}
	var r Response
	r.Parse([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"))
	if !r.Chunked || r.Head == 0 {
		t.Errorf("%+v", r)
	}
}

func TestBeheaded(t *testing.T) {
	for _, m := range methods[:9] {
		first, ok := Beheaded([]byte(m[1:] + " /a HTTP/1.1\r\n"))
		if !ok || first != m[0] {
			t.Errorf("%s: %q %v", m, first, ok)
		}
		if _, ok := Beheaded([]byte(m + " /a")); ok {
			t.Errorf("%s is whole", m)
		}
	}
}

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"":           "/",
		"/":          "/",
		"/users/42":  "/users/{id}",
		"/users/42/": "/users/{id}/",
		"/items/9f1c2b3a-1c2d-4e3f-8a9b-0123456789ab": "/items/{id}",
		"/static/GPL-3":                 "/static/GPL-3",
		"/static/app.min.js":            "/static/app.min.js",
		"/api/v1/pods":                  "/api/v1/pods",
		"/oauth2/token":                 "/oauth2/token",
		"/blob/deadbeef00":              "/blob/{id}",
		"/o/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/o/{id}",
		"/k/V1StGXR8_Z5jdHi6B-myT":      "/k/{id}",
		"/how-to-install-go-on-linux":   "/how-to-install-go-on-linux",
		"/order-12345/lines":            "/order-{id}/lines",
		"/2024-01-02":                   "/{id}",
		"/mail/a@b.example":             "/mail/{id}",
		"//x":                           "//x",
		"*":                             "*",
	} {
		if got := string(AppendRoute(nil, []byte(path), false)); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	if got := string(AppendRoute(nil, []byte("/a/b/cut"), true)); got != "/a/b/*" {
		t.Errorf("cut: %q", got)
	}
	if got := string(AppendRoute(nil, []byte(strings.Repeat("/a", 40)), false)); got != strings.Repeat("/a", maxDepth)+"/*" {
		t.Errorf("deep: %q", got)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://u@h/p;x?q HTTP/1.0\n\n", "CONNECT a:1 HTTP/1.1\r\n", "POST /users/42?secret"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if !r.Parse(b) {
			return
		}
		if r.Head > len(b) || r.Length < -1 || bytes.ContainsAny(r.Path, "?#; \r\n") {
			t.Errorf("%q: %+v", b, r)
		}
		route := AppendRoute(nil, r.Path, r.Cut)
		if len(route) == 0 || len(route) > 2*len(b)+8 {
			t.Errorf("%q: route %q", b, route)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Response
		if r.Parse(b) && (r.Status < 100 || r.Status > 999 || r.Head > len(b)) {
			t.Errorf("%q: %+v", b, r)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	req := []byte("GET /users/42/orders/9f1c2b3a-1c2d-4e3f-8a9b-0123456789ab?x=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
	resp := []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 06")
	route := make([]byte, 0, 256)
	var q Request
	var a Response
	b.ReportAllocs()
	for b.Loop() {
		if !q.Parse(req) || !a.Parse(resp) {
			b.Fatal("not parsed")
		}
		route = AppendRoute(route[:0], q.Path, q.Cut)
	}
}
