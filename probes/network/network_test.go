package network

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// Every byte is counted once: of connections that are open, that were closed
// between two looks, from either end, or reset, and none of before.
func TestBytesAreExact(t *testing.T) {
	kerntest.NeedRoot(t)
	l := listen(t)
	oldClient, oldServer := pair(t, l)
	move(t, oldClient, oldServer, 123_456) // before the probe: not its business

	w := watch(t, 50*time.Millisecond, 0)
	me := os.Getpid()
	want := 0
	move(t, oldClient, oldServer, 5_000_000)
	want += 5_000_000
	longClient, longServer := pair(t, l)
	for i := range 60 {
		move(t, longServer, longClient, 1000+i)
		want += 1000 + i
		client, server := pair(t, l)
		move(t, client, server, 77+i)
		move(t, server, client, 33_333)
		want += 77 + i + 33_333
		switch i % 4 {
		case 0:
			client.Close()
			_, _ = server.Read(make([]byte, 1)) // the end
			server.Close()
		case 1:
			server.Close()
			_, _ = client.Read(make([]byte, 1))
			client.Close()
		case 2: // a reset: the other end learns of it before it closes
			_ = client.SetLinger(0)
			client.Close()
			_, _ = server.Read(make([]byte, 1))
			server.Close()
		case 3: // unread data: closing resets
			if _, err := client.Write(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			want += 10
			for arrived(t, server) < 10 {
				time.Sleep(100 * time.Microsecond)
			}
			server.Close()
			_, _ = client.Read(make([]byte, 1))
			client.Close()
		}
		if i%10 == 0 {
			time.Sleep(60 * time.Millisecond) // some are seen by a look, most are not
		}
	}
	closed(t, l)
	w.stop()
	if out, in := w.total(me, descIO, "transmit"), w.total(me, descIO, "receive"); out != uint64(want) || in != uint64(want) {
		t.Errorf("sent %d and received %d, want %d", out, in, want)
	}
	if len(w.sink.LostSeen) > 0 {
		t.Errorf("lost %v", w.sink.LostSeen)
	}
}

// arrived is how many bytes wait to be read.
func arrived(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// Processes that live for one connection between two looks are known as its owner.
func TestShortLivedProcesses(t *testing.T) {
	w := watch(t, 2*time.Second, 0)
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.CopyN(io.Discard, c, 1000)
			_, _ = c.Write(make([]byte, 4321))
			c.Close()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range 8 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "NETWORK_PLAY="+l.Addr().String(), "GORACE=atexit_sleep_ms=0")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, cmd.Process.Pid)
	}
	closed(t, l)
	w.stop()
	for _, pid := range pids {
		if out, in := w.total(pid, descIO, "transmit"), w.total(pid, descIO, "receive"); out != 1000 || in != 4321 {
			t.Errorf("process %d: sent %d and received %d, want 1000 and 4321", pid, out, in)
		}
	}
	if out := w.total(os.Getpid(), descIO, "transmit"); out != 8*4321 {
		t.Errorf("server sent %d, want %d", out, 8*4321)
	}
}

func TestLevels(t *testing.T) {
	for name, protocol := range map[string]int{"TCP": unix.IPPROTO_TCP, "MPTCP": unix.IPPROTO_MPTCP} {
		t.Run(name, func(t *testing.T) { testLevels(t, protocol) })
	}
}

func testLevels(t *testing.T, protocol int) {
	w := watch(t, 20*time.Millisecond, 0)
	me := os.Getpid()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("this kernel has no multipath TCP")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 7); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	second, err := unix.Dup(fd) // the same socket again: it counts once
	if err != nil {
		t.Fatal(err)
	}
	is := func(d *core.Desc, label string, want float64) func() bool {
		return func() bool { v, ok := w.level(me, d, label); return ok && v == want }
	}
	unknown := func(d *core.Desc) func() bool {
		return func() bool { v, ok := w.level(me, d, ""); return ok && math.IsNaN(v) }
	}
	w.until("one listener", is(descConnections, "listen", 1))
	w.until("its limit", is(descAcceptLimit, "", 7))
	w.until("its empty queue", is(descAcceptLength, "", 0))
	var clients []net.Conn
	for range 3 { // nobody accepts
		c, err := net.Dial("tcp", (&net.TCPAddr{IP: net.IPv6loopback, Port: name.(*unix.SockaddrInet6).Port}).String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	w.until("three waiting", is(descAcceptLength, "", 3))
	w.until("three established at the client's end", is(descConnections, "established", 3))
	w.until("a round-trip time", func() bool {
		v, ok := w.level(me, descRTT, "")
		return ok && v > 0 && v < 1
	})
	for _, c := range clients {
		c.Close()
	}
	w.until("no connections", is(descConnections, "established", 0))
	w.until("round-trip time unknown", unknown(descRTT))
	unix.Close(fd)
	unix.Close(second)
	w.until("no listener", is(descConnections, "listen", 0))
	w.until("queue unknown", unknown(descAcceptLength))
	w.until("limit unknown", unknown(descAcceptLimit))
}

// Sockets of other network namespaces are seen as well.
func TestOtherNetworkNamespace(t *testing.T) {
	w := watch(t, 20*time.Millisecond, 0)
	inside := make(chan error, 1)
	opened := make(chan *os.File, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine: its namespace is no other's
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			inside <- err
			return
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Listen(fd, 5)
		}
		inside <- err
		opened <- os.NewFile(uintptr(fd), "listener")
	}()
	if err := <-inside; err != nil {
		t.Fatal(err)
	}
	f := <-opened
	w.until("the listener", func() bool { v, ok := w.level(os.Getpid(), descConnections, "listen"); return ok && v == 1 })
	f.Close()
}

func TestSelection(t *testing.T) {
	w := watch(t, 20*time.Millisecond, 0)
	l := listen(t)
	client, server := pair(t, l)
	me := os.Getpid()
	move(t, client, server, 100)
	w.until("100 bytes", func() bool { return w.total(me, descIO, "transmit") == 100 })
	key := keyOf(t, w, me)
	// Off: what moves now is nobody's business, neither now nor later.
	w.choose(core.Selection{Default: true, Set: map[core.ProcKey]bool{key: false}})
	move(t, client, server, 1000)
	w.looked()
	if n := w.total(me, descIO, "transmit"); n != 100 {
		t.Errorf("%d bytes while off, want 100", n)
	}
	w.choose(core.Selection{Default: true, Clear: []core.ProcKey{key}})
	move(t, client, server, 10)
	w.until("the bytes after", func() bool { return w.total(me, descIO, "transmit") >= 110 })
	if n := w.total(me, descIO, "transmit"); n != 110 {
		t.Errorf("%d bytes, want 110", n)
	}
}

// With looks an hour apart, a choice shows all the same.
func TestChoiceShowsSoon(t *testing.T) {
	kerntest.NeedRoot(t)
	listen(t)
	w := watch(t, time.Hour, 0)
	w.until("the listener", func() bool { v, ok := w.level(os.Getpid(), descConnections, "listen"); return ok && v > 0 })
}

func keyOf(t *testing.T, w *watched, pid int) core.ProcKey {
	t.Helper()
	w.sink.Lock()
	defer w.sink.Unlock()
	for _, s := range w.sink.SamplesSeen {
		if int(s.Proc.PID) == pid {
			return s.Proc
		}
	}
	t.Fatal("no sample of this process")
	return core.ProcKey{}
}

// With room for one process, the others are counted as lost.
func TestLossIsCounted(t *testing.T) {
	kerntest.NeedRoot(t)
	l := listen(t)
	held, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	child := exec.Command("/bin/sleep", "60")
	child.ExtraFiles = []*os.File{held}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	w := watch(t, 20*time.Millisecond, 1)
	w.until("loss", func() bool { w.sink.Lock(); defer w.sink.Unlock(); return w.sink.LostSeen["map/network"] > 0 })
}

func TestHelpSaysWhatIsApproximated(t *testing.T) {
	for _, d := range Descs() {
		if d.Help == "" || strings.HasSuffix(d.Help, ".") || d.Name == "" || d.Short == "" {
			t.Errorf("%+v: want a name, a short title and a help that ends without a period", d)
		}
	}
	if !strings.Contains(descIO.Help, "counted for one of them") {
		t.Error("the help of bytes does not say how shared connections are counted")
	}
}
