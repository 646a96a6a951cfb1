package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vitals/core"
)

// quoted shows a value in an error line.
func quoted(s string) string { return strconv.Quote(core.Clean(s, 80)) }

func durationIn(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				return 0, fmt.Errorf("%s has no unit: write for example %ss", quoted(s), core.Clean(s, 20))
			}
			return 0, fmt.Errorf("%s is not a duration: write for example 500ms, 15s or 1m", quoted(s))
		}
		if d < least || d > most {
			return 0, fmt.Errorf("%s is out of range: give %s to %s", quoted(s), formatDuration(least), formatDuration(most))
		}
		return d, nil
	}
}

// formatDuration is Duration.String without "0s" tails: "1m", not "1m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return "", fmt.Errorf("%s is not one of %s", quoted(s), strings.Join(words, ", "))
	}
}

func formatOnOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// boolean reads a switch, as YAML has it or as the screens do.
func boolean(s string) (bool, error) {
	switch s {
	case "true", "on":
		return true, nil
	case "false", "off":
		return false, nil
	}
	return false, fmt.Errorf("%s is none of true, on, false, off", quoted(s))
}

func integerIn(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("%s is not a whole number", quoted(s))
		}
		if n < least || n > most {
			return 0, fmt.Errorf("%d is out of range: give %d to %d", n, least, most)
		}
		return n, nil
	}
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ringSize is a size that a kernel ring buffer can have.
func ringSize(s string) (int64, error) {
	n, err := parseSize(s)
	if err != nil {
		return 0, err
	}
	if n < 4<<10 || n > 256<<20 || n&(n-1) != 0 {
		return 0, fmt.Errorf("%s cannot be the size of a ring: give a power of two from 4KiB to 256MiB", quoted(s))
	}
	return n, nil
}

func parseSize(s string) (int64, error) {
	for _, u := range sizeUnits {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
			if err != nil || n < 0 {
				break
			}
			return n * u.bytes, nil
		}
	}
	return 0, fmt.Errorf("%s is not a size: write for example 512KiB or 8MiB", quoted(s))
}

func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// parseBudget reads "1%", "0.5%" or "off".
func parseBudget(s string) (float64, error) {
	if s == "off" {
		return 0, nil
	}
	digits, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(v > 0 && v <= 100) {
		return 0, fmt.Errorf("%s is not a share of the machine: write for example 1%%, or off", quoted(s))
	}
	return v / 100, nil
}

func formatBudget(v float64) string {
	if v == 0 {
		return "off"
	}
	return strconv.FormatFloat(v*100, 'g', 6, 64) + "%"
}

func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%s is not one of debug, info, warn, error", quoted(s))
}

func formatLevel(l slog.Level) string { return strings.ToLower(l.String()) }

// name is a short printable string; empty is allowed.
func name(s string) (string, error) {
	if !utf8.ValidString(s) || core.Clean(s, core.MaxName) != s {
		return "", fmt.Errorf("%s has characters that cannot be shown, or more than %d bytes", quoted(s), core.MaxName)
	}
	return s, nil
}

func jobName(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("a Pushgateway needs a job: give a name, for example vitals")
	}
	return name(s)
}

// pushURL checks an address as far as that can be done without the network. Its
// errors never hold a password.
func pushURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	full := s
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	switch {
	case (err != nil || u.Hostname() == "") && strings.Contains(s, "@"):
		return "", fmt.Errorf("cannot be read as an address: write for example http://user:password@gateway:9091, special characters in user and password percent-escaped")
	case err != nil || u.Hostname() == "" || strings.ContainsFunc(u.Hostname(), notInHost):
		return "", fmt.Errorf("%s is not an address: write for example http://gateway:9091", quoted(s))
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%s is not a scheme that can be pushed to: use http or https", quoted(u.Scheme))
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("an address has no ? and no #: write for example http://gateway:9091")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("port %s is out of range: give 1 to 65535", quoted(port))
		}
	}
	return s, nil
}

func notInHost(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'<>\\^`{|}", r) }

// redactURL hides user and password.
func redactURL(s string) string {
	head, rest, ok := strings.Cut(s, "://")
	if !ok {
		head, rest = "", s
	} else {
		head += "://"
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return head + "***@" + rest[at+1:]
	}
	return s
}

func listenAddress(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	host, port, ok := cutPort(s)
	if n, err := strconv.ParseUint(port, 10, 16); !ok || err != nil || n == 0 {
		return "", fmt.Errorf("%s is not an address to listen on: write for example 127.0.0.1:9435", quoted(s))
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "" && host != "localhost" {
		return "", fmt.Errorf("%s is not an address of this machine: write for example 127.0.0.1:%s", quoted(host), port)
	}
	return s, nil
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func parseChoice(s string) (core.Choice, error) {
	switch c := core.Choice(s); c {
	case core.On, core.Off, core.Auto:
		return c, nil
	case "true", "yes":
		return "", fmt.Errorf("%s: write on, off or auto", quoted(s))
	}
	return "", fmt.Errorf("%s is not one of on, off, auto", quoted(s))
}

// labelName checks the name of a grouping label as the Pushgateway accepts it.
func labelName(s string) error {
	switch {
	case s == "job" || s == "instance":
		return fmt.Errorf("%s has its own setting: use --%s", s, s)
	case strings.HasPrefix(s, "__"):
		return fmt.Errorf("%s: names that begin with __ are reserved by Prometheus", quoted(s))
	case s == "" || len(s) > core.MaxName:
		return fmt.Errorf("%s is not a label name", quoted(s))
	}
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("%s is not a label name: use letters, digits and _", quoted(s))
		}
	}
	return nil
}
