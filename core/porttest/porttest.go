// Package porttest finds addresses for servers that tests start.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Free is an address of the loopback that nobody listens on, as host:port. The
// port is below those that the kernel gives away by itself, so that nobody gets it
// by chance until it is used.
func Free(t testing.TB) string {
	t.Helper()
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(12_000))); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}
