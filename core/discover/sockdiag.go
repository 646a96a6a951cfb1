package discover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Reading /proc/net/tcp makes the kernel walk its whole table of established
// connections, milliseconds even on an idle machine, although only listeners are
// wanted. A sock_diag dump of the state LISTEN walks listeners only.

const (
	sockDiagByFamily = 20 // linux/sock_diag.h: SOCK_DIAG_BY_FAMILY
	tcpListen        = 10 // net/tcp_states.h: TCP_LISTEN
)

// inetDiagSockID is struct inet_diag_sockid of linux/inet_diag.h.
type inetDiagSockID struct {
	Sport, Dport [2]byte // network order
	Src, Dst     [16]byte
	If           uint32
	Cookie       [2]uint32
}

// inetDiagReq is struct inet_diag_req_v2.
type inetDiagReq struct {
	Family, Protocol, Ext, Pad uint8
	States                     uint32
	ID                         inetDiagSockID
}

// inetDiagMsg is struct inet_diag_msg.
type inetDiagMsg struct {
	Family, State, Timer, Retrans         uint8
	ID                                    inetDiagSockID
	Expires, Rqueue, Wqueue, UID, InodeNo uint32
}

// tcpListeners adds the listening TCP sockets of the network namespace that a
// process is in. It needs no privilege in our own namespace, CAP_SYS_ADMIN in
// others; an error means that /proc must be read instead.
func (r *reader) tcpListeners(pid int32, netns uint64, found map[uint64]listening) error {
	if r.proc.root != "/proc" {
		return errors.New("not the machine's own /proc")
	}
	fd, err := r.diagSocket(pid, netns)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		if err := r.dumpListeners(fd, family, found); err != nil {
			return err
		}
	}
	return nil
}

// diagSocket opens a netlink socket in the network namespace of a process. A
// socket stays in the namespace in which it was made.
func (r *reader) diagSocket(pid int32, netns uint64) (int, error) {
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return -1, err
	}
	if own.Ino == netns {
		return unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	}
	there, err := r.proc.open(pid, "ns/net", unix.O_RDONLY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(there)
	type made struct {
		fd  int
		err error
	}
	result := make(chan made, 1)
	go func() {
		runtime.LockOSThread()
		here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			result <- made{-1, err}
			return
		}
		defer unix.Close(here)
		if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			result <- made{-1, err}
			return
		}
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		// A thread that cannot come back ends with this goroutine.
		if unix.Setns(here, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- made{fd, err}
	}()
	m := <-result
	return m.fd, m.err
}

func (r *reader) dumpListeners(fd int, family uint8, found map[uint64]listening) error {
	const size = unix.SizeofNlMsghdr + int(unsafe.Sizeof(inetDiagReq{}))
	var msg [size]byte
	binary.NativeEndian.PutUint32(msg[0:], uint32(size))
	binary.NativeEndian.PutUint16(msg[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req := inetDiagReq{Family: family, Protocol: unix.IPPROTO_TCP, States: 1 << tcpListen}
	copy(msg[unix.SizeofNlMsghdr:], unsafe.Slice((*byte)(unsafe.Pointer(&req)), unsafe.Sizeof(req)))
	if err := unix.Sendto(fd, msg[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask for listening sockets: %w", err)
	}
	for {
		n, _, err := unix.Recvfrom(fd, r.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read listening sockets: %w", err)
		}
		done, err := parseDiag(r.buf[:n], found)
		if err != nil || done {
			return err
		}
	}
}

// parseDiag reads one datagram of a dump; done says that it was the last one.
func parseDiag(b []byte, found map[uint64]listening) (done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return false, fmt.Errorf("netlink message of %d bytes in %d", size, len(b))
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch kind := binary.NativeEndian.Uint16(b[4:]); kind {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					return false, unix.Errno(-code)
				}
			}
		case sockDiagByFamily:
			addDiag(body, found)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false, nil
}

func addDiag(body []byte, found map[uint64]listening) {
	if len(body) < int(unsafe.Sizeof(inetDiagMsg{})) || len(found) >= maxListening {
		return
	}
	var m inetDiagMsg
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&m)), unsafe.Sizeof(m)), body)
	addr := netip.AddrFrom16(m.ID.Src)
	if m.Family == unix.AF_INET {
		addr = netip.AddrFrom4([4]byte(m.ID.Src[:4]))
	}
	if m.State != tcpListen || m.InodeNo == 0 {
		return
	}
	at := netip.AddrPortFrom(addr, binary.BigEndian.Uint16(m.ID.Sport[:]))
	found[uint64(m.InodeNo)] = listening{core.Listener{Network: "tcp", Address: at.String()}, m.UID, true}
}
