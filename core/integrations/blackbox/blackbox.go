// Package blackbox asks an address from outside, as a user would: HTTP, TCP, TLS
// with the expiry of its certificates, DNS.
package blackbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say what to ask and what is a good answer.
type Settings struct {
	// Target is "https://example.org/", "tcp://db:5432", "tls://mail:993", or
	// "dns://192.0.2.1/example.org" with ?type=AAAA.
	Target    string `yaml:"target"`
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
	// For HTTP: the method, the statuses that are good (none: 200 to 299), what the
	// body must match, and whether a redirect is the answer.
	Method      string `yaml:"method"`
	Status      []int  `yaml:"status"`
	Match       string `yaml:"match"`
	NoRedirects bool   `yaml:"no_redirects"`
	// CertificateDays is how many days before its end a certificate is complained of.
	CertificateDays int `yaml:"certificate_days"`
}

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "blackbox", Title: "Blackbox", Docs: "docs/integrations/blackbox.md",
		Help:      "whether an address answers as it should, how long it takes, and when its certificate ends; costs it one request each time",
		Defaults:  func() Settings { return Settings{Method: http.MethodGet, CertificateDays: 14} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return core.Redact(s.Target) }, // seen everywhere,
		Validate:  validate,
		Open:      open,
		Figures: []kit.Figure{
			{Title: "Up", Unit: "state", Chart: true, Of: kit.Level(success.Name)},
			{Title: "Took", Unit: "seconds", Chart: true, Of: kit.Level(duration.Name)},
			{Title: "Status", Of: kit.Level(statusCode.Name)},
			{Title: "Certificate", Unit: "seconds", Of: kit.Level(certificateLeft.Name)},
		},
		Metrics: metrics(),
	})
}

func normalise(s *Settings, _ kit.Shared) error {
	u, err := url.Parse(s.Target)
	if err != nil || u.Host == "" {
		return errors.New("target: it must be like https://example.org/, tcp://host:port, tls://host:port or dns://server/name")
	}
	if u.User != nil {
		return errors.New("target: user and password are keys of their own")
	}
	usual := map[string]string{"http": "80", "https": "443", "dns": "53"}
	if port, ok := usual[u.Scheme]; ok && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Path == "" && (u.Scheme == "http" || u.Scheme == "https") {
		u.Path = "/"
	}
	u.Fragment = ""
	s.Target = u.String()
	if s.Method == "" {
		s.Method = http.MethodGet
	}
	return nil
}

func validate(s Settings) error {
	u, err := url.Parse(s.Target)
	if err != nil {
		return errors.New("target: it cannot be read")
	}
	switch u.Scheme {
	case "http", "https":
		switch s.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			return errors.New("method: only GET, HEAD and OPTIONS change nothing")
		}
	case "tcp", "tls":
		if u.Port() == "" {
			return fmt.Errorf("target: %s needs a port", u.Scheme)
		}
	case "dns":
		if _, err := question(u); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	default:
		return fmt.Errorf("target: %q is none of http, https, tcp, tls, dns", core.Clean(u.Scheme, 16))
	}
	if _, err := regexp.Compile(s.Match); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	for _, code := range s.Status {
		if code < 100 || code > 599 {
			return fmt.Errorf("status: %d is no status of HTTP", code)
		}
	}
	return s.TLS.Validate()
}

var (
	success   = gauge("probe_success", "Whether the answer was as it should be")
	duration  = gauge("probe_duration_seconds", "How long the probe took")
	lookup    = gauge("probe_dns_lookup_time_seconds", "How long it took to find the address of a name")
	ipVersion = gauge("probe_ip_protocol", "Whether the address was of IPv4 or IPv6")

	statusCode    = gauge("probe_http_status_code", "Status of the last response")
	contentLength = gauge("probe_http_content_length", "Length that the last response says its body has, -1 when it does not")
	bodyLength    = gauge("probe_http_uncompressed_body_length", "Length of the body that arrived")
	redirects     = gauge("probe_http_redirects", "Redirects that were followed")
	httpVersion   = gauge("probe_http_version", "Version of HTTP")
	httpTLS       = gauge("probe_http_ssl", "Whether the last response came over TLS")
	phases        = gauge("probe_http_duration_seconds", "How long each part took, of all requests together", "phase")
	mismatch      = gauge("probe_failed_due_to_regex", "Whether the body did not match")

	certificateEnd  = gauge("probe_ssl_earliest_cert_expiry", "When the first of the certificates ends, Unix time")
	certificateLeft = gauge("vitals_probe_certificate_seconds_left", "Seconds until the first of the certificates ends")
	tlsVersion      = gauge("probe_tls_version_info", "Version of TLS; always 1", "version")

	dnsAnswers    = gauge("probe_dns_answer_rrs", "Records in the answer")
	dnsAuthority  = gauge("probe_dns_authority_rrs", "Records in the authority section")
	dnsAdditional = gauge("probe_dns_additional_rrs", "Records in the additional section")
	dnsAnswered   = gauge("probe_dns_query_succeeded", "Whether the server answered at all")
)

func gauge(name, help string, labels ...string) *kit.Metric {
	return &kit.Metric{Name: name, Help: help, Kind: core.Gauge, Labels: labels}
}

func metrics() []*kit.Metric {
	return []*kit.Metric{success, duration, lookup, ipVersion, statusCode, contentLength, bodyLength, redirects, httpVersion, httpTLS, phases, mismatch,
		certificateEnd, certificateLeft, tlsVersion, dnsAnswers, dnsAuthority, dnsAdditional, dnsAnswered}
}

type collector struct {
	settings Settings
	env      kit.Env
	target   *url.URL
	match    *regexp.Regexp
	bad      error // about the newest answer
	life     context.Context
	end      context.CancelFunc
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	u, err := url.Parse(s.Target)
	if err != nil {
		return nil, errors.New("target: it cannot be read")
	}
	c := &collector{settings: s, env: e, target: u}
	if s.Match != "" {
		if c.match, err = regexp.Compile(s.Match); err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Collect asks once. A wrong answer, or none, is a figure and not an error: what
// was measured on the way stays.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	began := time.Now()
	err := core.Do(ctx, c.env.Recorder, "blackbox.probe", func(ctx context.Context) error {
		switch c.target.Scheme {
		case "tcp", "tls":
			return c.stream(ctx, b)
		case "dns":
			return c.dns(ctx, b)
		}
		return c.http(ctx, b)
	})
	if c.life.Err() != nil {
		return net.ErrClosed
	}
	b.Add(duration, time.Since(began).Seconds())
	good := 1.0
	if c.bad = err; err != nil {
		good = 0
		c.bad = errors.New(core.Clean(c.settings.Password.Hide(err.Error()), core.MaxRoute))
		b.Missing("answer", c.bad)
	}
	b.Add(success, good)
	return nil
}

// Verdict is what was wrong with the newest answer.
func (c *collector) Verdict() error { return c.bad }

// Close ends a probe that is under way.
func (c *collector) Close() { c.end() }

// dial finds the addresses of a host and connects to the first that takes it.
func (c *collector) dial(ctx context.Context, network, address string, found func(took time.Duration, ip netip.Addr)) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")); err != nil {
		return nil, fmt.Errorf("find the address: %w", err)
	}
	took := time.Since(began)
	err = fmt.Errorf("%s has no address", core.Clean(host, core.MaxName))
	for _, ip := range ips {
		found(took, ip.Unmap())
		var conn net.Conn
		if conn, err = c.env.Dial(ctx, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// address tells how an address was found.
func address(b *kit.Batch) func(time.Duration, netip.Addr) {
	first := true
	return func(took time.Duration, ip netip.Addr) {
		if !first {
			return
		}
		first = false
		b.Add(lookup, took.Seconds())
		b.Add(ipVersion, map[bool]float64{true: 4, false: 6}[ip.Is4()])
	}
}
