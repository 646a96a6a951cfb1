package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"vitals/core"
)

// Web asks one server over HTTP, on one connection that is kept between
// requests. Redirects are answers, proxies are not used. It is safe for
// concurrent use.
type Web struct {
	transport *http.Transport
	client    *http.Client
	base      string
	endpoint  Endpoint
	life      context.Context // ends with Close
	end       context.CancelFunc
}

// Web makes a client of the server at an endpoint. Nothing is connected yet.
func (e Env) Web(at Endpoint, how TLS) *Web {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx, at.Network, at.Address) }
	w := &Web{base: "http://", endpoint: at, transport: &http.Transport{
		DialContext: dial, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * time.Minute, MaxResponseHeaderBytes: 64 << 10,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			always := how
			always.Enabled = true
			return always.Dial(ctx, e, at)
		},
	}}
	w.life, w.end = context.WithCancel(context.Background())
	if how.Enabled {
		w.base = "https://"
	}
	w.client = &http.Client{Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

// WebAnswer is what a server answered; Body is whole.
type WebAnswer struct {
	Status int
	Header http.Header
	Body   []byte
}

// errTooMuch is what Get returns for a body over its limit.
var errTooMuch = errors.New("the answer is larger than allowed")

// Get asks for a path and reads the answer into buf, at most limit bytes of it. A
// status of 400 and above is an error together with the answer: ErrCredentials
// for 401, ErrRights for 403. change, if given, adds to the request.
func (w *Web) Get(ctx context.Context, path string, buf []byte, limit int, change func(*http.Request)) (WebAnswer, error) {
	host := w.endpoint.Address
	if w.endpoint.Network == "unix" {
		host = "localhost"
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.life, func() { cancel(net.ErrClosed) })()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+host+path, nil)
	if err != nil {
		return WebAnswer{}, fmt.Errorf("path %q: it cannot be asked for", core.Clean(path, core.MaxName))
	}
	req.Header.Set("User-Agent", "vitals")
	if change != nil {
		change(req)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return WebAnswer{}, plainly(ctx, err)
	}
	defer resp.Body.Close()
	a := WebAnswer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = readAll(resp.Body, buf[:0], limit); err != nil {
		return WebAnswer{}, plainly(ctx, err)
	}
	if a.Status < 400 {
		return a, nil
	}
	err = fmt.Errorf("%s answers %d %s", core.Clean(path, core.MaxName), a.Status, http.StatusText(a.Status))
	switch a.Status {
	case http.StatusUnauthorized:
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	case http.StatusForbidden:
		err = fmt.Errorf("%w: %w", ErrRights, err)
	}
	return a, err
}

// Close ends the connection; a request that uses it fails.
func (w *Web) Close() {
	w.end()
	w.transport.CloseIdleConnections()
}

func readAll(r io.Reader, buf []byte, limit int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, fmt.Errorf("%w: more than %d bytes", errTooMuch, limit)
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}

// plainly takes the URL out of an error, which the reader knows and which may
// hold more than he should see, and says when it was the time that ran out.
func plainly(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
