package discover

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Bounds of what is read of one process.
const (
	maxStatRead = 4096
	maxCmdline  = 4096
	maxEnviron  = 64 << 10
	maxMaps     = 1 << 20
	maxCgroup   = 64 << 10
)

// identity is what tells a process apart on a screen. It is immutable and
// shared with children that have not executed anything yet.
type identity struct {
	exe, cmdline string
	program      string // what people call it, see programName
	uid          uint32
	uidOK        bool
	agent        string // OpenTelemetry agent in the arguments
}

// profile is the rest of what is known of a process. Immutable, shared likewise.
type profile struct {
	place
	containerName string
	namespace     string
	environment
	runtime  core.Runtime
	netns    uint64
	complete bool // environment and runtime are those of the program it runs
}

// reader reads processes for one worker. It is not safe for concurrent use; what
// its workers share (executables, containers) is locked inside.
type reader struct {
	proc     *proc
	shared   *shared
	pageSize int64
	buf      []byte // maxEnviron
	maps     []byte // grown on demand up to maxMaps
	names    [unix.PathMax]byte
}

// shared is what readers have in common.
type shared struct {
	programs   *programs
	containers *containers
	stats      *counters
}

func newReader(p *proc, s *shared) *reader {
	return &reader{proc: p, shared: s, pageSize: int64(os.Getpagesize()), buf: make([]byte, maxEnviron)}
}

func (r *reader) close() {}

// do carries out a job.
func (r *reader) do(j job) (res result) {
	res = result{job: j}
	switch j.kind {
	case jobIdentity:
		r.identity(&res)
	case jobProfile:
		r.profile(&res)
	case jobTables:
		res.found = r.socketTable(j.key.PID, j.netns)
	case jobSockets:
		res.sockets = r.sockets(j.key.PID, j.table)
	}
	// Read last: what was read before belongs to that life, or is thrown away.
	line, err := r.proc.read(j.key.PID, "stat", r.buf[:maxStatRead])
	if err != nil {
		res.gone = true
		return res
	}
	st, ok := parseStat(line, r.pageSize)
	if !ok || st.birth != j.key.Birth || st.zombie() {
		res.gone = true
	}
	res.stat, res.comm = st, core.Clean(string(st.comm), core.MaxName)
	res.stat.comm = nil // points into the buffer
	return res
}

// identity reads arguments, executable and user.
func (r *reader) identity(res *result) {
	pid := res.key.PID
	id := &identity{}
	var argv []string
	if text, err := r.proc.read(pid, "cmdline", r.buf[:maxCmdline]); err == nil {
		argv = splitArguments(text)
	}
	id.cmdline = joinArguments(argv)
	id.agent = agentOfArguments(argv)
	exe, err := r.proc.link(pid, "exe", r.names[:])
	if err == nil {
		exe = strings.TrimSuffix(exe, " (deleted)")
	} else if len(argv) > 0 && !strings.Contains(argv[0], " ") {
		exe = argv[0] // of another user, and we are not root: for the name only
	}
	called := exe
	if err == nil && !namesItself(exe, argv) {
		if comm, err := r.proc.read(pid, "comm", r.buf[:maxStatRead]); err == nil {
			called = r.proc.alias(pid, exe, strings.TrimSpace(string(comm)))
		}
	}
	id.program = core.Clean(programName(called, argv, func() string { return r.folder(pid) }), core.MaxName)
	if err == nil {
		id.exe = core.Clean(exe, core.MaxRoute)
	}
	if text, err := r.proc.read(pid, "status", r.buf[:maxStatRead]); err == nil {
		s := parseStatus(text)
		id.uid, id.uidOK, res.nspid = s.uid, s.uidOK, s.nspid
	}
	res.id = id
}

// namesItself reports whether a process was started by the name of its file.
func namesItself(exe string, argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	word, _, _ := strings.Cut(argv[0], " ")
	return baseName(word) == baseName(exe)
}

func (r *reader) folder(pid int32) string {
	cwd, err := r.proc.link(pid, "cwd", r.names[:])
	if err != nil {
		return ""
	}
	return cwd
}

// profile reads control groups and namespaces and, unless the process runs what
// its parent runs, environment and runtime.
func (r *reader) profile(res *result) {
	pid := res.key.PID
	p := &profile{netns: r.namespace(pid)}
	if text, err := r.proc.read(pid, "cgroup", r.buf[:maxCgroup]); err == nil {
		p.place = parseCgroup(string(text))
	}
	if p.container != "" {
		p.containerName = r.shared.containers.name(p.container)
	}
	if !res.light {
		if text, err := r.proc.read(pid, "environ", r.buf); err == nil {
			p.environment = parseEnviron(text, len(text) == len(r.buf))
			r.shared.stats.malformed.Add(uint64(p.malformed))
		}
		p.runtime = r.runtime(pid)
		p.complete = true
	}
	if p.podUID != "" {
		p.namespace = p.environment.namespace
		if p.namespace == "" {
			p.namespace = r.podNamespace(pid)
		}
	}
	p.container, p.podUID, p.unit = core.Clean(p.container, core.MaxName), core.Clean(p.podUID, core.MaxName), core.Clean(p.unit, core.MaxName)
	res.profile = p
}

// namespace is the inode of the network namespace, 0 when it may not be seen.
func (r *reader) namespace(pid int32) uint64 {
	link, err := r.proc.link(pid, "ns/net", r.names[:])
	if err != nil {
		return 0
	}
	number, ok := strings.CutPrefix(link, "net:[")
	if !ok {
		return 0
	}
	ino, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	if err != nil {
		return 0
	}
	return ino
}

// podNamespace is what Kubernetes mounts into a pod that has a service account.
func (r *reader) podNamespace(pid int32) string {
	text := r.readInside(pid, "/var/run/secrets/kubernetes.io/serviceaccount/namespace", 256)
	return core.Clean(strings.TrimSpace(string(text)), core.MaxName)
}

// readInside reads the beginning of a regular file as the process sees it: path
// and symbolic links are resolved inside its root, so a container cannot make us
// read a file of the host. nil when there is none.
func (r *reader) readInside(pid int32, path string, limit int) []byte {
	root, err := r.proc.open(pid, "root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	buf := make([]byte, min(int64(limit), max(info.Size, 0)))
	text, err := readFD(fd, buf)
	if err != nil {
		return nil
	}
	return text
}

// mtime of a file, for caches.
func mtime(s *unix.Stat_t) time.Time { return time.Unix(int64(s.Mtim.Sec), int64(s.Mtim.Nsec)) }
