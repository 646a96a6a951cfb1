package kit

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"vitals/core"
)

// ParseEndpoint reads an address of settings: "unix:/run/x.sock", "/run/x.sock",
// "host:port", "host" and ":port"; what is missing is port and loopback.
func ParseEndpoint(s string, port uint16) (Endpoint, error) {
	s = strings.TrimSpace(s)
	if path, ok := strings.CutPrefix(s, "unix:"); ok || strings.HasPrefix(s, "/") {
		if ok {
			s = path
		}
		if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "@") || s != core.Clean(s, core.MaxRoute) || s != strings.TrimSpace(s) {
			return Endpoint{}, fmt.Errorf("%s is not an absolute path of a Unix socket", shown(s))
		}
		return Endpoint{Network: "unix", Address: s}, nil
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		host, digits = strings.Trim(s, "[]"), ""
	}
	if digits == "" {
		digits = strconv.Itoa(int(port))
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return Endpoint{}, fmt.Errorf("%s has no port from 1 to 65535 (write host:port)", shown(s))
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if !validHost(host) || host == "unix" {
		return Endpoint{}, fmt.Errorf("%s is not a host (write host:port or unix:/path)", shown(host))
	}
	return Endpoint{Network: "tcp", Address: net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}

// shown quotes what was given, without what may be a user and a password.
func shown(s string) string {
	if at := strings.LastIndex(s, "@"); at > 0 {
		s = "***" + s[at:]
	}
	return strconv.Quote(core.Clean(s, core.MaxName))
}

// validHost accepts IP addresses, with a zone if need be, and names.
func validHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == "" || plainName(addr.Zone())
	}
	return plainName(s)
}

func plainName(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 253
}

func portOf(address string) uint16 {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(digits, 10, 16)
	return uint16(n)
}
