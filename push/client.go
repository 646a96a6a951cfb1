package push

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/common/config"

	"vitals/core"
)

const (
	dialTimeout = 3 * time.Second
	maxDrain    = 64 << 10 // of an answer, so that its connection can be reused
	maxText     = 300      // of an answer's words in an error
)

// client sends single requests to one group of one gateway.
type client struct {
	*settings
	mu   sync.Mutex // guards what follows, where As is set
	http *http.Client
	read string   // fingerprint of the settings with what their files held
	told []string // the secrets in those
}

// newClient reads the certificate files that the settings name.
func newClient(s *settings) (c *client, err error) {
	c = &client{settings: s}
	if s.As == nil {
		c.http, err = c.build(s.HTTP)
	} else {
		_, err = c.current()
	}
	return c, err
}

func (c *client) build(from *config.HTTPClientConfig) (*http.Client, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	h, err := config.NewClientFromConfig(*from, "push",
		config.WithDialContextFunc(dialer.DialContext),
		config.WithUserAgent("vitals/"+cmp.Or(c.Version, "dev")))
	if err != nil {
		return nil, fmt.Errorf("push client settings: %s", c.settings.redact(err.Error()))
	}
	h.CheckRedirect = followRedirect
	return h, nil
}

// redact removes the secrets of the settings and of the files that they name.
func (c *client) redact(text string) string {
	c.mu.Lock()
	told := c.told
	c.mu.Unlock()
	return hide(c.settings.redact(text), told)
}

// followRedirect follows only what keeps method, body and host: anything else
// would lose the push or hand it, with its credentials, to somebody else.
func followRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	status := 0
	if req.Response != nil {
		status = req.Response.StatusCode
	}
	keeps := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !keeps || req.URL.Host != from.Host || req.URL.Scheme != from.Scheme || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// answer is how one request ended.
type answer struct {
	verdict verdict
	status  int
	wait    time.Duration // what the server asked for, 0 without
	err     error         // nil when delivered; fit to be shown
}

// send makes one request and reads its answer to the end, within ctx.
func (c *client) send(ctx context.Context, method string, body []byte, contentType string, packed Compression) answer {
	return c.ask(ctx, method, c.target, body, contentType, packed)
}

func (c *client) ask(ctx context.Context, method, url string, body []byte, contentType string, packed Compression) answer {
	// The reader is replayable, which a redirect and a connection that the
	// server closed in the meantime need.
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{verdict: permanent, err: fmt.Errorf("push to %s: %s", c.shown, c.redact(err.Error()))}
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if packed != None {
		req.Header.Set("Content-Encoding", string(packed))
	}
	// Pushing the same twice is harmless. The empty key says so to the transport
	// and is not sent.
	req.Header["Idempotency-Key"] = []string{}

	h, err := c.current()
	if err != nil {
		return answer{verdict: transient, err: fmt.Errorf("push to %s: %w", c.shown, err)}
	}
	call := core.StartCall(c.Recorder, "push")
	resp, err := h.Do(req)
	call.End(err)
	if err != nil {
		return c.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxDrain))

	a := answer{verdict: classify(resp.StatusCode), status: resp.StatusCode}
	if a.verdict == delivered {
		return a
	}
	a.wait = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	said := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if t := cleanText(c.redact(string(text)), maxText); t != "" {
		said += ": " + t
	}
	a.err = &core.Remedied{
		Err:       fmt.Errorf("push to %s: %s", c.shown, said),
		Remedy:    remedy(resp.StatusCode),
		Permanent: a.verdict == permanent,
	}
	return a
}

// unanswered explains why there was no answer.
func (c *client) unanswered(ctx context.Context, err error) answer {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return answer{verdict: cancelled, err: fmt.Errorf("push to %s: %w", c.shown, cause)}
	}
	if ctx.Err() != nil {
		err = &core.Remedied{
			Err:    fmt.Errorf("push to %s: no answer in time: %w", c.shown, context.DeadlineExceeded),
			Remedy: "is the gateway overloaded, or something between us dropping packets?",
		}
		return answer{verdict: transient, err: err}
	}
	// The outer error repeats method and address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	text := cleanText(c.redact(err.Error()), maxText)
	return answer{verdict: transient, err: &core.Remedied{
		Err:    fmt.Errorf("push to %s: %w", c.shown, &redacted{err, text}),
		Remedy: unansweredRemedy(err),
	}}
}

func unansweredRemedy(err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nothing listens there: is the gateway running?"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "check the host name of the push address"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "name its authority with ca_file in tls_config of the push destination"
	}
	return ""
}

// redacted is an error whose text was made fit to be shown.
type redacted struct {
	err  error
	text string
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// redact removes the secrets that we know from words that we did not write.
// Shorter ones would make the text unreadable and tell nothing.
func (s *settings) redact(text string) string { return hide(text, s.secrets) }

func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 3 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
