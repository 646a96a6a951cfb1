// Package nginx reads the page of nginx' stub_status module: connections and
// requests, counted by nginx itself.
package nginx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say where the page is.
type Settings struct {
	Address   string `yaml:"address"` // "127.0.0.1:8080", "unix:/run/nginx.sock"
	Path      string `yaml:"path"`    // of the page
	Host      string `yaml:"host"`    // name of the server block, if not the address
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
}

const (
	port    = 80
	maxPage = 64 << 10 // the page has some 100 bytes
)

const offer = `Add this to the http section of nginx.conf, then nginx -s reload:

  server {
      listen 127.0.0.1:8080;
      access_log off;
      location = /stub_status { stub_status; allow 127.0.0.1; deny all; }
  }`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "nginx", Title: "nginx", Docs: "docs/integrations/nginx.md", Grants: offer,
		Help:      "connections and requests as nginx counts them; costs it one small page each time",
		Defaults:  func() Settings { return Settings{Address: "127.0.0.1:80", Path: "/stub_status"} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  func(s Settings) error { return s.TLS.Validate() },
		Signs: kit.Signs{
			Executables: []string{"nginx", "openresty", "angie", "tengine"},
			Units:       []string{"nginx*.service", "openresty*.service", "angie*.service"},
			Ports:       []uint16{80, 8080},
		},
		Candidates: candidates,
		Probe:      probe,
		Open:       open,
		Figures: []kit.Figure{
			{Title: "Requests", Unit: "per_second", Chart: true, Of: kit.PerSecond(requests.Name)},
			{Title: "Connections", Chart: true, Of: kit.Level(active.Name)},
			{Title: "Reading", Of: kit.Level(reading.Name)},
			{Title: "Writing", Of: kit.Level(writing.Name)},
			{Title: "Waiting", Of: kit.Level(waiting.Name)},
			{Title: "Accepted", Unit: "per_second", Chart: true, Of: kit.PerSecond(accepted.Name)},
			{Title: "Dropped", Unit: "per_second", Of: func(r kit.Reading) float64 { return r.Rate(accepted.Name) - r.Rate(handled.Name) }},
		},
		Metrics: []*kit.Metric{accepted, active, handled, reading, waiting, writing, requests},
	})
}

// The names are those of nginx-prometheus-exporter.
var (
	accepted = &kit.Metric{Name: "nginx_connections_accepted", Help: "Connections accepted", Kind: core.Counter}
	handled  = &kit.Metric{Name: "nginx_connections_handled", Help: "Connections handled: fewer than accepted where a limit was reached", Kind: core.Counter}
	active   = &kit.Metric{Name: "nginx_connections_active", Help: "Connections of clients, waiting ones included", Kind: core.Gauge}
	reading  = &kit.Metric{Name: "nginx_connections_reading", Help: "Connections on which a request header is read", Kind: core.Gauge}
	writing  = &kit.Metric{Name: "nginx_connections_writing", Help: "Connections on which a request is worked on or answered", Kind: core.Gauge}
	waiting  = &kit.Metric{Name: "nginx_connections_waiting", Help: "Connections that are kept open and wait for a request", Kind: core.Gauge}
	requests = &kit.Metric{Name: "nginx_http_requests_total", Help: "Requests received", Kind: core.Counter}
)

func normalise(s *Settings, _ kit.Shared) error {
	e, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	s.Address = e.String()
	if s.Path == "" {
		s.Path = "/stub_status"
	}
	if !strings.HasPrefix(s.Path, "/") || core.Clean(s.Path, core.MaxRoute) != s.Path {
		return errors.New("path: it must begin with / and be plain text")
	}
	return nil
}

func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network != "udp" {
			out = append(out, Settings{Address: e.String()}) // Probe finds the path
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	web      *kit.Web
	page     []byte
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	at, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return nil, err
	}
	return &collector{settings: s, env: e, web: e.Web(at, s.TLS)}, nil
}

// Collect reads the page.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "nginx.collect", func(ctx context.Context) error {
		s, _, err := c.status(ctx, c.settings.Path)
		if err != nil {
			return fmt.Errorf("nginx: %w", err)
		}
		b.Add(accepted, float64(s.Accepts))
		b.Add(handled, float64(s.Handled))
		b.Add(active, float64(s.Active))
		b.Add(reading, float64(s.Reading))
		b.Add(writing, float64(s.Writing))
		b.Add(waiting, float64(s.Waiting))
		b.Add(requests, float64(s.Requests))
		return nil
	})
}

// status reads the page at a path; server is what the answer calls itself.
func (c *collector) status(ctx context.Context, path string) (s Status, server string, err error) {
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return s, "", err
	}
	a, err := c.web.Get(ctx, path, c.page, maxPage, func(r *http.Request) {
		if c.settings.Host != "" {
			r.Host = c.settings.Host
		}
		if password != "" || c.settings.User != "" {
			r.SetBasicAuth(c.settings.User, password)
		}
	})
	server = a.Header.Get("Server")
	if a.Body != nil {
		c.page = a.Body
	}
	switch {
	case errors.Is(err, kit.ErrRights):
		return s, server, fmt.Errorf("%w (allow this address in its location)", err)
	case a.Status == http.StatusNotFound:
		return s, server, fmt.Errorf("%w: %w", kit.ErrNotOffered, err)
	case err != nil:
		return s, server, err
	case a.Status != http.StatusOK:
		return s, server, fmt.Errorf("%w: %s answers %d", kit.ErrNotOffered, path, a.Status)
	}
	if s, err = parseStatus(a.Body); err != nil {
		err = fmt.Errorf("%w: %s: %w", kit.ErrNotOffered, path, err)
	}
	return s, server, err
}

// Close ends the connection.
func (c *collector) Close() { c.web.Close() }

// probe looks for the page where distributions and manuals put it.
func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	paths := []string{"/stub_status", "/nginx_status", "/basic_status"}
	if s.Path != "" {
		paths = []string{s.Path}
	}
	s.Login = kit.Login{}
	opened, err := open(s, e)
	if err != nil {
		return s, "", err
	}
	c := opened.(*collector)
	defer c.Close()
	name := ""
	for _, path := range paths {
		_, server, err := c.status(ctx, path)
		name = core.Clean(server, 64)
		switch {
		case err == nil:
			s.Path = path
			return s, name + " answers " + path, nil
		case errors.Is(err, kit.ErrCredentials), errors.Is(err, kit.ErrRights):
			s.Path = path
			return s, name + " refuses " + path, err
		case name == "":
			return s, "", err
		}
	}
	if !ours(name) {
		return s, "", fmt.Errorf("%w: the server calls itself %q", kit.ErrOther, name)
	}
	return s, name + " answers", fmt.Errorf("%w: no page of stub_status at %s. %s", kit.ErrNotOffered, strings.Join(paths, ", "), offer)
}

// ours reports whether the Server header is that of nginx or of one of its kin.
func ours(server string) bool {
	server = strings.ToLower(server)
	for _, kin := range []string{"nginx", "openresty", "tengine", "angie", "freenginx"} {
		if strings.HasPrefix(server, kin) {
			return true
		}
	}
	return false
}
