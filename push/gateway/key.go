package gateway

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"vitals/core"
)

// Label is a name and its value.
type Label struct{ Name, Value string }

// Key is the grouping key: labels sorted by name, job among them.
type Key []Label

// id is the same for the same labels, and different for others: no byte of UTF-8 is 0xff.
func (k Key) id() string {
	var b strings.Builder
	for _, l := range k {
		b.WriteString(l.Name)
		b.WriteByte(0xff)
		b.WriteString(l.Value)
		b.WriteByte(0xff)
	}
	return b.String()
}

// String shows the key as {job="a",zone="b"}.
func (k Key) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range k {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(core.Clean(l.Name, core.MaxName) + `="` + core.Clean(l.Value, core.MaxName) + `"`)
	}
	return b.String() + "}"
}

const base64Suffix = "@base64"

// parseKey reads what follows /metrics/ in an escaped path:
// job/<job>{/<label>/<value>}, each name possibly with @base64.
func parseKey(path string, limits Limits, utf8Names bool) (Key, error) {
	parts := strings.Split(path, "/")
	if len(parts) > 2 && parts[len(parts)-1] == "" && len(parts)%2 == 1 {
		parts = parts[:len(parts)-1] // one slash at the end
	}
	if len(parts)%2 != 0 {
		return nil, malformed("odd number of components in the path: a group is /metrics/job/<job>{/<label>/<value>}")
	}
	if n := len(parts) / 2; n > limits.Labels {
		return nil, exceeded("grouping labels", n, limits.Labels)
	}
	key := make(Key, 0, len(parts)/2)
	for i := 0; i < len(parts); i += 2 {
		l, err := parsePair(parts[i], parts[i+1], limits, utf8Names)
		if err != nil {
			return nil, err
		}
		switch at := slices.IndexFunc(key, func(k Label) bool { return k.Name == l.Name }); {
		case i == 0 && l.Name != "job":
			return nil, malformed("a group begins with its job: /metrics/job/<job>{/<label>/<value>}")
		case i == 0 && l.Value == "":
			return nil, malformed("job name is required")
		case at == 0: // the job that comes first is the one that counts
		case at > 0:
			key[at] = l
		default:
			key = append(key, l)
		}
	}
	slices.SortFunc(key, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return key, nil
}

func parsePair(name, value string, limits Limits, utf8Names bool) (l Label, err error) {
	if name, err = url.PathUnescape(name); err == nil {
		value, err = url.PathUnescape(value)
	}
	if err != nil {
		return l, malformed("path: %w", err)
	}
	if plain, ok := strings.CutSuffix(name, base64Suffix); ok {
		name = plain
		if value, err = decodeBase64(value); err != nil {
			return l, malformed("invalid base64 encoding of %s: %w", core.Clean(name, core.MaxName), err)
		}
	}
	shown := core.Clean(name, core.MaxName)
	scheme := model.LegacyValidation
	if utf8Names {
		scheme = model.UTF8Validation
		if strings.HasPrefix(name, "U__") {
			name = model.UnescapeName(name, model.ValueEncodingEscaping)
		}
	}
	switch {
	case strings.HasPrefix(name, "__"):
		return l, malformed("improper label name %q: names that begin with __ are reserved", shown)
	case !scheme.IsValidLabelName(name):
		return l, malformed("improper label name %q", shown)
	case !utf8.ValidString(value):
		return l, malformed("the value of %s is not UTF-8", shown)
	case len(name) > limits.Name:
		return l, exceeded("bytes in the name of a grouping label", len(name), limits.Name)
	case len(value) > limits.Value:
		return l, exceeded("bytes in the grouping label "+shown, len(value), limits.Value)
	}
	return Label{name, value}, nil
}

// decodeBase64 reads the URL-safe alphabet, padded or not; "=" is empty.
func decodeBase64(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err
}
