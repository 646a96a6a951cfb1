package discover

import (
	"cmp"
	"slices"
	"time"

	"vitals/core"
)

// Listening sockets are found from the other end: one small table for each
// network namespace says which exist, and only when one appears that nobody is
// known to hold are descriptors read, of the likeliest processes first.

const (
	netsEvery   = 5 * time.Second        // a namespace's table is read again
	netsHurry   = 300 * time.Millisecond // after an exec: servers bind soon after
	netsAtOnce  = 16                     // namespaces read in one go
	likeliest   = 64                     // processes read in search of a socket that just appeared
	socketsWait = 250 * time.Millisecond // how old a process must be to have its descriptors read
)

// hurry are the pauses between reads of a table after something started in its namespace.
var hurry = [...]time.Duration{netsHurry, 700 * time.Millisecond, 2 * time.Second, netsEvery}

type nets struct {
	by  map[uint64]*netns
	due time.Time // the earliest of all
}

type netns struct {
	ino   uint64
	table *socketTable
	due   time.Time
	hurry int
	// everybody asks that the next table's sockets are searched for among all
	// processes, not only the likeliest.
	everybody bool
	unowned   map[uint64]struct{} // listening sockets that are being searched for
	tried     map[uint64]bool     // those that were, found or not; true when among everybody
}

// joinNet notes that something started in t's network namespace.
func (w *watcher) joinNet(t *tracked) {
	if t.profile == nil || t.profile.netns == 0 {
		return
	}
	n := w.nets.by[t.profile.netns]
	if n == nil {
		n = &netns{ino: t.profile.netns, tried: make(map[uint64]bool), due: w.now}
		w.nets.by[n.ino] = n
	}
	n.hurry = 0
	if at := w.now.Add(netsHurry); at.Before(n.due) {
		n.due = at
	}
	if w.nets.due.IsZero() || n.due.Before(w.nets.due) {
		w.nets.due = n.due
	}
}

// refreshNets asks for the tables that are due, and forgets namespaces in which
// nobody lives any more.
func (w *watcher) refreshNets() {
	member := make(map[uint64]*tracked, len(w.nets.by))
	for _, t := range w.table {
		if t.profile == nil || t.profile.netns == 0 || t.zombie || t.hidden {
			continue
		}
		if m := member[t.profile.netns]; m == nil || t.key.Birth < m.key.Birth { // the oldest is the likeliest to stay
			member[t.profile.netns] = t
		}
	}
	w.nets.due = time.Time{}
	asked := 0
	for ino, n := range w.nets.by {
		m := member[ino]
		if m == nil {
			delete(w.nets.by, ino)
			continue
		}
		if !n.due.After(w.now) && asked < netsAtOnce {
			asked++
			w.put(&w.quickStack, job{kind: jobTables, key: m.key, gen: m.gen, netns: ino})
			n.due = w.now.Add(hurry[n.hurry])
			n.hurry = min(n.hurry+1, len(hurry)-1)
		}
		if w.nets.due.IsZero() || n.due.Before(w.nets.due) {
			w.nets.due = n.due
		}
	}
	if asked == netsAtOnce { // the rest a moment later
		w.nets.due = later(w.nets.due, w.now.Add(50*time.Millisecond))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// applyTable takes a namespace's listening sockets.
func (w *watcher) applyTable(res *result) {
	n := w.nets.by[res.netns]
	if n == nil || res.found == nil {
		return
	}
	changed := !n.table.sameSockets(res.found)
	n.table = res.found
	if changed {
		n.forgetOld()
	}
	owned := make(map[uint64]struct{})
	for _, t := range w.table {
		if t.profile == nil || t.profile.netns != n.ino || t.kernel || t.hidden {
			continue
		}
		if changed && len(t.sockets) > 0 {
			w.name(t, n.table)
		}
		for _, ino := range t.sockets {
			owned[ino] = struct{}{}
		}
		if t.scanned.Before(t.born) && w.now.Sub(t.born) >= socketsWait || w.starting && t.scanned.IsZero() {
			t.scanned = w.now
			w.put(&w.slowStack, job{kind: jobSockets, key: t.key, gen: t.gen, table: n.table})
		}
	}
	if changed || n.everybody {
		w.search(n, owned, n.everybody)
		n.everybody = false
	}
}

func (n *netns) forgetOld() {
	for ino := range n.tried {
		if _, ok := n.table.listening[ino]; !ok {
			delete(n.tried, ino)
			delete(n.unowned, ino)
		}
	}
}

// search plans to read the descriptors of those who may hold the sockets that
// nobody is known to hold: of the same user first, the newest first. The jobs
// lapse when all are found (see wantsSockets). A socket of a process that ended
// at once must not cost a look at thousands, so at first only the likeliest are
// read; what is still there at the next reconcile is searched for everywhere, once.
func (w *watcher) search(n *netns, owned map[uint64]struct{}, everybody bool) {
	uids := make(map[uint32]bool)
	found := 0
	for ino, l := range n.table.listening {
		_, has := owned[ino]
		all, tried := n.tried[ino]
		if has || all || (tried && !everybody) {
			continue
		}
		if n.unowned == nil {
			n.unowned = make(map[uint64]struct{})
		}
		n.unowned[ino], n.tried[ino] = struct{}{}, everybody
		found++
		if l.uidOK {
			uids[l.uid] = true
		}
	}
	if found == 0 {
		return
	}
	var candidates []*tracked
	for _, t := range w.table {
		if t.profile != nil && t.profile.netns == n.ino && !t.kernel && !t.hidden && !t.zombie {
			candidates = append(candidates, t)
		}
	}
	likely := func(t *tracked) int {
		if t.id != nil && uids[t.id.uid] {
			return 1
		}
		return 0
	}
	slices.SortFunc(candidates, func(a, b *tracked) int { // the stack hands out the last first
		return cmp.Or(likely(a)-likely(b), a.born.Compare(b.born), cmp.Compare(a.key.Birth, b.key.Birth))
	})
	if !everybody && len(candidates) > likeliest {
		candidates = candidates[len(candidates)-likeliest:]
	}
	for _, t := range candidates {
		w.put(&w.slowStack, job{kind: jobSockets, key: t.key, gen: t.gen, table: n.table, netns: n.ino})
	}
}

// wantsSockets reports whether a search that a job belongs to goes on.
func (w *watcher) wantsSockets(j *job) bool {
	if j.netns == 0 {
		return true // asked for its own sake
	}
	n := w.nets.by[j.netns]
	return n != nil && len(n.unowned) > 0
}

func (w *watcher) applySockets(t *tracked, res *result) {
	t.scanned = w.now
	t.sockets = res.sockets
	n := w.nets.by[res.table.netns]
	if n != nil {
		for _, ino := range t.sockets {
			delete(n.unowned, ino)
		}
		w.name(t, n.table)
		return
	}
	w.name(t, res.table)
}

// name turns t's sockets into listeners, forgetting those that are closed, and
// tells.
func (w *watcher) name(t *tracked, table *socketTable) {
	var held []uint64
	var listens []core.Listener
	for _, ino := range t.sockets {
		if l, ok := table.listening[ino]; ok {
			held = append(held, ino)
			listens = append(listens, l.Listener)
		}
	}
	slices.SortFunc(listens, func(a, b core.Listener) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Address, b.Address))
	})
	listens = slices.Compact(listens) // SO_REUSEPORT
	if len(listens) > maxListens {
		listens = listens[:maxListens:maxListens]
	}
	t.sockets, t.listens = held, listens
	w.tell(t)
}

// rescanHolders looks again at those who hold listening sockets: one of several
// holders may have closed its own.
func (w *watcher) rescanHolders() {
	for _, n := range w.nets.by {
		n.everybody = true
	}
	for _, t := range w.table {
		if len(t.sockets) > 0 && t.profile != nil {
			if n := w.nets.by[t.profile.netns]; n != nil && n.table != nil {
				w.put(&w.slowStack, job{kind: jobSockets, key: t.key, gen: t.gen, table: n.table})
			}
		}
	}
}
