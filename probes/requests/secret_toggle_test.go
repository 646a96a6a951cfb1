package requests

import (
	"context"
	"strings"
	"testing"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// A process whose TLS is switched off is told as encrypted, with that reason, and
// read again when it is switched on.
func TestTLSSwitchedOffForAProcess(t *testing.T) {
	dir := certificate(t)
	t.Setenv("VITALS_TEST_CERT", dir)
	server, addr := start(t, "serve-tls", "127.0.0.1:0")
	inside, outside := newSink(), newSink()
	shared, told, settling := &kern.Shared{}, kern.NewSecrets(), &kern.Settling{}
	unit, err := SpecTLS(kern.Env{Sink: inside, RequestsRing: roomy, Log: quiet(), Shared: shared, Secrets: told, Settling: settling}).Make()
	if err != nil {
		t.Fatal(err)
	}
	secret := unit.(*secrets)
	serveUnit(t, secret)
	plain, err := Spec(kern.Env{Sink: outside, RequestsRing: roomy, Log: quiet(), Shared: shared, Secrets: told, Settling: settling}).Make()
	if err != nil {
		t.Fatal(err)
	}
	serveUnit(t, plain)
	eventually(t, "the server is probed", func() bool { return secret.probes(server.Process.Pid) })
	for phase, on := range []bool{true, false, true} {
		if err := secret.Select(core.Selection{Default: true, Set: map[core.ProcKey]bool{server.key: on}}); err != nil {
			t.Fatal(err)
		}
		settling.Settle(t.Context()) // of the phase before
		read, encrypted := served(inside, server.key), served(outside, server.key)
		for range 5 {
			fetchTLS(t, addr, false, 40)
		}
		eventually(t, "all is told", func() bool {
			return on && served(inside, server.key)-read >= 200 || !on && served(outside, server.key)-encrypted >= 200
		})
		settle()
		kerntest.CallsEnded(t, server.Process.Pid)
		settling.Settle(t.Context())
		read, encrypted = served(inside, server.key)-read, served(outside, server.key)-encrypted
		if on && (read != 200 || encrypted > 12) || !on && read != 0 {
			// A handshake comes before anybody can know.
			t.Errorf("phase %d, on %v: %d requests are read, %d exchanges encrypted, of 200", phase, on, read, encrypted)
		}
		t.Logf("phase %d: %d are read, %d encrypted", phase, read, encrypted)
		if why := outside.covered(server.key).Why; !on && !strings.Contains(why, "switched off") {
			t.Errorf("the reason is %q", why)
		}
	}
}

// served counts what a process answered.
func served(s *sink, proc core.ProcKey) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.seen {
		if s.seen[i].Proc == proc && s.seen[i].Role == core.RoleServer {
			n++
		}
	}
	return n
}

// serveUnit runs a unit, observing everybody, until the test ends.
func serveUnit(t *testing.T, u core.Unit) {
	t.Helper()
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Serve(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := u.Detach(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := u.(core.Selective).Select(core.Selection{Default: true}); err != nil {
		t.Fatal(err)
	}
}
