package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/config"

	"vitals/core"
	"vitals/core/expose"
)

// Limits and defaults of a destination.
const (
	DefaultTimeout = 10 * time.Second // of one push, answer included
	FinalTimeout   = 5 * time.Second  // of the last push and the DELETE after it
)

// Config describes one Pushgateway. Nothing is sent before all of it is found valid.
type Config struct {
	// Name tells destinations apart when there are several; empty for the only one.
	Name string
	// URL is the gateway's address; "host:9091" means http. A user and password
	// in it become basic authentication and are shown nowhere.
	URL string
	// Interval is the time between pushes. NewSpec refuses 0 and less; Once and
	// DryRun ignore it.
	Interval time.Duration
	// Job, Instance and Grouping, in this order, are the grouping key: the group
	// that a push replaces. Job and Instance are required.
	Job, Instance string
	Grouping      []Label
	// Method is PUT (the default: the group is replaced, so series that vanished
	// here vanish there) or POST (only families of the same name are replaced).
	Method string
	// Timeout bounds one push; 0 means DefaultTimeout.
	Timeout time.Duration
	// DeleteOnExit removes the group after the final push.
	DeleteOnExit bool
	// HTTP has authentication, TLS, proxy and headers; nil means none. Without a
	// proxy of its own, HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold. It is not
	// modified and must not be while the unit lives.
	HTTP *config.HTTPClientConfig

	// Source gives the snapshots to push. It is required.
	Source core.Source
	// Fresh gives a snapshot that holds everything known at the call. Once,
	// DryRun and the final push use it; nil means Source.Latest. It must return
	// when its context ends, then possibly nil.
	Fresh func(context.Context) *core.Snapshot
	// Families renders a snapshot; nil means expose.Families. Its result is not modified.
	Families func(*core.Snapshot) []*dto.MetricFamily
	// Report is told the state after every change, from one goroutine at a time;
	// it must not block for long. It may be nil.
	Report func(core.PushRow)
	// Event is told when the state changes; it may be nil.
	Event func(core.Event)
	// Now, when not nil, asks for a push at once with every value received.
	Now <-chan struct{}
	// Recorder times the requests; it may be nil.
	Recorder core.Recorder
	// Log is told of the first failure, some of those that follow, and recovery;
	// nil discards.
	Log *slog.Logger
	// Version is told to the gateway as User-Agent vitals/Version.
	Version string
}

// Label is one name and value of a grouping key.
type Label struct{ Name, Value string }

// settings is a Config that was found valid, with its defaults filled in.
type settings struct {
	Config
	id      string  // of the unit
	group   []Label // the whole grouping key, job first
	target  string  // the group's address, without user and password
	shown   string  // the gateway's address, as screens and errors name it
	secrets []string
}

const (
	maxValue = 1024 // bytes of one grouping value
	maxPath  = 8192 // bytes of the whole path
)

// check validates everything but the interval.
func (c Config) check() (*settings, error) {
	s := &settings{Config: c, id: "destination/" + Kind}
	if c.Name != "" {
		s.id += "/" + core.Clean(c.Name, core.MaxName)
	}
	if c.Source == nil {
		return nil, errors.New("push: a source of snapshots is required")
	}
	if c.Families == nil {
		s.Families = expose.Families
	}
	base, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	if err := s.checkHTTP(base.User); err != nil {
		return nil, err
	}
	base.User = nil
	s.shown = base.String()

	switch s.Method = strings.ToUpper(c.Method); s.Method {
	case "":
		s.Method = http.MethodPut
	case http.MethodPut, http.MethodPost:
	default:
		return nil, fmt.Errorf("push method %q: use PUT (replace the whole group) or POST (replace families of the same name)", core.Clean(c.Method, 32))
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("push timeout %v: give a positive duration such as 10s", c.Timeout)
	}
	if c.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if c.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.group, err = groupingKey(c); err != nil {
		return nil, err
	}
	path := groupPath(s.group)
	if len(path) > maxPath {
		return nil, fmt.Errorf("push grouping key takes %d bytes as a path, more than %d: use fewer or shorter --group labels", len(path), maxPath)
	}
	s.target = s.shown + path
	return s, nil
}

const escapeUser = "--push address cannot be parsed: percent-escape special characters in user and password, for example http://user:p%2Fw@host:9091"

// parseURL accepts what people type: no scheme, a trailing slash.
func parseURL(raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, errors.New("--push needs the gateway's address, for example http://localhost:9091")
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The cause may quote a password: it is told only when there is none.
		if strings.Contains(raw, "@") {
			return nil, errors.New(escapeUser)
		}
		return nil, fmt.Errorf("--push address: %w", errors.Unwrap(err))
	}
	shown := core.Clean(u.Host, core.MaxName)
	switch {
	case strings.Contains(u.Path, "@"): // a password with a slash in it looks like this
		return nil, errors.New(escapeUser)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("--push address has scheme %q: use http or https", core.Clean(u.Scheme, 32))
	case u.Hostname() == "":
		return nil, errors.New("--push address has no host: give one such as http://localhost:9091")
	case !validPort(u.Port()):
		return nil, fmt.Errorf("--push address %s: the port must be 1 to 65535", shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("--push address %s has a query or fragment: give the gateway's base address only", shown)
	case strings.Contains(u.Path+"/", "/metrics/job"):
		return nil, fmt.Errorf("--push address %s names a group: give the gateway's base address, and the group with --job and --group", shown)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

// checkHTTP validates a copy of the client settings and moves the address'
// user and password into them.
func (s *settings) checkHTTP(user *url.Userinfo) error {
	client := config.DefaultHTTPClientConfig
	if s.HTTP != nil {
		client = *s.HTTP
	}
	// Which redirects are followed is decided in one place, see followRedirect;
	// set, it makes the library strip credentials when the host changes.
	client.FollowRedirects = true
	if client.ProxyURL.URL == nil && client.NoProxy == "" {
		client.ProxyFromEnvironment = true
	}
	if user != nil {
		if client.BasicAuth != nil || client.Authorization != nil || client.OAuth2 != nil || client.BearerToken != "" || client.BearerTokenFile != "" {
			return errors.New("push has a user in its address and other authentication in its settings: keep one of them")
		}
		password, _ := user.Password()
		client.BasicAuth = &config.BasicAuth{Username: user.Username(), Password: config.Secret(password)}
	}
	if err := client.Validate(); err != nil {
		return fmt.Errorf("push client settings: %w", err)
	}
	if err := client.TLSConfig.Validate(); err != nil {
		return fmt.Errorf("push tls_config: %w", err)
	}
	s.HTTP = &client
	s.secrets = clientSecrets(&client)
	return nil
}
