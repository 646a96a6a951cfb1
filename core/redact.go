package core

import (
	"net/url"
	"strings"
)

// Redact hides in a text what the URLs in it should not tell: user and password,
// and the values of a query whose names say that they are secret.
func Redact(text string) string {
	if strings.Contains(text, "://") && strings.Contains(text, "@") {
		text = withoutUserinfo(text)
	}
	if strings.Contains(text, "?") && strings.Contains(text, "=") {
		text = withoutSecrets(text)
	}
	return text
}

func withoutUserinfo(text string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "://")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		out.WriteString("://")
		end := strings.IndexAny(rest, "/?# \t\r\n\"'<>")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			out.WriteString("***")
			rest = rest[at:]
		}
		text = rest
	}
}

// withoutSecrets hides the values of secret names in "?name=value&name=value".
func withoutSecrets(text string) string {
	const ends = "&;# \t\r\n\"'<>"
	var out strings.Builder
	for {
		start := strings.IndexByte(text, '?')
		out.WriteString(text[:start+1])
		if text = text[start+1:]; start < 0 {
			out.WriteString(text)
			return out.String()
		}
		for {
			end := strings.IndexAny(text, ends)
			if end < 0 {
				end = len(text)
			}
			name, value, given := strings.Cut(text[:end], "=")
			if given && value != "" && secretName(name) {
				out.WriteString(name + "=***")
			} else {
				out.WriteString(text[:end])
			}
			if text = text[end:]; text == "" || text[0] != '&' && text[0] != ';' {
				break
			}
			out.WriteByte(text[0])
			text = text[1:]
		}
	}
}

// secretName reports whether the name of a query's value says that it is secret.
// One too many is better than one too few.
func secretName(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.ToLower(name)
	for _, word := range []string{"token", "secret", "pass", "pwd", "auth", "cred", "sign", "session", "jwt"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return strings.HasSuffix(name, "key") || name == "sig" || name == "pw" || name == "sid"
}
