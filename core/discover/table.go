package discover

import (
	"maps"
	"slices"
	"strings"
	"time"

	"vitals/core"
)

// tracked is one living process of the table. Only Run's goroutine touches it;
// identity and profile are immutable and shared between parent and child.
type tracked struct {
	key  core.ProcKey
	ino  uint64 // of /proc/PID, 0 until a look saw it
	seen uint64 // the round of the look that saw it last
	gen  uint32 // how many programs it executed while we watched
	told *core.Process

	ppid    int32
	comm    string
	nspid   int32  // 0 unknown
	rawComm string // comm as the kernel has it, when a poll read it
	kernel  bool   // kernel thread
	zombie  bool
	hidden  bool // not among Config.PIDs: known so that it is not looked at again, never told
	ours    bool // we or our children
	light   bool // forked and did not exec: runs its parent's program
	held    bool // younger than Config.MinAge: known, not told yet
	dirty   bool // told is not all that is known
	waiting bool // its profile is asked for

	id      *identity
	profile *profile
	// profiled is whether profile was read in this life, not inherited.
	profiled bool

	sockets []uint64        // listening ones, by inode
	listens []core.Listener // what they are called
	scanned time.Time       // when its descriptors were read last
	born    time.Time       // when we learnt of it, or of its last exec

	usage usageState
}

// compose describes t as it is known now. It makes a new Process each time.
func (w *watcher) compose(t *tracked) *core.Process {
	p := &core.Process{
		ProcKey: t.key, PPID: t.ppid, Comm: t.comm, NSPID: t.nspid,
		Started: w.boot.Add(time.Duration(t.key.Birth) * tickNanos),
	}
	if id := t.id; id != nil {
		p.Exe, p.Cmdline = id.exe, id.cmdline
		if id.uidOK {
			p.UID, p.User = id.uid, w.users.name(id.uid, w.now)
		}
		p.Runtime.SDK = id.agent
	}
	if f := t.profile; f != nil {
		p.Container, p.Unit, p.NetNS = f.container, f.unit, f.netns
		sdk := p.Runtime.SDK
		p.Runtime = f.runtime
		if sdk != "" {
			p.Runtime.SDK = sdk
		} else if p.Runtime.SDK == "" {
			p.Runtime.SDK = f.sdk
		}
		if f.podUID != "" {
			if p.Pod = f.pod; p.Pod == "" {
				p.Pod = f.podUID
			}
		}
	}
	p.Listeners = t.listens
	p.Attributes = attributesOf(t.profile)
	p.Service = serviceName(t)
	if g := w.rules.group(p); g != nil {
		p.Group = g.Name
		if g.Service != "" && (t.profile == nil || t.profile.service == "") {
			p.Service = core.Clean(g.Service, core.MaxName)
		}
		p.Attributes = withDefaults(p.Attributes, g.Attributes)
	}
	p.Skip = w.skip(t, p)
	return p
}

func (w *watcher) skip(t *tracked, p *core.Process) string {
	switch {
	case t.kernel:
		return "kernel thread"
	case t.key.PID == w.cfg.Self:
		return "vitals itself"
	case t.ours:
		return "started by vitals"
	case t.zombie:
		return "zombie: it has ended, its parent has not noticed"
	}
	return w.rules.skip(p)
}

// serviceName is the service key of DESIGN: what the process says itself, else
// the pod or container, else the systemd unit, else the program.
func serviceName(t *tracked) string {
	if t.kernel {
		return ""
	}
	if f := t.profile; f != nil {
		switch {
		case f.service != "":
			return f.service
		case f.podUID != "" && f.pod != "":
			return workload(f.pod)
		case f.containerName != "":
			return f.containerName
		case f.container != "":
			return f.container[:min(12, len(f.container))]
		case f.unit != "":
			return strings.TrimSuffix(f.unit, ".service")
		}
	}
	if t.id != nil && t.id.program != "" {
		return t.id.program
	}
	return t.comm
}

// attributesOf are the resource attributes that a process carries: its own
// first, then what is known of its place.
func attributesOf(f *profile) map[string]string {
	if f == nil {
		return nil
	}
	if f.containerName == "" && f.podUID == "" {
		return f.attributes
	}
	known := map[string]string{}
	for key, value := range map[string]string{
		attrContainerName: f.containerName, attrPodUID: f.podUID, attrPodName: f.pod, attrNamespace: f.namespace,
	} {
		if value != "" && (f.podUID != "" || key == attrContainerName) {
			known[key] = value
		}
	}
	return withDefaults(f.attributes, known)
}

// withDefaults returns attrs with the keys of more that it does not have. It
// modifies neither.
func withDefaults(attrs, more map[string]string) map[string]string {
	out := attrs
	for key, value := range more {
		if _, known := attrs[key]; known {
			continue
		}
		if out == nil || len(out) == len(attrs) {
			out = make(map[string]string, len(attrs)+len(more))
			maps.Copy(out, attrs)
		}
		out[core.Clean(key, core.MaxName)] = core.Clean(value, core.MaxRoute)
	}
	return out
}

// tell hands t's description to the handler when it differs from the last one.
func (w *watcher) tell(t *tracked) {
	t.dirty = t.held
	if t.hidden || t.held {
		return
	}
	p := w.compose(t)
	if t.told == nil {
		t.told = p
		w.cfg.Handler.ProcessUp(p)
		return
	}
	if !same(t.told, p) {
		t.told = p
		w.cfg.Handler.ProcessChanged(p)
	}
}

// add puts a new process into the table, without telling.
func (w *watcher) add(key core.ProcKey, ppid int32, comm string) *tracked {
	t := &tracked{key: key, ppid: ppid, comm: comm, born: w.now, dirty: true}
	t.usage.fd = -1
	parent := w.table[ppid]
	root := slices.Contains(w.cfg.PIDs, key.PID)
	if key.PID == w.cfg.Self {
		t.ours = true
	} else if parent != nil {
		t.ours = parent.ours && !root
	}
	if len(w.cfg.PIDs) > 0 {
		t.hidden = !root && (parent == nil || parent.hidden)
	}
	w.table[key.PID] = t
	w.stats.known.Store(int64(len(w.table)))
	return t
}

// remove tells that t ended and forgets it.
func (w *watcher) remove(t *tracked, exit core.Exit, at time.Time) {
	switch {
	case t.hidden:
	case t.held:
		w.stats.filtered.Add(1)
	default:
		if t.told == nil || t.dirty {
			w.tell(t)
		}
		if !t.profiled && !t.kernel {
			w.stats.shortLived.Add(1)
		}
		w.cfg.Handler.ProcessDown(t.key, exit, at)
	}
	w.dropUsage(t)
	delete(w.table, t.key.PID)
	w.stats.known.Store(int64(len(w.table)))
}

// find returns the living process with that key, nil when there is none.
func (w *watcher) find(key core.ProcKey) *tracked {
	if t := w.table[key.PID]; t != nil && t.key == key {
		return t
	}
	return nil
}

func same(a, b *core.Process) bool {
	return a.ProcKey == b.ProcKey && a.PPID == b.PPID && a.Comm == b.Comm && a.Exe == b.Exe && a.Cmdline == b.Cmdline &&
		a.User == b.User && a.UID == b.UID && a.Service == b.Service && a.Group == b.Group && a.Runtime == b.Runtime &&
		a.Container == b.Container && a.Pod == b.Pod && a.Unit == b.Unit && a.NSPID == b.NSPID && a.NetNS == b.NetNS &&
		a.Skip == b.Skip && slices.Equal(a.Listeners, b.Listeners) && maps.Equal(a.Attributes, b.Attributes)
}
