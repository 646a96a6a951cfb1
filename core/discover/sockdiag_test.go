package discover

import (
	"maps"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The dump tells exactly what /proc tells, TCP listeners of both families.
func TestSockDiagTellsWhatProcTells(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
		if err != nil {
			t.Logf("%s: %v", network, err)
			continue
		}
		defer l.Close()
	}
	p, err := openProc("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	r := newReader(p, &shared{})
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		t.Fatal(err)
	}
	// Other tests of this machine open and close listeners meanwhile.
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		fromProc, fromDiag := map[uint64]listening{}, map[uint64]listening{}
		r.procListeners(int32(os.Getpid()), fromProc)
		if err := r.tcpListeners(int32(os.Getpid()), own.Ino, fromDiag); err != nil {
			t.Fatal(err)
		}
		if len(fromDiag) > 0 && maps.Equal(fromProc, fromDiag) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("/proc: %v\nsock_diag: %v", fromProc, fromDiag)
		}
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 200))
	f.Add(append([]byte{88, 0, 0, 0, 20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 10}, make([]byte, 70)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		found := map[uint64]listening{}
		parseDiag(b, found)
		if len(found) > len(b)/16 {
			t.Errorf("%d sockets from %d bytes", len(found), len(b))
		}
	})
}

func BenchmarkListenersSockDiag(b *testing.B) {
	p, err := openProc("/proc")
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	r := newReader(p, &shared{})
	var own unix.Stat_t
	unix.Stat("/proc/self/ns/net", &own)
	for b.Loop() {
		if err := r.tcpListeners(int32(os.Getpid()), own.Ino, map[uint64]listening{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListenersProc(b *testing.B) {
	p, err := openProc("/proc")
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	r := newReader(p, &shared{})
	for b.Loop() {
		r.procListeners(int32(os.Getpid()), map[uint64]listening{})
	}
}
