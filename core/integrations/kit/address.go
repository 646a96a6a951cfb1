package kit

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ParseEndpoint reads an address of settings: "unix:/run/x.sock", "/run/x.sock",
// "host:port", "host" and ":port"; what is missing is port and loopback.
func ParseEndpoint(s string, port uint16) (Endpoint, error) {
	s = strings.TrimSpace(s)
	if path, ok := strings.CutPrefix(s, "unix:"); ok || strings.HasPrefix(s, "/") {
		if ok {
			s = path
		}
		if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "@") {
			return Endpoint{}, fmt.Errorf("%q is not an absolute path of a Unix socket", s)
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
	if n, err := strconv.ParseUint(digits, 10, 16); err != nil || n == 0 {
		return Endpoint{}, fmt.Errorf("%q has no port from 1 to 65535 (write host:port)", s)
	}
	if strings.ContainsAny(host, " /\\@?#\x00") || strings.Contains(host, ":") && net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil {
		return Endpoint{}, fmt.Errorf("%q is not a host", host)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return Endpoint{Network: "tcp", Address: net.JoinHostPort(host, digits)}, nil
}

func portOf(address string) uint16 {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(digits, 10, 16)
	return uint16(n)
}
