package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"

	"vitals/core"
)

// Listen opens the address that is served: "host:port", where no host means
// every address of this machine, or a port alone, which means 127.0.0.1.
func Listen(address string) (net.Listener, error) {
	if !strings.Contains(address, ":") {
		address = "127.0.0.1:" + address
	}
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &core.Remedied{Err: fmt.Errorf("listen on %s: the port is in use", address), Permanent: true,
			Remedy: "another vitals or another program has it, ss -tlnp says which; choose another port with --listen"}
	case errors.Is(err, os.ErrPermission):
		return nil, &core.Remedied{Err: fmt.Errorf("listen on %s: %w", address, err), Permanent: true,
			Remedy: "ports below 1024 need root or CAP_NET_BIND_SERVICE"}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, &core.Remedied{Err: fmt.Errorf("listen on %s: this machine does not have the address", address), Permanent: true,
			Remedy: "ip address lists those it has"}
	}
	return nil, fmt.Errorf("listen on %s: %w", address, err)
}

// Advertised is the "host:port" at which others reach what listens on address:
// never an unspecified address, for which the instance's name stands.
func Advertised(address, instance string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return net.JoinHostPort("127.0.0.1", address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = instance
	}
	return net.JoinHostPort(host, port)
}

// loopback reports whether only this machine reaches a.
func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// busy knows which connections have a request that is not answered in full.
type busy struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	idle  chan struct{} // a token whenever there is none
}

func newBusy() *busy { return &busy{conns: map[net.Conn]bool{}, idle: make(chan struct{}, 1)} }

// note is told each change of a connection.
func (b *busy) note(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state == http.StateActive {
		b.conns[c] = true
		return
	}
	delete(b.conns, c)
	if len(b.conns) == 0 {
		select {
		case b.idle <- struct{}{}:
		default:
		}
	}
}

// wait returns when nothing is asked any more, or ctx ends.
func (b *busy) wait(ctx context.Context) {
	for {
		b.mu.Lock()
		n := len(b.conns)
		b.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-b.idle:
		case <-ctx.Done():
			return
		}
	}
}
