package requests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/tls"
)

// settleTime is how long a process has to map its libraries before it is looked at.
const settleTime = 200 * time.Millisecond

// watch looks at the processes that are there, and at those that come, until ctx
// ends or the attachment is closed.
func (s *secrets) watch(ctx context.Context, att *kern.Attachment) {
	news := s.env.Newcomers.Listen()
	defer news.Close()
	s.lookAtAll(ctx, att)
	var young []*core.Process
	ripe := time.NewTimer(time.Hour)
	ripe.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-att.Stopping():
			return
		case <-ripe.C:
			for _, p := range young {
				s.look(att, p.ProcKey)
			}
			young = nil
		case proc := <-s.env.Secrets.Asked():
			s.look(att, proc)
		case <-news.Wake():
			came, went, all := news.Take()
			if all {
				s.missed()
				s.lookAtAll(ctx, att)
			}
			for _, p := range came {
				if p.Skip == "" && s.unknown(p.ProcKey) {
					if len(young) == 0 {
						ripe.Reset(settleTime)
					}
					young = append(young, p)
				}
			}
			s.left(went)
		}
	}
}

// unknown reports whether a process runs a file that was not looked at yet: most
// run one that was, and are its users from now on. Libraries that only some
// processes of a program load are found when somebody asks about one of them.
func (s *secrets) unknown(proc core.ProcKey) bool {
	id, err := tls.Identify(procOf(proc.PID) + "/exe")
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil {
		return true
	}
	if f.links != nil {
		s.note(id, f, proc)
	}
	return false
}

// note makes a process a user of a file, so that the file can be let go with the
// last of them. The caller holds mu.
func (s *secrets) note(id tls.Identity, f *probed, by core.ProcKey) {
	if f.users[by] || f.keep || len(s.uses) >= maxUses {
		return
	}
	f.users[by] = true
	s.uses[by] = append(s.uses[by], id)
}

func procOf(pid int32) string { return "/proc/" + strconv.Itoa(int(pid)) }

// lookAtAll looks at every process once, one for each program.
func (s *secrets) lookAtAll(ctx context.Context, att *kern.Attachment) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.failed(fmt.Errorf("list the processes: %w", err))
		return
	}
	for _, e := range entries {
		pid, err := strconv.ParseInt(e.Name(), 10, 32)
		if ended(att) {
			return
		}
		if err != nil || ctx.Err() != nil || int(pid) == os.Getpid() || !s.unknown(core.ProcKey{PID: int32(pid)}) {
			continue
		}
		s.look(att, core.ProcKey{PID: int32(pid)})
	}
}

func ended(att *kern.Attachment) bool {
	select {
	case <-att.Stopping():
		return true
	default:
		return false
	}
}

// look probes what a process has that can be probed.
func (s *secrets) look(att *kern.Attachment, proc core.ProcKey) {
	folder := procOf(proc.PID)
	id, err := tls.Identify(folder + "/exe")
	if err != nil {
		return // it is gone, or a kernel thread
	}
	targets, blind, err := tls.Look(folder)
	if err != nil {
		return
	}
	for _, t := range targets {
		s.use(att, t, proc)
	}
	if blind == "" && s.off(proc) {
		blind = switchedOff
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if proc.Birth != 0 { // who asks knows it, and so does who tells of its end
		s.env.Secrets.Tell(proc, blind)
	}
	if s.files[id] == nil && len(s.files) < maxLooked {
		s.files[id] = &probed{keep: true} // nothing in the program itself
	}
}

// use attaches the probes of a file, once, for all who use it.
func (s *secrets) use(att *kern.Attachment, t tls.Target, by core.ProcKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[t.Identity]
	if f == nil || f.target.Identity != t.Identity {
		if len(s.files) >= maxLooked {
			return
		}
		f = &probed{target: t, users: make(map[core.ProcKey]bool)}
		if s.count() >= maxFiles {
			f.err = fmt.Errorf("%s: %d files are probed already, the limit", t.Path, maxFiles)
		} else {
			f.links, f.err = s.probe1(att, &t)
		}
		s.files[t.Identity] = f
		for _, err := range append(t.Without, f.err) {
			if err != nil {
				s.env.Log.Warn("tls: " + err.Error())
			}
		}
	}
	if by.PID != 0 {
		s.note(t.Identity, f, by)
	} else {
		f.keep = true
	}
}

func (s *secrets) count() (n int) {
	for _, f := range s.files {
		if f.links != nil {
			n++
		}
	}
	return n
}

// probe1 attaches the probes of one file, if it is still the one that was planned.
func (s *secrets) probe1(att *kern.Attachment, t *tls.Target) (closer, error) {
	file, err := t.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var probes []kern.Uprobe
	for i := range t.Probes {
		p := &t.Probes[i]
		probes = append(probes, kern.Uprobe{Prog: s.objs.Place, Name: p.Function, Offset: p.Offset, Return: p.Return, Cookie: cookie(p)})
	}
	slices.SortStableFunc(probes, func(a, b kern.Uprobe) int { return cmp.Compare(order(a.Return), order(b.Return)) })
	return att.Uprobes(file, t.Path, probes)
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

// left lets go of files that nobody uses any more.
func (s *secrets) left(went []core.ProcKey) {
	var idle []*probed
	s.mu.Lock()
	for _, proc := range went {
		s.env.Secrets.Forget(proc)
		_ = s.silence(proc)                                        // its number is another's next
		for _, by := range []core.ProcKey{proc, {PID: proc.PID}} { // seen before its birth was known
			for _, id := range s.uses[by] {
				f := s.files[id]
				if f == nil {
					continue
				}
				if delete(f.users, by); len(f.users) == 0 && !f.keep {
					idle = append(idle, f)
					delete(s.files, id)
				}
			}
			delete(s.uses, by)
		}
	}
	s.mu.Unlock()
	for _, f := range idle {
		if f.links == nil {
			continue
		}
		if err := f.links.Close(); err != nil {
			s.env.Log.Warn("tls: let go of " + f.target.Path + ": " + err.Error())
		}
	}
}

// missed makes up for ends that were not told: users that are gone are let go.
func (s *secrets) missed() {
	s.mu.Lock()
	var gone []core.ProcKey
	for by := range s.uses {
		if _, err := os.Stat(procOf(by.PID)); err != nil {
			gone = append(gone, by)
		}
	}
	s.mu.Unlock()
	s.left(gone)
}

func (s *secrets) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails = append(s.fails, err); len(s.fails) > 8 {
		s.fails = s.fails[1:]
	}
}

// parts is the state of the files that are probed.
func (s *secrets) parts() core.Parts {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := core.Parts{}
	for _, f := range s.files {
		if f.target.Path != "" {
			parts[f.target.Path] = errors.Join(append(slices.Clone(f.target.Without), f.err)...)
		}
	}
	return parts
}

// CheckHealth implements core.Checker: it tells which files are probed.
func (s *secrets) CheckHealth(context.Context, core.CheckRequest) (core.Finding, error) {
	parts := s.parts()
	files, bad := map[string]any{}, 0
	for _, path := range slices.Sorted(maps.Keys(parts)) {
		files[path] = "probed"
		if err := parts[path]; err != nil {
			files[path] = err.Error()
			bad++
		}
	}
	found := core.Healthy(fmt.Sprintf("%d files are probed, %d cannot be", len(parts)-bad, bad))
	if len(parts) == 0 {
		found = core.Unsure("no library or program with TLS that can be read was found")
	}
	return found.With(map[string]any{"files": files}), nil
}
