package serve

import (
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

// segment escapes a text to one segment of a path. Clients and proxies resolve
// "." and "..", escaped or not, and drop what is empty: those get a tilde in
// front, as does what begins with one.
func segment(s string) string {
	if s == "" || s == "." || s == ".." || strings.HasPrefix(s, "~") {
		return "~" + url.PathEscape(s)
	}
	return url.PathEscape(s)
}

// text undoes segment; false when it is not validly escaped.
func text(segment string) (string, bool) {
	s, err := url.PathUnescape(segment)
	if err != nil || strings.ContainsRune(s, 0) {
		return "", false
	}
	return strings.TrimPrefix(s, "~"), true
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
