package logfile

import (
	"fmt"
	"log/slog"
	"strings"

	"vitals/core"
)

// secretKeys are attributes whose value is never written.
var secretKeys = [...]string{"authorization", "cookie", "password", "secret", "token", "credentials", "bearer"}

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(a.Key)
	for _, s := range secretKeys {
		if strings.Contains(key, s) {
			return slog.String(a.Key, "***")
		}
	}
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny:
		if s := fmt.Sprint(a.Value.Any()); strings.ContainsAny(s, "@?") {
			return slog.String(a.Key, Redact(s))
		}
	}
	return a
}

// Redact hides what core.Redact does, and user and password also of addresses
// that were written without a scheme.
func Redact(s string) string {
	s = core.Redact(s)
	if !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for s != "" {
		end := strings.IndexAny(s, " \t\r\n\"'<>,;")
		if end < 0 {
			end = len(s)
		}
		redactWord(&b, s[:end])
		if end < len(s) {
			b.WriteByte(s[end])
			end++
		}
		s = s[end:]
	}
	return b.String()
}

// redactWord takes "http://user:password@host/path" or "user:password@host".
func redactWord(b *strings.Builder, w string) {
	scheme, rest, ok := strings.Cut(w, "://")
	if ok {
		b.WriteString(scheme + "://")
	} else {
		rest = w
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 && strings.IndexByte(rest[:i], '@') >= 0 {
		host = rest[:i]
	}
	at := strings.LastIndexByte(host, '@')
	if at >= 0 && (ok || strings.IndexByte(host[:at], ':') >= 0) {
		b.WriteString("***")
		rest = rest[at:]
	}
	b.WriteString(rest)
}
