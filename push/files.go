package push

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/common/config"
)

// maxSecretFile bounds a file that client settings name.
const maxSecretFile = 1 << 20

// as runs what touches files that the settings name, with the rights of whoever
// wrote the settings.
func (s *settings) as(f func() error) error {
	if s.As == nil {
		return f()
	}
	return s.As(f)
}

// current is the HTTP client to use now. The library reads the files that the
// settings name by itself, as whoever we are; where the settings are somebody
// else's they are read here, before each request, so that what rotated holds.
func (c *client) current() (*http.Client, error) {
	if c.As == nil {
		return c.http, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var read *config.HTTPClientConfig
	err := c.As(func() (err error) {
		read, err = inline(c.HTTP, readSecretFile)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("push client settings: %s", c.settings.redact(err.Error()))
	}
	now := fingerprintOf(read)
	if c.http != nil && now == c.read {
		return c.http, nil
	}
	next, err := c.build(read)
	if err != nil {
		return nil, err
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	c.http, c.read, c.told = next, now, clientSecrets(read)
	return next, nil
}

func readSecretFile(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a plain file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d KiB", name, maxSecretFile>>10)
	}
	return string(b), nil
}

// inline is a copy of client settings with what the files hold in the place of
// their names.
func inline(from *config.HTTPClientConfig, read func(name string) (string, error)) (*config.HTTPClientConfig, error) {
	c := *from
	var failed error
	take := func(file *string, into func(text string)) {
		if *file == "" || failed != nil {
			return
		}
		var text string
		text, failed = read(*file)
		if failed == nil && strings.TrimSpace(text) == "" { // no CA would mean those of the system
			failed = fmt.Errorf("%s is empty", *file)
		}
		if failed == nil {
			*file = ""
			into(text)
		}
	}
	secret := func(s *config.Secret) func(string) {
		return func(text string) { *s = config.Secret(strings.TrimSpace(text)) }
	}
	plain := func(s *string) func(string) { return func(text string) { *s = strings.TrimSpace(text) } }
	tls := func(t *config.TLSConfig) {
		take(&t.CAFile, plain(&t.CA))
		take(&t.CertFile, plain(&t.Cert))
		take(&t.KeyFile, secret(&t.Key))
	}
	tls(&c.TLSConfig)
	take(&c.BearerTokenFile, secret(&c.BearerToken))
	if c.BasicAuth != nil {
		b := *c.BasicAuth
		take(&b.UsernameFile, plain(&b.Username))
		take(&b.PasswordFile, secret(&b.Password))
		c.BasicAuth = &b
	}
	if c.Authorization != nil {
		a := *c.Authorization
		take(&a.CredentialsFile, secret(&a.Credentials))
		c.Authorization = &a
	}
	if c.OAuth2 != nil {
		o := *c.OAuth2
		take(&o.ClientSecretFile, secret(&o.ClientSecret))
		take(&o.ClientCertificateKeyFile, secret(&o.ClientCertificateKey))
		tls(&o.TLSConfig)
		c.OAuth2 = &o
	}
	if c.HTTPHeaders != nil {
		h := *c.HTTPHeaders
		h.Headers = maps.Clone(h.Headers)
		for name, one := range h.Headers {
			one.Secrets = slices.Clone(one.Secrets)
			for _, file := range one.Files {
				take(&file, func(text string) { one.Secrets = append(one.Secrets, config.Secret(strings.TrimSpace(text))) })
			}
			one.Files = nil
			h.Headers[name] = one
		}
		c.HTTPHeaders = &h
	}
	return &c, failed
}
