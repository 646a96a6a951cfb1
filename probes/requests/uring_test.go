package requests

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring is as much of io_uring as an echo needs: one request at a time.
type uring struct {
	fd            int
	ring, entries []byte
	sqTail, sqArr uint32
	cqHead, cqes  uint32
}

const (
	opSend = 26
	opRecv = 27
)

func newUring() (*uring, error) {
	var params [120]byte
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)), 0)
	if e != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", e)
	}
	at := func(i int) uint32 { return binary.NativeEndian.Uint32(params[i:]) }
	u := &uring{fd: int(fd), sqTail: at(44), sqArr: at(64), cqHead: at(80), cqes: at(100)}
	var err error
	if u.ring, err = unix.Mmap(u.fd, 0, int(max(at(64)+4*at(0), at(100)+16*at(4))), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("map the ring: %w", err)
	}
	if u.entries, err = unix.Mmap(u.fd, 0x10000000, int(64*at(0)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("map the entries: %w", err)
	}
	return u, nil
}

func (u *uring) word(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&u.ring[at])) }

// do submits one operation on a socket and waits for its result.
func (u *uring) do(op byte, sock int, buf []byte) (int, error) {
	tail := *u.word(u.sqTail)
	slot := tail & 3
	e := u.entries[64*slot:][:64]
	clear(e)
	e[0] = op
	binary.NativeEndian.PutUint32(e[4:], uint32(sock))
	binary.NativeEndian.PutUint64(e[16:], uint64(uintptr(unsafe.Pointer(unsafe.SliceData(buf)))))
	binary.NativeEndian.PutUint32(e[24:], uint32(len(buf)))
	*u.word(u.sqArr + 4*slot) = slot
	*u.word(u.sqTail) = tail + 1
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), 1, 1, 1, 0, 0)
	runtime.KeepAlive(buf)
	if errno != 0 {
		return 0, fmt.Errorf("io_uring_enter: %w", errno)
	}
	head := u.word(u.cqHead)
	n := int32(*u.word(u.cqes + 16*(*head&7) + 8))
	*head++
	return int(n), nil
}

// ringing echoes what it gets on one connection, by io_uring alone.
func ringing() error {
	u, err := newUring()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := u.do(opRecv, int(f.Fd()), buf)
		if err != nil || n <= 0 {
			return err
		}
		if _, err := u.do(opSend, int(f.Fd()), buf[:n]); err != nil {
			return err
		}
	}
}

// What goes by io_uring is counted as far as the kernel tells of it, and never
// with bytes from elsewhere: no system call has its buffers.
func TestUring(t *testing.T) {
	server, addr := start(t, "uring", "")
	w := watch(t, server.key)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		say(t, c, "ask")
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range uint32(2) {
		x := w.one()
		w.expect(x, kindExchange, seq+1, 0, "", "")
		if x.In != 3 || x.Out != 3 {
			t.Errorf("%v", x)
		}
	}
}

func mustRing() {
	if err := ringing(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
