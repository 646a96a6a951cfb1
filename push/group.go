package push

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"vitals/core"
)

// groupingKey validates job, instance and the further labels. One value that is
// not UTF-8 would make a Pushgateway refuse everybody's pushes from then on.
func groupingKey(c Config) ([]Label, error) {
	if c.Job == "" {
		return nil, errors.New("push needs a job name: give one with --job")
	}
	if c.Instance == "" {
		return nil, errors.New("push needs the name of this instance: give one with --instance")
	}
	key := append([]Label{{"job", c.Job}, {"instance", c.Instance}}, c.Grouping...)
	seen := make(map[string]bool, len(key))
	for i, l := range key {
		flag := "--group " + core.Clean(l.Name, core.MaxName)
		if i < 2 {
			flag = "--" + l.Name
		}
		switch {
		case i >= 2 && (l.Name == "job" || l.Name == "instance"):
			return nil, fmt.Errorf("%s: use --%s instead", flag, l.Name)
		case strings.HasPrefix(l.Name, "__"):
			return nil, fmt.Errorf("%s: names that begin with __ are reserved by Prometheus: choose another", flag)
		case !model.LegacyValidation.IsValidLabelName(l.Name):
			return nil, fmt.Errorf("%s: a label name has letters, digits and _ only and does not begin with a digit", flag)
		case seen[l.Name]:
			return nil, fmt.Errorf("%s is given twice: give each grouping label once", flag)
		case len(l.Value) > maxValue:
			return nil, fmt.Errorf("%s: the value has %d bytes, at most %d are allowed", flag, len(l.Value), maxValue)
		case !utf8.ValidString(l.Value):
			return nil, fmt.Errorf("%s: the value is not valid UTF-8", flag)
		}
		seen[l.Name] = true
	}
	return key, nil
}

// groupPath gives "/metrics/job/<job>/instance/<instance>...".
func groupPath(group []Label) string {
	var b strings.Builder
	b.WriteString("/metrics")
	for _, l := range group {
		b.WriteByte('/')
		b.WriteString(l.Name)
		switch {
		case l.Value == "":
			b.WriteString("@base64/=")
		// A server resolves "." and ".." in a path even when they are escaped.
		case strings.Contains(l.Value, "/") || l.Value == "." || l.Value == "..":
			b.WriteString("@base64/")
			b.WriteString(base64.RawURLEncoding.EncodeToString([]byte(l.Value)))
		default:
			b.WriteByte('/')
			escape(&b, l.Value)
		}
	}
	return b.String()
}

// escape percent-encodes all but the unreserved characters of RFC 3986, so that
// no proxy on the way reads "+" as a space or ";" as a parameter.
func escape(b *strings.Builder, s string) {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
}
