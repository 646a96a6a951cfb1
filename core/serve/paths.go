package serve

import (
	"encoding/hex"
	"net/url"
	"strings"
)

// Prefix is the path under which an integration answers, without a slash at its
// end. It depends on kind and id alone, so that it never moves, and holds for
// any id: what means something in a path is escaped.
func Prefix(kind, id string) string {
	return "/integrations/" + segment(kind) + "/" + segment(id)
}

// unitPath is the escaped path of a unit's id below /health or /metrics. Slashes
// of the id stay slashes.
func unitPath(id string) string {
	parts := strings.Split(id, "/")
	for i, p := range parts {
		parts[i] = segment(p)
	}
	return strings.Join(parts, "/")
}

// segment escapes a text to one segment of a path. Percent signs would not do:
// Prometheus escapes the paths of its targets once more, proxies unescape, and
// everybody resolves "." and "..", escaped or not. So what is not a letter, a
// digit or one of -_.:@ is a tilde with two hexadecimal digits, as are the dots
// of a text of dots; an empty text is a tilde.
func segment(s string) string {
	if s == "" {
		return "~"
	}
	dots := strings.Trim(s, ".") == ""
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if unreserved(c) && !(dots && c == '.') {
			b.WriteByte(c)
			continue
		}
		b.WriteString("~" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.:@", c) >= 0
}

// text undoes segment, and percent signs that somebody added; false when it is
// not validly escaped.
func text(segment string) (string, bool) {
	s, err := url.PathUnescape(segment)
	if err != nil {
		return "", false
	}
	if s == "~" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '~' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b.Write(c)
		i += 2
	}
	return b.String(), !strings.ContainsRune(b.String(), 0)
}

// unitID undoes unitPath.
func unitID(path string) (string, bool) {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		s, ok := text(p)
		if !ok {
			return "", false
		}
		parts[i] = s
	}
	return strings.Join(parts, "/"), true
}

// cut splits an escaped path below prefix into its first segment and the rest.
func cut(path string) (first, rest string) {
	first, rest, _ = strings.Cut(path, "/")
	return first, rest
}
