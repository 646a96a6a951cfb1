package blackbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"vitals/core/integrations/kit"
)

const maxBody = 4 << 20

// timing adds up the parts of all requests of one probe. The transport reports
// from goroutines of its own.
type timing struct {
	mu                                             sync.Mutex
	resolve, connect, handshake, process, transfer time.Duration
	shaken, ready, written, first                  time.Time
	redirects                                      int
	state                                          *tls.ConnectionState
	ip                                             netip.Addr
	looked                                         time.Duration
}

func (t *timing) set(f func(now time.Time)) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	f(now)
}

func (t *timing) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		TLSHandshakeStart: func() { t.set(func(now time.Time) { t.shaken = now }) },
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			t.set(func(now time.Time) { t.handshake += now.Sub(t.shaken) })
		},
		GotConn:      func(httptrace.GotConnInfo) { t.set(func(now time.Time) { t.ready, t.written = now, time.Time{} }) },
		WroteRequest: func(httptrace.WroteRequestInfo) { t.set(func(now time.Time) { t.written = now }) },
		GotFirstResponseByte: func() {
			t.set(func(now time.Time) {
				sent := t.written
				if sent.IsZero() { // the answer came before the transport could say that it wrote
					sent = t.ready
				}
				t.first, t.process = now, t.process+now.Sub(sent)
			})
		},
	}
}

// http asks for a page, on connections of its own.
func (c *collector) http(ctx context.Context, b *kit.Batch) error {
	t := &timing{}
	client, err := c.client(ctx, t)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, t.trace()), c.settings.Method, c.settings.Target, nil)
	if err != nil {
		return errors.New("the request cannot be made")
	}
	req.Header.Set("User-Agent", "vitals")
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return err
	}
	if password != "" || c.settings.User != "" {
		req.SetBasicAuth(c.settings.User, password)
	}
	resp, err := client.Do(req)
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		t.set(func(now time.Time) { t.transfer = now.Sub(t.first) })
	}
	c.timed(t, b)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return err
	}
	return c.judge(resp, body, b)
}

func (c *collector) client(ctx context.Context, t *timing) (*http.Client, error) {
	config, err := c.config(ctx, func(s tls.ConnectionState) { t.set(func(time.Time) { t.state = &s }) })
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: config, MaxResponseHeaderBytes: 256 << 10, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
			began := time.Now()
			conn, err := c.dial(ctx, network, at, func(took time.Duration, ip netip.Addr) {
				t.set(func(time.Time) {
					if !t.ip.IsValid() {
						t.looked, t.ip = took, ip
					}
					t.resolve += took
					began = began.Add(took)
				})
			})
			t.set(func(now time.Time) { t.connect += now.Sub(began) })
			return conn, err
		},
	}
	return &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if c.settings.NoRedirects {
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return errors.New("more than ten redirects")
		}
		t.set(func(time.Time) { t.redirects = len(via) })
		return nil
	}}, nil
}

// timed tells what was measured, however far it came.
func (c *collector) timed(t *timing, b *kit.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ip.IsValid() {
		address(b)(t.looked, t.ip)
	}
	for _, p := range []struct {
		phase string
		took  time.Duration
	}{{"resolve", t.resolve}, {"connect", t.connect}, {"tls", t.handshake}, {"processing", t.process}, {"transfer", t.transfer}} {
		b.Add(phases, p.took.Seconds(), p.phase)
	}
	b.Add(redirects, float64(t.redirects))
	if t.state != nil {
		c.certificates(*t.state, time.Now(), b)
	}
}

// judge tells what came, and whether that is good.
func (c *collector) judge(resp *http.Response, body []byte, b *kit.Batch) error {
	b.Add(statusCode, float64(resp.StatusCode))
	b.Add(contentLength, float64(resp.ContentLength))
	b.Add(bodyLength, float64(len(body)))
	version, _ := strconv.ParseFloat(fmt.Sprintf("%d.%d", resp.ProtoMajor, resp.ProtoMinor), 64)
	b.Add(httpVersion, version)
	b.Add(httpTLS, map[bool]float64{true: 1}[resp.TLS != nil])
	good := resp.StatusCode >= 200 && resp.StatusCode <= 299
	if len(c.settings.Status) > 0 {
		good = slices.Contains(c.settings.Status, resp.StatusCode)
	}
	if c.match != nil {
		matched := c.match.Match(body[:min(len(body), maxBody)])
		b.Add(mismatch, map[bool]float64{false: 1}[matched])
		if !matched && good {
			return errors.New("the body does not match")
		}
	}
	if !good {
		return fmt.Errorf("it answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if len(body) > maxBody {
		return fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	return nil
}
