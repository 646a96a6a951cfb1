// Package http1 reads the beginnings of HTTP/1.0 and HTTP/1.1 messages: what a
// capture holds of a request or of an answer, which may end anywhere. It tells
// what is HTTP and what is not, and what of it may be shown: never query values,
// credentials, cookies or bodies.
//
// All functions are pure, allocate nothing, and return slices of their input.
package http1

import "bytes"

// Request is the head of a request, as far as it was captured.
type Request struct {
	Method string // a constant: one of the known methods
	// Path is the path of the request target: no query, no fragment, no
	// parameters, "*" or the authority kept as they are. It is empty for CONNECT.
	Path []byte
	// Cut says that the capture ended inside Path.
	Cut bool
	// Host is the authority of an absolute target, else the Host header; empty
	// when neither was captured whole.
	Host []byte
	Framing
	// Continue says that the client waits for a 100 before it sends the body.
	Continue bool
}

// Response is the head of an answer, as far as it was captured.
type Response struct {
	Status int
	Framing
}

// Framing is what a head says about where its message ends.
type Framing struct {
	Head    int   // length of the head with its empty line, 0 when the capture ended before
	Length  int64 // Content-Length, -1 when there was none
	Chunked bool
	Minor   int // of the protocol version: 0 or 1; -1 when the capture ended before
}

// Parse reads a request's head from b and reports whether it is one: a known
// method, a target, and a version of HTTP/1 unless b ends before it.
func (r *Request) Parse(b []byte) bool {
	*r = Request{Framing: Framing{Length: -1, Minor: -1}}
	b = skipEmptyLines(b)
	method, n := Method(b)
	if n == 0 {
		return false
	}
	line, rest, whole := cutLine(b[n:])
	if !r.line(method, line, whole) {
		return false
	}
	if whole {
		r.headers(rest, len(b)-len(rest), r)
	}
	return true
}

// line reads what follows the method on the request line; whole is false when
// the line was cut.
func (r *Request) line(method string, line []byte, whole bool) bool {
	target, version, spaced := bytes.Cut(line, space)
	if whole {
		if !spaced || !r.version(version) {
			return false
		}
	} else if spaced && !isPrefix(version[:min(len(version), 7)], "HTTP/1.") && len(version) > 0 {
		return false
	}
	r.Method = method
	return r.target(method, target, !spaced && !whole)
}

// Parse reads a status line and its headers from b and reports whether it is one.
func (r *Response) Parse(b []byte) bool {
	*r = Response{Framing: Framing{Length: -1, Minor: -1}}
	if len(b) < 12 || b[8] != ' ' || !r.version(b[:8]) {
		return false
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return false
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || len(b) > 12 && b[12] != ' ' && b[12] != '\r' && b[12] != '\n' {
		return false
	}
	if _, rest, whole := cutLine(b); whole {
		r.headers(rest, len(b)-len(rest), nil)
	}
	return true
}

// NoBody reports whether an answer with this status to this method ends with
// its head, whatever the head says.
func NoBody(method string, status int) bool {
	return method == "HEAD" || status < 200 || status == 204 || status == 304
}

var (
	space   = []byte(" ")
	methods = [...]string{
		"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE",
		"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "PURGE", "QUERY",
	}
)

// Method gives the known method that b begins with and the bytes it takes with
// the space behind it; 0 when there is none.
func Method(b []byte) (string, int) {
	for _, m := range &methods {
		if len(b) > len(m) && b[len(m)] == ' ' && string(b[:len(m)]) == m {
			return m, len(m) + 1
		}
	}
	return "", 0
}

// Verb gives the known method that b is, "" when it is none.
func Verb(b []byte) string {
	for _, m := range &methods {
		if string(b) == m {
			return m
		}
	}
	return ""
}

// Beheaded gives the first byte of a method when b begins with the rest of it:
// a server that reads one byte ahead has the first byte in an earlier read.
func Beheaded(b []byte) (first byte, ok bool) {
	for _, m := range methods[:9] {
		if len(b) >= len(m) && b[len(m)-1] == ' ' && string(b[:len(m)-1]) == m[1:] {
			return m[0], true
		}
	}
	return 0, false
}

func (f *Framing) version(v []byte) bool {
	if len(v) != 8 || string(v[:7]) != "HTTP/1." || v[7] != '0' && v[7] != '1' {
		return false
	}
	f.Minor = int(v[7] - '0')
	return true
}

// target takes the request target apart; cut says that it may go on.
func (r *Request) target(method string, t []byte, cut bool) bool {
	// Whatever matters is below 64, as bits of a word; nearly nothing of a path is.
	const never, ends = 1<<(' '+1) - 1, 1<<'?' | 1<<'#' | 1<<';'
	end := -1 // of the path
	for i, c := range t {
		if c < 64 && uint64(never|ends)>>c&1 != 0 || c == 0x7f {
			if c <= ' ' || c == 0x7f {
				return false
			}
			if end < 0 {
				end = i
			}
		}
	}
	if len(t) == 0 {
		r.Cut = cut
		return cut
	}
	if method == "CONNECT" {
		if !cut {
			r.Host = t
		}
		return true
	}
	if t[0] != '/' {
		if string(t) == "*" {
			r.Path = t
			return true
		}
		scheme := bytes.Index(t, []byte("://"))
		if scheme < 1 {
			r.Cut = cut
			return cut && isPrefix(t, "http://", "https://")
		}
		t = t[scheme+3:]
		path := bytes.IndexAny(t, "/?#")
		if path < 0 {
			if r.Cut = cut; !cut {
				r.Host = withoutUser(t)
			}
			return true
		}
		r.Host, t = withoutUser(t[:path]), t[path:]
		end = bytes.IndexAny(t, "?#;")
	}
	if end >= 0 {
		t, cut = t[:end], false
	}
	r.Path, r.Cut = t, cut
	return true
}

// withoutUser drops "user:password@" of an authority.
func withoutUser(b []byte) []byte { return b[bytes.LastIndexByte(b, '@')+1:] }

// isPrefix reports whether one of the strings begins with b.
func isPrefix(b []byte, of ...string) bool {
	for _, s := range of {
		if len(b) <= len(s) && s[:len(b)] == string(b) {
			return true
		}
	}
	return false
}

// headers reads the header lines in b, which begin at offset in the message.
func (f *Framing) headers(b []byte, offset int, req *Request) {
	for len(b) > 0 {
		line, rest, whole := cutLine(b)
		if !whole {
			return
		}
		offset += len(b) - len(rest)
		b = rest
		if len(line) == 0 {
			f.Head = offset
			return
		}
		f.header(line, req)
	}
}

func (f *Framing) header(line []byte, req *Request) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	switch name := line[:colon]; colon {
	case 4:
		if req != nil && len(req.Host) == 0 && equalFold(name, "host") {
			req.Host = bytes.TrimSpace(line[colon+1:])
		}
	case 6:
		if req != nil && equalFold(name, "expect") {
			req.Continue = equalFold(bytes.TrimSpace(line[colon+1:]), "100-continue")
		}
	case 14:
		if equalFold(name, "content-length") {
			f.Length = number(bytes.TrimSpace(line[colon+1:]))
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			v := bytes.TrimSpace(line[colon+1:])
			f.Chunked = len(v) >= 7 && equalFold(v[len(v)-7:], "chunked")
		}
	}
}

// number gives the decimal number in b, -1 when it is none or too large to be one.
func number(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// equalFold compares b with lower, which is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// cutLine gives the first line of b without its end, and what follows; whole is
// false when b ends before the line does.
func cutLine(b []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil, false
	}
	line = b[:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, b[i+1:], true
}

func skipEmptyLines(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
