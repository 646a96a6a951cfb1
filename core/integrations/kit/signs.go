package kit

import "vitals/core"

// Signs is how a server is recognised. Every field that fits is one kind of
// evidence. With one kind, a port excepted, the server is probed and suggested;
// with two it is switched on. An answer to the probe is evidence as well.
type Signs struct {
	Executables []string // base names of executables, with * : "redis-server", "postgres"
	Arguments   []string // words of a command line, for what an interpreter runs: "kafka.Kafka"
	Units       []string // systemd units, with * : "redis*.service"
	Protocols   []string // seen by the requests probe: "redis"
	Sockets     []string // paths of Unix sockets, with * : "*/.s.PGSQL.*"
	Ports       []uint16 // where it usually listens; never enough by itself
}

// Server is a process, or several that share their sockets, on which signs were seen.
type Server struct {
	Process *core.Process // the first of its processes
	// Endpoints are where it listens, in the order in which to try them: Unix
	// sockets, loopback, other addresses. Wildcards are written as loopback.
	Endpoints []Endpoint
	// Signs are the kinds of evidence that were seen, of "executable",
	// "arguments", "unit", "protocol", "socket", "port".
	Signs []string
}

// Endpoint is an address for Env.Dial.
type Endpoint struct {
	Network string // "unix", "tcp" or "udp"
	Address string // "/run/redis.sock", "127.0.0.1:6379", "[::1]:6379"
}

// Port is the port of a TCP or UDP endpoint, 0 of a Unix socket.
func (e Endpoint) Port() uint16 { return portOf(e.Address) }

// String is the form of settings: "unix:/run/redis.sock", "127.0.0.1:6379".
func (e Endpoint) String() string {
	if e.Network == "unix" {
		return "unix:" + e.Address
	}
	return e.Address
}
