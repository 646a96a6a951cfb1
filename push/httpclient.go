package push

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/common/config"
	"go.yaml.in/yaml/v2"
)

// ParseHTTPClient reads client settings in the shape that Prometheus has for
// them (basic_auth, authorization, oauth2, tls_config, proxy_url, http_headers,
// ...). The line of an error, counted in text, is 0 when none is known. No error
// quotes a secret.
func ParseHTTPClient(text string) (c *config.HTTPClientConfig, line int, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, 0, nil
	}
	if c, err = config.LoadHTTPConfig(text); err == nil {
		if c == nil {
			return nil, 0, errors.New("there is nothing in it")
		}
		return c, 0, c.TLSConfig.Validate()
	}
	var parts *yaml.TypeError
	if !errors.As(err, &parts) || len(parts.Errors) == 0 {
		return nil, 0, errors.New(cleanText(unquoted(err.Error()), maxText))
	}
	first := parts.Errors[0]
	if at := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(first); at != nil {
		line, _ = strconv.Atoi(at[1])
		first = first[len(at[0]):]
	}
	if key := regexp.MustCompile(`^field (\S+) (not found|already set) in type`).FindStringSubmatch(first); key != nil {
		if key[2] == "not found" {
			return nil, line, fmt.Errorf("%s is not a setting of an HTTP client", cleanText(key[1], 64))
		}
		return nil, line, fmt.Errorf("%s is there twice", cleanText(key[1], 64))
	}
	return nil, line, errors.New("does not fit: " + cleanText(unquoted(first), maxText))
}

// unquoted takes out the values that the library quotes with ` or ": one may be
// a password that is in the wrong place.
func unquoted(text string) string {
	return regexp.MustCompile("`[^`]*`"+`|"[^"]*"`).ReplaceAllString(text, "the value")
}
