// Package prometheus reads the metrics page of anything that has one, in each of
// the formats of Prometheus: text, OpenMetrics, and protobuf with native histograms.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say where the page is.
type Settings struct {
	URL         string `yaml:"url"` // "http://127.0.0.1:9100/metrics"
	kit.Login   `yaml:",inline"`
	BearerToken kit.Secret `yaml:"bearer_token"`
	TLS         kit.TLS    `yaml:"tls"`
}

const (
	maxPage = 16 << 20
	accept  = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.9," +
		"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.7,*/*;q=0.1"
)

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "prometheus", Title: "Metrics page", Docs: "docs/integrations/prometheus.md", MaxSeries: 10_000,
		Help:      "what a program tells Prometheus, taken over with its names; costs it one page each time",
		Normalise: normalise,
		Identity:  identity,
		Validate:  validate,
		Signs: kit.Signs{
			Executables: []string{"*_exporter", "prometheus-*-exporter", "prometheus", "prometheus-alertmanager", "alertmanager", "etcd", "traefik", "coredns", "grafana", "cadvisor"},
			Units:       []string{"prometheus*.service", "*_exporter.service", "*-exporter.service"},
			Ports:       []uint16{9090, 9100},
		},
		Candidates: candidates,
		Probe:      probe,
		Open:       open,
		Figures: []kit.Figure{
			{Title: "CPU", Unit: "ratio", Chart: true, Of: kit.PerSecond("process_cpu_seconds_total")},
			{Title: "Memory", Unit: "bytes", Chart: true, Of: kit.Level("process_resident_memory_bytes")},
			{Title: "Open files", Of: kit.Level("process_open_fds")},
			{Title: "Goroutines", Of: kit.Level("go_goroutines")},
		},
	})
}

func normalise(s *Settings, _ kit.Shared) error {
	if s.URL == "" {
		return errors.New("url: it is missing, for example http://127.0.0.1:9100/metrics")
	}
	if !strings.Contains(s.URL, "://") {
		s.URL = "http://" + s.URL
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url: it must be like http://127.0.0.1:9100/metrics") // the error would repeat a password
	}
	if u.User != nil {
		return errors.New("url: user and password are keys of their own")
	}
	if u.Port() == "" {
		u.Host += map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	u.Fragment = ""
	s.TLS.Enabled = u.Scheme == "https"
	s.URL = u.String()
	return nil
}

// identity is the address, with a path or query that is not the usual one.
func identity(s Settings) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	if u.RequestURI() == "/metrics" {
		return u.Host
	}
	return core.Redact(u.Host + u.RequestURI()) // seen everywhere
}

func validate(s Settings) error {
	if !s.BearerToken.Empty() && (s.User != "" || !s.Password.Empty()) {
		return errors.New("bearer_token: it cannot be sent together with user and password")
	}
	return s.TLS.Validate()
}

func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network == "tcp" {
			out = append(out, Settings{URL: "http://" + e.Address + "/metrics"})
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	web      *kit.Web
	path     string
	page     []byte
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("url: it cannot be read")
	}
	return &collector{settings: s, env: e, web: e.Web(kit.Endpoint{Network: "tcp", Address: u.Host}, s.TLS), path: u.RequestURI()}, nil
}

// Collect reads the page.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "prometheus.collect", func(ctx context.Context) error {
		families, err := c.families(ctx)
		if err != nil {
			return fmt.Errorf("metrics page: %w", err)
		}
		for _, f := range families {
			b.AddFamily(f)
		}
		return nil
	})
}

func (c *collector) families(ctx context.Context) ([]core.Family, error) {
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return nil, err
	}
	token, err := c.settings.BearerToken.Read(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.web.Get(ctx, c.path, c.page, maxPage, func(r *http.Request) {
		r.Header.Set("Accept", accept)
		switch {
		case token != "":
			r.Header.Set("Authorization", "Bearer "+token)
		case password != "" || c.settings.User != "":
			r.SetBasicAuth(c.settings.User, password)
		}
	})
	if a.Body != nil && cap(a.Body) <= 1<<20 {
		c.page = a.Body
	}
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("it answers %d", a.Status)
	}
	if err != nil {
		return nil, err
	}
	return parse(a.Header.Get("Content-Type"), a.Body)
}

// Close ends the connection.
func (c *collector) Close() { c.web.Close() }

func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login, s.BearerToken = kit.Login{}, kit.Secret{}
	opened, err := open(s, e)
	if err != nil {
		return s, "", err
	}
	c := opened.(*collector)
	defer c.Close()
	families, err := c.families(ctx)
	switch {
	case errors.Is(err, errPage), err == nil && len(families) == 0:
		return s, "", fmt.Errorf("%w: there is no metrics page at %s", kit.ErrOther, c.path)
	case err != nil:
		return s, "", err
	}
	return s, fmt.Sprintf("%d metrics at %s", len(families), c.path), nil
}
