package discover

import (
	"bytes"

	"vitals/core"
)

// stat is what /proc/PID/stat tells.
type stat struct {
	pid     int32
	comm    []byte // points into the line
	state   byte
	ppid    int32
	flags   uint64
	threads int64
	birth   uint64
	usage   core.Usage // without key; fields that stat has not are -1
	exit    core.Exit  // of a zombie, when the kernel lets us see it
}

const (
	flagKernelThread = 0x00200000 // PF_KTHREAD
	tickNanos        = 10_000_000 // USER_HZ is 100 on every architecture we build for
)

// zombie reports whether the process has ended and waits for its parent. A
// leader that ended before its other threads looks the same but for their number.
func (s *stat) zombie() bool { return (s.state == 'Z' || s.state == 'X') && s.threads <= 1 }

// parseStat reads a line of /proc/PID/stat. The name may hold anything, spaces,
// newlines and ") R (" included: it ends at the last parenthesis. pageSize is in
// bytes. It allocates nothing.
func parseStat(line []byte, pageSize int64) (s stat, ok bool) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 2 || end <= open || end+2 >= len(line) {
		return s, false
	}
	pid, ok := parseInt(line[:open-1])
	if !ok || pid <= 0 || pid > 1<<31-1 {
		return s, false
	}
	s.pid, s.comm = int32(pid), line[open+1:end]
	s.usage = core.Usage{
		CPUUser: -1, CPUSystem: -1, RSS: -1, VSize: -1, Threads: -1, MinorFaults: -1, MajorFaults: -1,
		VoluntarySw: -1, InvoluntarySw: -1, ReadBytes: -1, WriteBytes: -1, FDs: -1,
	}
	rest := line[end+2:]
	field := 3
	for ; len(rest) > 0 && field <= 52; field++ {
		var word []byte
		if i := bytes.IndexByte(rest, ' '); i >= 0 {
			word, rest = rest[:i], rest[i+1:]
		} else {
			word, rest = bytes.TrimRight(rest, "\n"), nil
		}
		if field == 3 {
			if len(word) != 1 {
				return s, false
			}
			s.state = word[0]
			continue
		}
		if !s.set(field, word, pageSize) {
			return s, false
		}
	}
	return s, field > 22
}

func (s *stat) set(field int, word []byte, pageSize int64) bool {
	switch field {
	case 4, 9, 10, 12, 14, 15, 20, 22, 23, 24, 52:
	default:
		return true
	}
	v, ok := parseInt(word)
	if !ok {
		// Fields above 2^63 exist (limits), but none of those read here.
		return false
	}
	switch field {
	case 4:
		s.ppid = int32(v)
	case 9:
		s.flags = uint64(v)
	case 10:
		s.usage.MinorFaults = v
	case 12:
		s.usage.MajorFaults = v
	case 14:
		s.usage.CPUUser = v * tickNanos
	case 15:
		s.usage.CPUSystem = v * tickNanos
	case 20:
		s.threads, s.usage.Threads = v, v
	case 22:
		s.birth = uint64(v)
	case 23:
		s.usage.VSize = v
	case 24:
		s.usage.RSS = v * pageSize
	case 52:
		s.exit = waitStatus(v)
	}
	return true
}

// waitStatus decodes an exit code as wait(2) gives it. Zero is not known: the
// kernel says zero, too, to those who may not see it.
func waitStatus(v int64) core.Exit {
	if v == 0 {
		return core.Exit{}
	}
	return core.Exit{Code: int(v>>8) & 0xff, Signal: int(v & 0x7f), Core: v&0x80 != 0, Known: true}
}

// parseInt reads a decimal number that fills all of b.
func parseInt(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	if v > 1<<63-1 {
		return 0, false
	}
	if negative {
		return -int64(v), true
	}
	return int64(v), true
}

// status is what is needed of /proc/PID/status.
type status struct {
	uid   uint32 // effective
	uidOK bool
	nspid int32 // 0 when the kernel does not say
}

// parseStatus reads /proc/PID/status. Name: is its first line, escaped by the
// kernel, so no later line can be forged.
func parseStatus(text []byte) (s status) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if rest, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			fields := bytes.Fields(rest)
			if len(fields) >= 2 {
				if v, ok := parseInt(fields[1]); ok && v >= 0 && v <= 1<<32-1 {
					s.uid, s.uidOK = uint32(v), true
				}
			}
		} else if rest, ok := bytes.CutPrefix(line, []byte("NSpid:")); ok {
			fields := bytes.Fields(rest)
			if len(fields) > 0 {
				if v, ok := parseInt(fields[len(fields)-1]); ok && v > 0 && v <= 1<<31-1 {
					s.nspid = int32(v)
				}
			}
			return s // comes after Uid
		}
	}
	return s
}
