package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// judge compares with what the clients did.
func judge(got seen, a *actors) (wrong []string) {
	wants := func(pid int, role, what string) {
		wrong = append(wrong, got.want(pid, role, "/"+what+"/{id}", 200, granted)...)
		wrong = append(wrong, got.want(pid, role, "/busy/"+what, 503, refused)...)
	}
	server, client := a.server.Process.Pid, a.client.Process.Pid
	wants(server, "server", "plain")
	wants(client, "client", "plain")
	tls := got.unit("instrumentation/tls")
	if !readable() {
		return append(wrong, got.closed(tls, server)...)
	}
	if tls.Phase != "running" || tls.Failures > 2 { // a starved machine may take its time and try again
		wrong = append(wrong, fmt.Sprintf("%+v", tls))
	}
	for part, state := range tls.Parts {
		if state != "" {
			wrong = append(wrong, part+": "+state)
		}
	}
	for _, what := range []string{"secret", "streams"} {
		wants(server, "server", what)
		wants(client, "client", what)
	}
	if a.nginx != nil {
		for _, what := range []string{"openssl", "opensslstreams"} {
			wants(a.nginx.Process.Pid, "server", what)
			wants(0, "client", what)
		}
	}
	return wrong
}

// readable reports whether this kernel lets the plain text of TLS be read.
func readable() bool {
	var major, minor int
	fmt.Sscanf(kernel(), "%d.%d", &major, &minor)
	return major > 5 || major == 5 && minor >= 15
}

func kernel() string {
	var u unix.Utsname
	unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// want demands a count; pid 0 is anybody.
func (s *seen) want(pid int, role, route string, status, count int) []string {
	n := 0
	for _, r := range s.Requests {
		if (r.PID == pid || pid == 0) && r.Role == role && r.Route == route && r.Status == status {
			n += r.Count
		}
	}
	if n == count {
		return nil
	}
	return []string{fmt.Sprintf("%s %d, %s %d: %d, want %d", role, pid, route, status, n, count)}
}

// closed demands that encrypted connections are told as such, with the reason,
// and that nobody tries over and over what cannot be.
func (s *seen) closed(tls unit, server int) (wrong []string) {
	release := kernel()
	if tls.Phase != "unsupported" || !strings.Contains(tls.Message, release) || tls.Failures > 1 {
		wrong = append(wrong, fmt.Sprintf("%+v", tls))
	}
	encrypted := 0
	for _, r := range s.Requests {
		if r.PID == server && r.Role == "server" && r.Protocol == "tls" && r.TLS {
			encrypted += r.Count
		}
	}
	// One exchange for each request; handshakes and the control of HTTP/2 make some.
	if encrypted < requests {
		wrong = append(wrong, fmt.Sprintf("%d encrypted exchanges, %d requests", encrypted, 2*requests))
	}
	for _, p := range s.Processes {
		if p.PID != server {
			continue
		}
		if p.Coverage.Encrypted != encrypted || !strings.Contains(p.Coverage.Why, release) {
			wrong = append(wrong, fmt.Sprintf("coverage %+v, %d encrypted exchanges", p.Coverage, encrypted))
		}
	}
	return wrong
}

func (s *seen) unit(id string) unit {
	for _, u := range s.Units {
		if u.ID == id {
			return u
		}
	}
	return unit{}
}
