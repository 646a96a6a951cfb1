package requests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vitals/core"
	"vitals/probes/kern"
)

// Under overload what is counted inside TLS, and what is lost of it, are what the
// server has answered. Of HTTP/2 it can be less: nothing tells how many requests
// there were at the end of a connection when neither an end nor the last transfers
// that were lost show their numbers. That is rare: of three tries one is exact.
func TestCountedPlusLostInsideTLS(t *testing.T) {
	const asked = 4000
	for _, version := range []string{"http/1.1", "h2"} {
		tries := 1
		if version == "h2" {
			tries = 3
		}
		t.Run("nginx "+version, func(t *testing.T) {
			exactOnce(t, tries, func() error {
				dir := certificate(t)
				s := newSink()
				u := attachTLSWith(t, kern.Env{Sink: s, RequestsRing: 8 * os.Getpagesize()})
				port, nginx := startSecretNginx(t, dir)
				err := overload(t, u, s, keyOf(t, nginx), fmt.Sprintf("127.0.0.1:%d", port), version, asked)
				log, e := os.ReadFile(filepath.Join(dir, "access.log"))
				if e != nil {
					t.Fatal(e)
				}
				if n := strings.Count(string(log), "/users/1 "); n != asked {
					t.Errorf("nginx says that it answered %d requests", n)
				}
				return err
			})
		})
		t.Run("go "+version, func(t *testing.T) {
			exactOnce(t, tries, func() error {
				t.Setenv("VITALS_TEST_CERT", certificate(t))
				server, addr := start(t, "serve-tls", "127.0.0.1:0")
				s := newSink()
				u := attachTLSWith(t, kern.Env{Sink: s, RequestsRing: 8 * os.Getpagesize()})
				eventually(t, "the server is probed", func() bool { return u.probes(server.Process.Pid) })
				return overload(t, u, s, server.key, addr, version, asked)
			})
		})
	}
}

func exactOnce(t *testing.T, tries int, try func() error) {
	t.Helper()
	for n := 1; ; n++ {
		err := try()
		switch {
		case err == nil || t.Failed():
			return
		case n == tries:
			t.Fatal(err)
		}
		t.Log(err)
	}
}

// overload lets a client make so many requests that most of them are lost, and
// compares the counts. More than was asked is an error at once.
func overload(t *testing.T, u *secrets, s *sink, server core.ProcKey, addr, version string, asked int) error {
	t.Helper()
	if err := u.Select(core.Selection{Set: map[core.ProcKey]bool{server: true}}); err != nil {
		t.Fatal(err)
	}
	load := func(clients, requests int) {
		t.Helper()
		args := []string{"-c", fmt.Sprint(clients), "-n", fmt.Sprint(requests), "--npn-list=" + version, "https://" + addr + "/users/1"}
		out, err := exec.Command("h2load", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d succeeded", requests)) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	load(1, 10) // what is spoken here is known from then on
	told := func(n int) func() bool {
		return func() bool { return s.total(server)+s.covered(server).Lost >= uint64(n) }
	}
	settle()
	wait(told(10))
	load(6, asked-10)
	settle()
	wait(told(asked))
	counted, cover := s.total(server), s.covered(server)
	lost := s.losses()
	t.Logf("counted %d, lost %d, %d gaps, %v", counted, cover.Lost, cover.Gaps, lost)
	if counted == 0 || cover.Lost == 0 || counted+cover.Lost > uint64(asked) {
		t.Errorf("counted %d + lost %d, asked %d; coverage %+v", counted, cover.Lost, asked, cover)
	}
	if counted+cover.Lost != uint64(asked) || cover.Exchanges != uint64(asked) {
		return fmt.Errorf("counted %d + lost %d, asked %d; coverage %+v", counted, cover.Lost, asked, cover)
	}
	if all := lost["ring/requests"] + lost["wire/requests"]; all != cover.Lost {
		return fmt.Errorf("%v lost, the process lost %d", lost, cover.Lost)
	}
	return nil
}
