package discover

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Bounds of what is looked at for listening sockets.
const (
	maxTableBytes = 8 << 20 // of /proc/PID/net/udp or unix; of tcp only the listeners are read
	maxListening  = 65536   // in one network namespace
	maxFDs        = 4096    // descriptors of one process; listening ones come early
	maxListens    = 64      // listeners shown of one process
)

// socketTable is the listening sockets of a network namespace. Immutable.
type socketTable struct {
	netns     uint64
	listening map[uint64]listening // by inode
}

type listening struct {
	core.Listener
	uid   uint32
	uidOK bool // Unix sockets do not tell
}

func (a *socketTable) sameSockets(b *socketTable) bool {
	if a == nil || b == nil || len(a.listening) != len(b.listening) {
		return false
	}
	for ino := range a.listening {
		if _, ok := b.listening[ino]; !ok {
			return false
		}
	}
	return true
}

// socketTable reads the tables of the network namespace that a process is in.
// It returns nil when they cannot be read.
func (r *reader) socketTable(pid int32, netns uint64) *socketTable {
	t := &socketTable{netns: netns, listening: make(map[uint64]listening)}
	read := r.tcpListeners(pid, netns, t.listening) == nil || r.procListeners(pid, t.listening)
	ephemeral := r.ephemeral()
	for _, file := range [...]string{"net/udp", "net/udp6"} {
		read = r.lines(pid, file, func(line []byte) bool {
			return t.add(parseInetLine(line, "udp", ephemeral))
		}) || read
	}
	read = r.lines(pid, "net/unix", func(line []byte) bool { return t.add(parseUnixLine(line)) }) || read
	if !read {
		return nil
	}
	return t
}

func (t *socketTable) add(ino uint64, l listening, state sockState) (more bool) {
	if state == sockListens {
		t.listening[ino] = l
	}
	return len(t.listening) < maxListening
}

// procListeners reads the TCP listeners from /proc. The kernel lists them before
// all others, so only the first lines are taken; it is the slow way all the same.
func (r *reader) procListeners(pid int32, found map[uint64]listening) (read bool) {
	for _, file := range [...]string{"net/tcp", "net/tcp6"} {
		read = r.lines(pid, file, func(line []byte) bool {
			ino, l, state := parseInetLine(line, "tcp", [2]uint16{})
			if state == sockListens {
				found[ino] = l
			}
			return state != sockOther && len(found) < maxListening
		}) || read
	}
	return read
}

// lines calls visit for each line of a table but the title, until it returns false.
func (r *reader) lines(pid int32, name string, visit func([]byte) bool) bool {
	fd, err := r.proc.open(pid, name, unix.O_RDONLY)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	buf, kept, total, title := r.buf, 0, 0, true
	for total < maxTableBytes {
		n, err := unix.Read(fd, buf[kept:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		if n == 0 {
			return true
		}
		total += n
		rest := buf[:kept+n]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			if !title && !visit(rest[:i]) {
				return true
			}
			title = false
			rest = rest[i+1:]
		}
		if kept = copy(buf, rest); kept == len(buf) {
			return false // no line is that long
		}
	}
	return true
}

type sockState uint8

const (
	sockBad sockState = iota
	sockListens
	sockOther
)

// parseInetLine reads a line of /proc/net/{tcp,udp}[6]. A UDP socket listens
// when it is bound and not connected, and its port was not merely handed out:
// one from the ephemeral range belongs to a client.
func parseInetLine(line []byte, network string, ephemeral [2]uint16) (ino uint64, l listening, state sockState) {
	var fields [10][]byte
	n := split(line, fields[:])
	if n < 10 || len(fields[3]) != 2 {
		return 0, l, sockBad
	}
	switch {
	case network == "tcp" && string(fields[3]) == "0A":
	case network == "udp" && string(fields[3]) == "07" && bytes.HasSuffix(fields[2], []byte(":0000")):
	default:
		return 0, l, sockOther
	}
	at, ok := parseInetAddress(fields[1])
	uid, uidOK := parseInt(fields[7])
	number, inoOK := parseInt(fields[9])
	if !ok || !uidOK || !inoOK || uid < 0 || uid > 1<<32-1 || number <= 0 {
		return 0, l, sockBad
	}
	if network == "udp" && (at.Port() == 0 || at.Port() >= ephemeral[0] && at.Port() <= ephemeral[1]) {
		return 0, l, sockOther
	}
	return uint64(number), listening{core.Listener{Network: network, Address: at.String()}, uint32(uid), true}, sockListens
}

// parseInetAddress reads "0100007F:1F90": words as the machine holds them.
func parseInetAddress(text []byte) (at netip.AddrPort, ok bool) {
	host, port, ok := bytes.Cut(text, []byte{':'})
	if !ok || len(port) != 4 || (len(host) != 8 && len(host) != 32) {
		return at, false
	}
	var raw [16]byte
	var portBytes [2]byte
	n, err := hex.Decode(raw[:], host)
	if err != nil {
		return at, false
	}
	if _, err := hex.Decode(portBytes[:], port); err != nil {
		return at, false
	}
	for i := 0; i < n; i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw[:n])
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(portBytes[:])), true
}

// parseUnixLine reads a line of /proc/net/unix. Only named sockets that accept
// connections are told.
func parseUnixLine(line []byte) (ino uint64, l listening, state sockState) {
	var fields [8][]byte
	if split(line, fields[:7]) < 7 {
		return 0, l, sockBad
	}
	flags := fields[3]
	const acceptsConnections = "00010000"
	if string(flags) != acceptsConnections {
		return 0, l, sockOther
	}
	number, ok := parseInt(fields[6])
	end := len(line) - len(lastPart(line, fields[6]))
	path := strings.TrimPrefix(string(line[end:]), " ")
	if !ok || number <= 0 || path == "" {
		return 0, l, sockBad
	}
	return uint64(number), listening{Listener: core.Listener{Network: "unix", Address: core.Clean(path, core.MaxRoute)}}, sockListens
}

// lastPart is what of line comes after field, which lies inside it.
func lastPart(line, field []byte) []byte {
	return line[cap(line)-cap(field)+len(field):]
}

// split fills fields with the words of line and returns how many there are.
func split(line []byte, fields [][]byte) (n int) {
	for i := 0; i < len(line) && n < len(fields); {
		for i < len(line) && line[i] == ' ' {
			i++
		}
		start := i
		for i < len(line) && line[i] != ' ' {
			i++
		}
		if i > start {
			fields[n] = line[start:i]
			n++
		}
	}
	return n
}

// ephemeral is the range of ports that the kernel hands out to clients.
func (r *reader) ephemeral() [2]uint16 {
	out := [2]uint16{32768, 60999}
	fd, err := unix.Openat(r.proc.fd, "sys/net/ipv4/ip_local_port_range", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return out
	}
	defer unix.Close(fd)
	text, err := readFD(fd, r.names[:64])
	if err != nil {
		return out
	}
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return out
	}
	low, okLow := parseInt(fields[0])
	high, okHigh := parseInt(fields[1])
	if okLow && okHigh && low > 0 && high >= low && high < 65536 {
		out = [2]uint16{uint16(low), uint16(high)}
	}
	return out
}

// sockets lists which listening sockets of table a process holds, sorted.
func (r *reader) sockets(pid int32, table *socketTable) []uint64 {
	fd, err := r.proc.open(pid, "fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var held []uint64
	seen := 0
	_ = entries(fd, r.buf[:32<<10], func(_ uint64, name []byte) bool {
		if name[0] == '.' {
			return true
		}
		if seen++; seen > maxFDs {
			r.shared.stats.truncated.Add(1)
			return false
		}
		n, err := unix.Readlinkat(fd, string(name), r.names[:])
		if err != nil {
			return true
		}
		if ino, ok := socketInode(r.names[:n]); ok {
			if _, ok := table.listening[ino]; ok && !slices.Contains(held, ino) {
				held = append(held, ino)
			}
		}
		return true
	})
	slices.Sort(held)
	return held
}

// socketInode reads "socket:[12345]".
func socketInode(link []byte) (uint64, bool) {
	number, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok || len(number) < 2 || number[len(number)-1] != ']' {
		return 0, false
	}
	v, ok := parseInt(number[:len(number)-1])
	return uint64(v), ok && v > 0
}
