package push

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/prometheus/common/config"

	"vitals/core"
)

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
