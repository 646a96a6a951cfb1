package discover

import (
	"strings"
	"unicode/utf8"
)

// withoutValues takes out of a command line what is nobody's business: the
// query of every URL and the password in front of its host. "curl
// http://u:p@x/y?token=1" is "curl http://u:…@x/y?…". A query without a scheme
// before it is known by its "=".
func withoutValues(line string) string {
	if !strings.ContainsAny(line, "?@") {
		return line
	}
	var b strings.Builder
	for line != "" {
		n := strings.IndexAny(line, " \t\n'\"`")
		if n < 0 {
			n = len(line)
		}
		b.WriteString(withoutSecrets(line[:n]))
		if line = line[n:]; line != "" {
			_, size := utf8.DecodeRuneInString(line)
			b.WriteString(line[:size])
			line = line[size:]
		}
	}
	return b.String()
}

// withoutSecrets does it for one word.
func withoutSecrets(word string) string {
	scheme := strings.Index(word, "://")
	if at := strings.IndexByte(word, '?'); at >= 0 && (scheme >= 0 && scheme < at || strings.IndexByte(word[at:], '=') > 0) {
		word = word[:at] + "?…"
	}
	if scheme < 0 {
		return word
	}
	host := word[scheme+3:]
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	at := strings.LastIndexByte(host, '@')
	if at < 0 {
		return word
	}
	colon := strings.IndexByte(host[:at], ':')
	if colon < 0 {
		return word
	}
	from := scheme + 3
	return word[:from+colon] + ":…" + word[from+at:]
}
