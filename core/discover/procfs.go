package discover

import (
	"encoding/binary"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// proc reads files of procfs by raw system calls: os.File costs twice as much
// for a file of 300 bytes and leaves garbage, and a look at a large machine
// opens thousands.
type proc struct {
	root string
	fd   int // of root
}

func openProc(root string) (*proc, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &proc{root: root, fd: fd}, nil
}

func (p *proc) close() { _ = unix.Close(p.fd) }

// relative is "PID/name".
func relative(pid int32, name string) string {
	var b [64]byte
	out := strconv.AppendInt(b[:0], int64(pid), 10)
	out = append(out, '/')
	return string(append(out, name...))
}

// path is the absolute path of a file of a process.
func (p *proc) path(pid int32, name string) string { return p.root + "/" + relative(pid, name) }

// open opens a file of a process; the caller closes it.
func (p *proc) open(pid int32, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(p.fd, relative(pid, name), flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// read fills buf with the beginning of a file of a process; what does not fit
// is left out.
func (p *proc) read(pid int32, name string, buf []byte) ([]byte, error) {
	fd, err := p.open(pid, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readFD(fd, buf)
}

func readFD(fd int, buf []byte) ([]byte, error) {
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// link reads a symbolic link of a process.
func (p *proc) link(pid int32, name string, buf []byte) (string, error) {
	n, err := unix.Readlinkat(p.fd, relative(pid, name), buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// entries calls visit for each entry of the directory fd, reading it from the
// start, until visit returns false. The name is valid during the call only.
func entries(fd int, buf []byte, visit func(ino uint64, name []byte) bool) error {
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return err
	}
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for rest := buf[:n]; len(rest) >= 19; {
			ino := binary.NativeEndian.Uint64(rest)
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size < 19 || size > len(rest) {
				return unix.EIO
			}
			name := rest[19:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if !visit(ino, name) {
				return nil
			}
			rest = rest[size:]
		}
	}
}

// pids calls visit for each process directory with its inode number. That
// number is of one life: the kernel makes a new one when a pid is reused.
func (p *proc) pids(buf []byte, visit func(pid int32, ino uint64)) error {
	return entries(p.fd, buf, func(ino uint64, name []byte) bool {
		if len(name) > 0 && name[0] >= '1' && name[0] <= '9' {
			if pid, ok := parseInt(name); ok && pid <= 1<<31-1 {
				visit(int32(pid), ino)
			}
		}
		return true
	})
}

// alias is the path by which a process was started, when that is another name of
// its executable: redis-server is a link to redis-check-rdb, and httpd may be one
// to busybox. comm is that name, unless the process chose another one.
func (p *proc) alias(pid int32, exe, comm string) string {
	base := baseName(exe)
	if comm == "" || strings.HasPrefix(base, comm) || strings.ContainsAny(comm, "/ ") {
		return exe
	}
	name := exe[:len(exe)-len(base)] + comm
	var running, called unix.Stat_t
	if unix.Fstatat(p.fd, relative(pid, "exe"), &running, 0) != nil ||
		unix.Fstatat(p.fd, relative(pid, "root"+name), &called, 0) != nil ||
		running.Ino != called.Ino || running.Dev != called.Dev {
		return exe
	}
	return name
}
