package requests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

const datagram = 1024

// sendmmsg in Python: there is no call for it.
const batches = `
class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure): _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(iovec)),
	("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure): _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint32)]
libc = ctypes.CDLL(None)
def batch(s, *texts):
	many = (mmsghdr * len(texts))()
	keep = []
	for i, text in enumerate(texts):
		v = iovec(text, len(text)); keep.append(v)
		many[i].hdr.iov = ctypes.pointer(v); many[i].hdr.iovlen = 1
	return libc.sendmmsg(s.fileno(), many, len(texts), 0)
`

// Datagrams to and from ports of interest are told one by one, with where they
// go; others are not.
func TestDatagrams(t *testing.T) { bothPaths(t, datagrams) }

func datagrams(t *testing.T) {
	far, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	port := far.LocalAddr().(*net.UDPAddr).Port
	client := script(t, batches+fmt.Sprintf("far, other = ('127.0.0.1', %d), ('127.0.0.1', %d)\n", port, other.LocalAddr().(*net.UDPAddr).Port))
	w := watch(t, client.key)
	if err := w.side.watchDatagrams(uint16(port)); err != nil {
		t.Fatal(err)
	}
	client.ask("s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'nothing', other); s.sendto(b'query 1', far)")
	x := w.one()
	w.expect(x, kindChunk, 1, datagram, "query 1", "")
	if x.Role != roleClient || x.Rport != uint16(port) || net.IP(x.Raddr[:4]).String() != "127.0.0.1" {
		t.Errorf("role %d, to %v port %d", x.Role, x.Raddr, x.Rport)
	}
	buf := make([]byte, 100)
	_, from, err := far.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	far.WriteTo([]byte("answer 1"), from)
	client.ask("s.recvfrom(100)")
	w.expect(w.one(), kindChunk, 2, datagram|received, "answer 1", "")

	// A socket that is connected, and several messages in one call.
	client.ask("c = socket.socket(type=socket.SOCK_DGRAM); c.connect(far)")
	if n := client.ask("out = batch(c, b'query A', b'query AAAA')"); n != "2" {
		t.Fatalf("sendmmsg: %s", n)
	}
	w.expect(w.one(), kindChunk, 1, datagram, "query A", "")
	w.expect(w.one(), kindChunk, 2, datagram, "query AAAA", "")
	if n := client.ask("out = batch(c, b'again A', b'again AAAA')"); n != "2" {
		t.Fatalf("sendmmsg: %s", n)
	}
	w.expect(w.one(), kindChunk, 3, datagram, "again A", "")
	w.expect(w.one(), kindChunk, 4, datagram, "again AAAA", "")
	// A server, by the port that it is bound to.
	client.ask("l = socket.socket(type=socket.SOCK_DGRAM); l.bind(('127.0.0.1', 0)); out = l.getsockname()[1]")
	w.silent()
}

func TestDatagramServer(t *testing.T) { bothPaths(t, datagramServer) }

func datagramServer(t *testing.T) {
	server := script(t, "l = socket.socket(type=socket.SOCK_DGRAM); l.bind(('127.0.0.1', 0))\n")
	port, _ := strconv.Atoi(server.ask("out = l.getsockname()[1]"))
	w := watch(t, server.key)
	if err := w.side.watchDatagrams(uint16(port)); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, "query")
	server.ask("m, a = l.recvfrom(100); l.sendto(b'answer', a)")
	x := w.one()
	w.expect(x, kindChunk, 1, datagram|received, "query", "")
	if x.Role != roleServer {
		t.Errorf("role %d", x.Role)
	}
	x = w.one()
	w.expect(x, kindChunk, 2, datagram, "answer", "")
	if _, p, _ := net.SplitHostPort(c.LocalAddr().String()); p != strconv.Itoa(int(x.Rport)) {
		t.Errorf("answered to port %d, want %s", x.Rport, p)
	}
}

// Each end of a Unix connection knows the other's process, and the server's name.
func TestUnixEnds(t *testing.T) { bothPaths(t, unixEnds) }

func unixEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := script(t, fmt.Sprintf("l = socket.socket(socket.AF_UNIX); l.bind(%q); l.listen()\n", path))
	client := script(t, "")
	w := watch(t, server.key, client.key)
	client.ask(fmt.Sprintf("c = socket.socket(socket.AF_UNIX); c.connect(%q); c.send(b'ask')", path))
	server.ask("s, a = l.accept(); s.recv(100); s.send(b'answer')")
	client.ask("c.recv(100)")
	for _, x := range w.next(2) {
		far := client.key.PID
		if x.Role == roleClient {
			far = server.key.PID
		}
		name := string(x.Laddr[:]) + string(x.Raddr[:])
		if x.Far != uint32(far) || !strings.HasPrefix(path, strings.TrimRight(name, "\x00")) || string(x.asked) != "ask" || string(x.said) != "answer" {
			t.Errorf("%v far=%d, want %d; name %q", x, x.Far, far, name)
		}
	}
	client.ask("c.close()")
	server.ask("s.recv(100)")
	w.expect(w.one(), kindEnd, 1, 0, "", "")
}

// A connection that is accepted by one process and served by another belongs to
// the other.
func TestPassedDescriptor(t *testing.T) { bothPaths(t, passedDescriptor) }

func passedDescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pass")
	worker := script(t, fmt.Sprintf("p = socket.socket(socket.AF_UNIX); p.bind(%q); p.listen()\n", path))
	master := script(t, fmt.Sprintf("l = socket.create_server(('127.0.0.1', 0)); p = socket.socket(socket.AF_UNIX); p.connect(%q)\n", path))
	addr := "127.0.0.1:" + master.ask("out = l.getsockname()[1]")
	w := watch(t, worker.key)
	c := connect(t, master, addr)
	master.ask("socket.send_fds(p, [b'x'], [s.fileno()]); s.close()")
	worker.ask("q, a = p.accept(); m, f, _, _ = socket.recv_fds(q, 1, 1); s = socket.socket(fileno=f[0])")
	w.mu.Lock()
	w.is = nil // what came with the descriptor
	w.mu.Unlock()
	say(t, c, "ask")
	worker.ask("s.recv(100); s.send(b'answer'); s.close()")
	for {
		x := w.one()
		if x.Family != 2 {
			continue
		}
		w.expect(x, kindExchange, 1, ends, "ask", "answer")
		if x.Tgid != uint32(worker.key.PID) {
			t.Errorf("belongs to %d, want %d", x.Tgid, worker.key.PID)
		}
		return
	}
}

// Children inherit the choice for their parent until they execute something; a
// choice of their own, or none again, counts from then on.
func TestForkInheritsChoice(t *testing.T) { bothPaths(t, forkInheritsChoice) }

func forkInheritsChoice(t *testing.T) {
	server, addr := listening(t)
	w := watch(t, server.key)
	server.ask("pid = os.fork() or exec('while True:\\n s, a = l.accept(); s.recv(100); s.send(b\"answer\"); s.close()')")
	pid, _ := strconv.Atoi(server.ask("out = pid"))
	defer server.ask("os.kill(pid, 9); os.waitpid(pid, 0)")
	child := keyOf(t, pid)
	turn := func() {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		say(t, c, "ask")
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	x := w.one()
	w.expect(x, kindExchange, 1, ends, "ask", "answer")
	if x.Tgid != uint32(pid) || x.Birth != child.Birth {
		t.Errorf("belongs to %d, want %d", x.Tgid, pid)
	}
	if err := w.Select(core.Selection{Clear: []core.ProcKey{child}}); err != nil {
		t.Fatal(err)
	}
	turn()
	w.silent()
}

// A connection in another network namespace says which, and the role is known there.
func TestOtherNetworkNamespace(t *testing.T) { bothPaths(t, otherNetworkNamespace) }

func otherNetworkNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	p := script(t, `
import fcntl
up = socket.socket(type=socket.SOCK_DGRAM)
fcntl.ioctl(up, 0x8914, struct.pack("16sH22x", b"lo", 1))
l = socket.create_server(("127.0.0.1", 0))
def pair():
	c = socket.create_connection(l.getsockname()); s, a = l.accept()
	return c, s
c, s = pair()
`, "unshare", "-n")
	w := watch(t, p.key)
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.key.PID))
	if err != nil {
		t.Fatal(err)
	}
	// Older than the observation: the server is known by its listener, the client
	// because that is on the same machine.
	p.ask("c.send(b'ask'); s.recv(100); s.send(b'answer'); c.recv(100); c.close(); s.recv(10); s.close()")
	roles := map[uint8]bool{}
	for _, x := range w.next(2) {
		roles[x.Role] = true
		if string(x.asked) != "ask" || string(x.said) != "answer" || fmt.Sprintf("net:[%d]", x.Netns) != want {
			t.Errorf("%v in %d, want %s", x, x.Netns, want)
		}
	}
	if !roles[roleServer] || !roles[roleClient] {
		t.Errorf("roles %v", roles)
	}
}

// A 32-bit program's exchanges are counted; its arguments are not read.
func Test32BitCaller(t *testing.T) { bothPaths(t, caller32Bit) }

func caller32Bit(t *testing.T) {
	if onFloor(t) {
		return // its system calls have other numbers: not seen there, and said so in the docs
	}
	bin := filepath.Join(t.TempDir(), "compat")
	build := exec.Command("go", "build", "-o", bin, "testdata/compat/main.go")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin)
	cmd.Stderr = os.Stderr
	out, _ := cmd.StdoutPipe()
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	var addr string
	fmt.Fscanln(out, &addr)
	w := watch(t, keyOf(t, cmd.Process.Pid))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	for range 2 {
		say(t, c, "ask")
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	x := w.one()
	if x.Kind != kindExchange || x.In != 3 || x.Out != 3 || len(x.asked)+len(x.said) != 0 {
		t.Errorf("%v", x)
	}
}
