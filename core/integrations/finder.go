package integrations

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// finder is what is known of processes that listen, and the servers among them.
// It belongs to Manager.mu.
type finder struct {
	kinds     []kit.Kind // that can be found
	procs     map[core.ProcKey]*core.Process
	marks     map[core.ProcKey][]mark // of those that show signs worth a probe
	protocols map[core.ProcKey]map[string]bool
	servers   []*server
	probing   int
	dirty     bool
	probed    map[string]time.Time // by unit id of the candidate
}

// mark is the signs that a process shows of one kind.
type mark struct {
	kind  string
	signs []string
	words string
}

func (f *finder) init(kinds []kit.Kind) {
	for _, k := range kinds {
		if k.Finds {
			f.kinds = append(f.kinds, k)
		}
	}
	f.marks = map[core.ProcKey][]mark{}
	f.procs = map[core.ProcKey]*core.Process{}
	f.protocols = map[core.ProcKey]map[string]bool{}
	f.probed = map[string]time.Time{}
}

// mark looks for signs, once for each change of a process: of thousands that
// listen, few show any, and only those are looked at when servers are told apart.
func (f *finder) mark(p *core.Process) {
	var marks []mark
	for _, k := range f.kinds {
		if signs, words := signsOf(k, p, f.protocols[p.ProcKey]); strong(signs) {
			marks = append(marks, mark{k.Name, signs, words})
		}
	}
	f.dirty = f.dirty || len(marks) > 0 || len(f.marks[p.ProcKey]) > 0
	if len(marks) > 0 {
		f.marks[p.ProcKey] = marks
	} else {
		delete(f.marks, p.ProcKey)
	}
}

func (f *finder) learn(p *core.Process) {
	old := f.procs[p.ProcKey]
	f.procs[p.ProcKey] = p
	if old == nil || !slices.Equal(old.Listeners, p.Listeners) || old.Exe != p.Exe || old.Cmdline != p.Cmdline || old.Unit != p.Unit || old.Service != p.Service {
		f.mark(p)
	}
}

func (f *finder) forget(key core.ProcKey) {
	f.dirty = f.dirty || len(f.marks[key]) > 0
	delete(f.protocols, key)
	delete(f.procs, key)
	delete(f.marks, key)
}

func (f *finder) spoke(key core.ProcKey, protocol string) {
	if f.protocols[key][protocol] || len(f.protocols[key]) > 32 || f.procs[key] == nil {
		return
	}
	if f.protocols[key] == nil {
		f.protocols[key] = map[string]bool{}
	}
	f.protocols[key][protocol] = true
	f.mark(f.procs[key])
}

// reconsider lets everything be looked at anew: the rules changed.
func (f *finder) reconsider() { f.dirty = true }

// serverOf is the server behind an integration, nil when it is not known.
func (f *finder) serverOf(id string) *server {
	for _, s := range f.servers {
		for _, c := range s.candidates {
			if unitID(s.kind.Name, c.name) == id {
				return s
			}
		}
	}
	return nil
}

// look brings servers in line with processes and does what is due; it returns
// how long nothing will be. It needs m.mu.
func (m *Manager) look(ctx context.Context, now time.Time, probes *sync.WaitGroup) time.Duration {
	m.consider()
	f := &m.finder
	if f.dirty {
		f.dirty = false
		m.regroup(now)
	}
	next := now.Add(time.Hour)
	kept := f.servers[:0]
	for _, s := range f.servers {
		at, stays := m.advance(ctx, s, now, probes)
		if stays {
			kept = append(kept, s)
		}
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	clear(f.servers[len(kept):])
	f.servers = kept
	m.forgetProbes(now)
	return max(next.Sub(now), time.Millisecond)
}

// group is processes that share sockets and show signs of one kind.
type group struct {
	kind    kit.Kind
	procs   []*core.Process
	sockets map[socketKey]bool
	signs   []string
	words   string
}

// regroup finds the servers among the processes.
func (m *Manager) regroup(now time.Time) {
	f := &m.finder
	var procs []*core.Process
	for key := range f.marks {
		procs = append(procs, f.procs[key])
	}
	slices.SortFunc(procs, func(a, b *core.Process) int {
		return cmp.Or(cmp.Compare(a.Birth, b.Birth), cmp.Compare(a.PID, b.PID))
	})
	seen := map[*server]bool{}
	if m.settings.Discovery == DiscoverOff {
		m.findNone()
		return
	}
	for _, k := range f.kinds {
		for _, g := range f.groups(k, procs) {
			s := m.serverFor(g, seen, now)
			if s == nil {
				continue
			}
			seen[s] = true
			m.refresh(s, g, now)
		}
	}
	for _, s := range f.servers {
		if !seen[s] && s.gone.IsZero() {
			s.gone, s.due, s.fresh = now, time.Time{}, true
		}
	}
}

// findNone forgets all servers, and drops what was found.
func (m *Manager) findNone() {
	for _, s := range m.finder.servers {
		if j := m.jobs[s.id()]; j != nil && j.row.Origin == "found" {
			m.drop(j.id)
		}
	}
	m.finder.servers = nil
}

// groups joins the processes of a kind that share a socket.
func (f *finder) groups(k kit.Kind, procs []*core.Process) []*group {
	var out []*group
	bySocket := map[socketKey]*group{}
	for _, p := range procs {
		i := slices.IndexFunc(f.marks[p.ProcKey], func(x mark) bool { return x.kind == k.Name })
		if i < 0 {
			continue
		}
		seen := f.marks[p.ProcKey][i]
		var g *group
		for _, l := range p.Listeners {
			if g == nil {
				g = bySocket[socketKey{p.NetNS, l.Network, l.Address}]
			}
		}
		if g == nil {
			g = &group{kind: k, sockets: map[socketKey]bool{}}
			out = append(out, g)
		}
		g.procs = append(g.procs, p)
		if len(seen.signs) > len(g.signs) {
			g.signs, g.words = seen.signs, seen.words
		}
		for _, l := range p.Listeners {
			key := socketKey{p.NetNS, l.Network, l.Address}
			g.sockets[key] = true
			bySocket[key] = g
		}
	}
	return out
}

// serverFor is the server that a group is: one that is known by a socket or a
// process, else a new one.
func (m *Manager) serverFor(g *group, seen map[*server]bool, now time.Time) *server {
	for _, s := range m.finder.servers {
		if s.kind.Name == g.kind.Name && !seen[s] && s.shares(g) {
			return s
		}
	}
	if len(m.finder.servers) >= m.cfg.Limits.Servers {
		return nil
	}
	s := &server{kind: g.kind, sockets: map[socketKey]bool{}}
	m.finder.servers = append(m.finder.servers, s)
	return s
}

func (s *server) shares(g *group) bool {
	for key := range g.sockets {
		if s.sockets[key] {
			return true
		}
	}
	for _, p := range g.procs {
		if slices.ContainsFunc(s.procs, func(q *core.Process) bool { return q.ProcKey == p.ProcKey }) {
			return true
		}
	}
	return false
}

// refresh gives a server what is known of it now.
func (m *Manager) refresh(s *server, g *group, now time.Time) {
	fresh := len(s.procs) == 0
	back := !s.gone.IsZero()
	other := fresh || s.procs[0].ProcKey != g.procs[0].ProcKey
	moved := !sameSockets(s.sockets, g.sockets)
	stronger := len(g.signs) > len(s.signs)
	s.procs, s.sockets, s.signs, s.evidence, s.gone = g.procs, g.sockets, g.signs, g.words, time.Time{}
	s.fresh, s.lost = true, false
	if !fresh && !back && !other && !moved && !stronger {
		return
	}
	if err := s.plan(*m.shared.Load()); err != nil {
		m.cfg.Log.Error("a server that was found is left out", "kind", s.kind.Name, "pid", s.procs[0].PID, "error", err)
		s.candidates = nil
	}
	if fresh {
		m.event(s, "found "+s.kind.Title+" at "+s.name()+": "+s.evidence)
	}
	if j := m.jobs[s.id()]; j != nil {
		if back || other {
			m.back(s, j)
		}
		return
	}
	if !s.probing && (fresh || back || other || moved || s.err != nil) {
		// One that answered is the same when it is started again in its place.
		s.probed, s.due = s.probed && (s.err == nil || !other), now.Add(m.cfg.Limits.Settle)
	}
}

// back lets the unit of a server that was started anew try at once.
func (m *Manager) back(s *server, j *job) {
	r := j.recipe()
	if r.where != s.where && j.row.Origin == "found" {
		r.where = s.where
		j.take(r, j.digest)
		m.remake(j)
		return
	}
	if u := j.running(); u != nil {
		u.soon()
	}
	m.cfg.Retry(j.id)
}

func sameSockets(a, b map[socketKey]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

func (m *Manager) event(s *server, what string) {
	m.cfg.Event(core.Event{Kind: core.EventNotice, Unit: s.id(), Proc: s.procs[0].ProcKey, Service: s.procs[0].Service,
		Reason: core.Clean(what, core.MaxCmdline)})
}

// advance does what is due for a server. It returns when something is due again,
// and whether the server is still listed.
func (m *Manager) advance(ctx context.Context, s *server, now time.Time, probes *sync.WaitGroup) (time.Time, bool) {
	id := s.id()
	if !s.gone.IsZero() {
		return m.missing(s, now)
	}
	v := m.judge(s)
	j := m.jobs[id]
	switch {
	case v.covered && j != nil && j.row.Origin == "found":
		m.drop(id)
	case v.covered:
	case v.run && j == nil && len(s.candidates) > 0:
		m.begin(s)
	case !v.run && j != nil && j.row.Origin == "found":
		m.drop(id)
	}
	if !v.probe || s.probing || len(s.candidates) == 0 || s.due.IsZero() {
		return time.Time{}, true
	}
	if at := m.nextProbe(s); at.After(now) {
		return at, true
	}
	if m.finder.probing >= m.cfg.Limits.Probes {
		return now.Add(50 * time.Millisecond), true
	}
	m.probe(ctx, s, now, probes)
	return time.Time{}, true
}

// nextProbe is when a server may be probed: when it is due, and not before one of
// its endpoints may be asked again.
func (m *Manager) nextProbe(s *server) time.Time {
	var first time.Time
	for _, c := range s.candidates {
		if at := m.again(s, c); !c.other && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.After(s.due) {
		return first
	}
	return s.due
}

// again is when an endpoint may be asked again, whoever it belonged to before.
func (m *Manager) again(s *server, c candidate) time.Time {
	last, asked := m.finder.probed[unitID(s.kind.Name, c.name)]
	if !asked {
		return s.due
	}
	return last.Add(max(s.pause, m.cfg.Limits.Again))
}

// missing is the life of a server that does not listen any more. After the grace
// it is not asked any more, since something else may listen there by then, and a
// mere suggestion goes; what was asked is listed until the time to forget it.
func (m *Manager) missing(s *server, now time.Time) (time.Time, bool) {
	id := s.id()
	j := m.jobs[id]
	found := j != nil && j.row.Origin == "found"
	over := s.gone.Add(m.cfg.Limits.Grace)
	switch {
	case m.choices.of(id).Pinned || matches(m.settings.Pin, s.kind.Name, s.name()):
		return time.Time{}, true
	case now.Before(over):
		return over, true
	case found:
		m.drop(id)
		m.event(s, s.kind.Title+" at "+s.name()+" is gone")
		s.lost = true
	}
	if over = s.gone.Add(m.cfg.Limits.Forget); s.lost && now.Before(over) {
		return over, true
	}
	return time.Time{}, false
}

// begin makes a job of a server that was found.
func (m *Manager) begin(s *server) {
	c := s.candidates[s.chosen]
	m.put(s.kind, c.name, "found", recipe{settings: c.settings, where: s.where, options: m.settings.options(s.kind, Common{})})
	s.due = time.Time{}
}
