package engine

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// eventLog numbers events and keeps the newest. What it publishes is never
// written again: it only appends behind, and moves on when its array is full.
type eventLog struct {
	seq  uint64
	kept []core.Event

	// Process events of the current second: above limit they are counted.
	limit              int
	second             int64
	told               int
	execs, forks, ends int

	lostTold uint64
	lostAt   int64
}

func (l *eventLog) add(e core.Event) {
	l.seq++
	e.Seq = l.seq
	if len(l.kept) == cap(l.kept) {
		from := max(0, len(l.kept)-core.MaxEvents+1)
		l.kept = append(make([]core.Event, 0, 2*core.MaxEvents), l.kept[from:]...)
	}
	l.kept = append(l.kept, e)
}

// newest returns the last events, oldest first.
func (l *eventLog) newest() []core.Event {
	n := len(l.kept)
	return l.kept[max(0, n-core.MaxEvents):n:n]
}

// tick tells of a storm when its second is over, and of losses.
func (l *eventLog) tick(s *state) {
	s.tellForks()
	if now := s.mono / int64(time.Second); now != l.second {
		l.turn(s, now)
	}
	lost := s.self.totalLost()
	if lost > l.lostTold && s.mono-l.lostAt > int64(10*time.Second) {
		l.add(core.Event{At: s.now, Kind: core.EventLost, Reason: fmt.Sprintf("lost %d facts: %s", lost-l.lostTold, s.self.whereLost())})
		l.lostTold, l.lostAt = lost, s.mono
	}
}

func (l *eventLog) turn(s *state, now int64) {
	if n := l.execs + l.forks + l.ends; n > 0 {
		l.add(core.Event{At: s.now, Kind: core.EventNotice, Reason: fmt.Sprintf(
			"%d more process events within a second: %d exec, %d fork, %d exit", n, l.execs, l.forks, l.ends)})
	}
	l.second, l.told, l.execs, l.forks, l.ends = now, 0, 0, 0, 0
}

// admit reports whether one more process event is told by itself.
func (l *eventLog) admit(s *state, kind core.EventKind) bool {
	if now := s.cfg.Mono() / int64(time.Second); now != l.second {
		l.turn(s, now)
	}
	if l.told < l.limit {
		l.told++
		return true
	}
	switch kind {
	case core.EventExec:
		l.execs++
	case core.EventFork:
		l.forks++
	default:
		l.ends++
	}
	return false
}

func (s *state) event(e core.Event) {
	if e.At.IsZero() {
		e.At = s.cfg.Now()
	}
	if e.Service == "" && e.Proc.PID != 0 {
		if p := s.procs[e.Proc]; p != nil && p.known {
			e.Service = p.info.Service
		}
	}
	s.events.add(e)
	s.urgent = true
}

func (s *state) processEvent(p *process, kind core.EventKind, at time.Time, words func() string) {
	if s.events.admit(s, kind) {
		s.event(core.Event{At: at, Kind: kind, Proc: p.ProcKey, Service: p.info.Service, Reason: words()})
	}
}

func (s *state) processBegan(p *process) {
	parent := s.live[p.info.PPID]
	if parent != nil && parent.info.Exe == p.info.Exe && parent.info.Cmdline == p.info.Cmdline && p.info.Exe != "" {
		p.forkOf = parent
		if s.forks = append(s.forks, p); len(s.forks) >= maxGraves {
			s.tellForks()
		}
		return
	}
	s.processEvent(p, core.EventExec, p.info.Started, func() string { return "exec " + command(p.info) + parentWords(p, parent) })
}

// tellFork tells of a fork that no exec followed. Most are the first half of a
// program's start, which its exec tells better.
func (s *state) tellFork(p *process) {
	if parent := p.forkOf; parent != nil {
		p.forkOf = nil
		s.processEvent(p, core.EventFork, p.info.Started, func() string {
			return fmt.Sprintf("fork of %s(%d)", parent.info.Comm, parent.PID)
		})
	}
}

func (s *state) tellForks() {
	for _, p := range s.forks {
		s.tellFork(p)
	}
	clear(s.forks)
	s.forks = s.forks[:0]
}

func (s *state) processExeced(p *process) {
	p.forkOf = nil
	s.processEvent(p, core.EventExec, s.cfg.Now(), func() string {
		return "exec " + command(p.info) + parentWords(p, s.live[p.info.PPID])
	})
}

func (s *state) processEnded(p *process) {
	s.tellFork(p)
	if s.events.admit(s, core.EventExit) {
		s.event(core.Event{At: p.ended, Kind: core.EventExit, Proc: p.ProcKey, Service: p.info.Service,
			Reason: exitWords(p.exit) + ", " + command(p.info), Error: badEnd(p.exit)})
	}
}

func parentWords(p, parent *process) string {
	switch {
	case parent != nil && parent.known:
		return fmt.Sprintf(", parent %s(%d)", parent.info.Comm, parent.PID)
	case p.info.PPID > 0:
		return fmt.Sprintf(", parent %d", p.info.PPID)
	}
	return ""
}

// maxCommand is how much of a command line an event shows.
const maxCommand = 80

// command is a command line with the program's base name only.
func command(p *core.Process) string {
	if p.Cmdline == "" {
		return p.Comm
	}
	program, rest, _ := strings.Cut(p.Cmdline, " ")
	if strings.HasPrefix(program, "/") {
		program = path.Base(program)
	}
	return core.Clean(strings.TrimSpace(program+" "+rest), maxCommand)
}

// exitWords says how a process ended, with the code that a shell would show.
// badEnd is what was wrong with an end, empty when nothing was: signals that ask
// a process to end, and exit codes, which mean anything, are not wrong.
func badEnd(x core.Exit) string {
	switch unix.Signal(x.Signal) {
	case 0, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE, unix.SIGQUIT, unix.SIGALRM:
		return ""
	}
	if name := unix.SignalName(unix.Signal(x.Signal)); name != "" {
		return "killed by " + name
	}
	return fmt.Sprintf("killed by signal %d", x.Signal)
}

func exitWords(x core.Exit) string {
	if !x.Known {
		return "exit, how is not known"
	}
	if x.Signal == 0 {
		return fmt.Sprintf("exit %d", x.Code)
	}
	name := unix.SignalName(unix.Signal(x.Signal))
	if name == "" {
		name = fmt.Sprintf("signal %d", x.Signal)
	}
	words := fmt.Sprintf("exit %d, killed by %s", 128+x.Signal, name)
	if x.Core {
		words += ", core dumped"
	}
	return words
}
