package gateway

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// group is what one grouping key has. The writer changes it under the lock.
type group struct {
	number  uint32
	key     Key
	id      string
	content content
	expires time.Time // zero: never
	slot    int       // in the order of expiry, -1 when not in it
}

// content is a group's changeable part, a value so that a change can be undone.
type content struct {
	families       []*family // sorted by name
	pushed, failed int64     // nanoseconds of Unix time, 0 never
	lastError      string
	ttl            time.Duration
}

// state is all groups and what is needed to judge a push by looking at what it
// touches only.
type state struct {
	check   bool
	limits  Limits
	seed    maphash.Seed
	groups  map[string]*group
	names   map[string]*named
	series  map[uint64]uint32 // hash to the number of the group that has it
	count   int               // series
	bytes   int
	last    uint32
	expiry  expiry
	tombs   []tombstone
	expired uint64
}

// named is who has families of a name, in the order of group numbers.
type named struct {
	kind   dto.MetricType
	owners []owner
}

type owner struct {
	group  uint32
	family *family
}

func newState(check bool, l Limits) *state {
	return &state{
		check: check, limits: l, seed: maphash.MakeSeed(), groups: map[string]*group{},
		names: map[string]*named{}, series: map[uint64]uint32{},
	}
}

// find returns the group of key, made when it is not there.
func (s *state) find(key Key) (*group, error) {
	id := key.id()
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	if len(s.groups) >= s.limits.Groups {
		return nil, exceeded("groups", len(s.groups)+1, s.limits.Groups)
	}
	s.last++
	g := &group{number: s.last, key: key, id: id, slot: -1}
	s.groups[id] = g
	return g, nil
}

// twin finds the group that differs from key by instance="" only: a metric
// without instance gets that, so both would expose the same series.
func (s *state) twin(key Key) *group {
	other := make(Key, 0, len(key)+1)
	for _, l := range key {
		switch {
		case l.Name != "instance":
			other = append(other, l)
		case l.Value != "":
			return nil
		}
	}
	if len(other) == len(key) {
		other = append(other, Label{Name: "instance"})
		slices.SortFunc(other, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	}
	return s.groups[other.id()]
}

// adopt takes over a restored group and returns how many of its series another
// group has already.
func (s *state) adopt(r *restored) (twice int) {
	g, err := s.find(r.key)
	if err != nil { // more than the limit were stored: keep them all
		s.last++
		g = &group{number: s.last, key: r.key, id: r.key.id(), slot: -1}
		s.groups[g.id] = g
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	for i, f := range r.families {
		f.hashes = f.hashes[:0]
		for _, labels := range r.labels[i] {
			hash := seriesHash(&h, f.name, labels)
			f.hashes = append(f.hashes, hash)
			if _, ok := s.series[hash]; ok {
				twice++
			}
		}
		slices.Sort(f.hashes)
	}
	s.put(g, r.content)
	s.expireAt(g, r.expires)
	return twice
}

// judge finds what speaks against giving g these families instead of those of
// the same name, or of all it has.
func (s *state) judge(g *group, families []*family, all bool) error {
	series := s.count
	for _, old := range g.content.families {
		if all || has(families, old.name) {
			series -= len(old.hashes)
		}
	}
	for _, f := range families {
		series += len(f.hashes)
	}
	if series > s.limits.Series && series > s.count {
		return exceeded("series in all groups", series, s.limits.Series)
	}
	if !s.check {
		return nil
	}
	for _, f := range families {
		if err := s.judgeName(g, f, families, all); err != nil {
			return err
		}
		for _, hash := range f.hashes {
			if by, ok := s.series[hash]; ok && by != g.number {
				return inconsistent("a series of %s is there already, pushed by the group %s", core.Clean(f.name, core.MaxName), s.numbered(by))
			}
		}
	}
	return nil
}

func (s *state) judgeName(g *group, f *family, families []*family, all bool) error {
	shown := core.Clean(f.name, core.MaxName)
	if by, ok := s.other(g, f.name, families, all); ok && s.names[f.name].kind != f.kind {
		return inconsistent("%s is a %s, but the group %s has it as a %s", shown, kindName(f.kind), s.numbered(by), kindName(s.names[f.name].kind))
	}
	for _, suffix := range suffixes(f.kind) {
		if by, ok := s.other(g, f.name+suffix, families, all); ok {
			return inconsistent("the %s %s collides with %s%s of the group %s", kindName(f.kind), shown, shown, suffix, s.numbered(by))
		}
	}
	for _, suffix := range suffixes(dto.MetricType_HISTOGRAM) {
		base, ok := strings.CutSuffix(f.name, suffix)
		if !ok {
			continue
		}
		if by, ok := s.other(g, base, families, all); ok && slices.Contains(suffixes(s.names[base].kind), suffix) {
			return inconsistent("%s collides with the %s %s of the group %s", shown, kindName(s.names[base].kind), base, s.numbered(by))
		}
	}
	return nil
}

// other finds a group that will still have a family of this name after the change.
func (s *state) other(g *group, name string, families []*family, all bool) (by uint32, ok bool) {
	n := s.names[name]
	if n == nil {
		return 0, false
	}
	for _, o := range n.owners {
		if o.group != g.number || !all && !has(families, name) {
			return o.group, true
		}
	}
	return 0, false
}

func has(families []*family, name string) bool {
	_, ok := slices.BinarySearchFunc(families, name, func(f *family, n string) int { return strings.Compare(f.name, n) })
	return ok
}

// numbered names a group for an error; that it walks all groups is the price of
// an error only.
func (s *state) numbered(n uint32) string {
	for _, g := range s.groups {
		if g.number == n {
			return g.key.String()
		}
	}
	return "{}"
}

// merged gives the families after a POST.
func merged(old, pushed []*family) []*family {
	out := slices.Clone(pushed)
	for _, f := range old {
		if !has(pushed, f.name) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return out
}

// put gives g its content and returns what it had. The cost is that of what changes.
func (s *state) put(g *group, c content) (before content) {
	before = g.content
	old, now := before.families, c.families
	for i, j := 0, 0; i < len(old) || j < len(now); {
		switch {
		case j == len(now) || i < len(old) && old[i].name < now[j].name:
			s.swap(g, old[i], nil)
			i++
		case i == len(old) || now[j].name < old[i].name:
			s.swap(g, nil, now[j])
			j++
		default:
			if old[i] != now[j] {
				s.swap(g, old[i], now[j])
			}
			i++
			j++
		}
	}
	g.content = c
	return before
}

// swap replaces one family of g by another of the same name; either may be nil.
func (s *state) swap(g *group, old, now *family) {
	same := old != nil && now != nil && slices.Equal(old.hashes, now.hashes)
	if old != nil {
		s.count -= len(old.hashes)
		s.bytes -= old.bytes()
		if s.check && !same {
			for _, h := range old.hashes {
				if s.series[h] == g.number {
					delete(s.series, h)
				}
			}
		}
	}
	if now != nil {
		s.count += len(now.hashes)
		s.bytes += now.bytes()
		if s.check && !same {
			for _, h := range now.hashes {
				if _, taken := s.series[h]; !taken {
					s.series[h] = g.number
				}
			}
		}
	}
	s.own(g, old, now)
}

// own keeps the list of who has a name.
func (s *state) own(g *group, old, now *family) {
	name := ""
	if now != nil {
		name = now.name
	} else {
		name = old.name
	}
	n := s.names[name]
	if n == nil {
		n = &named{}
		s.names[name] = n
	}
	at, there := slices.BinarySearchFunc(n.owners, g.number, func(o owner, number uint32) int { return int(int64(o.group) - int64(number)) })
	switch {
	case now == nil:
		n.owners = slices.Delete(n.owners, at, at+1)
	case there:
		n.owners[at].family = now
	default:
		n.owners = slices.Insert(n.owners, at, owner{g.number, now})
	}
	if len(n.owners) == 0 {
		delete(s.names, name)
		return
	}
	n.kind = n.owners[0].family.kind
}

// remove forgets g.
func (s *state) remove(g *group) (before content) {
	before = s.put(g, content{})
	s.expireAt(g, time.Time{})
	delete(s.groups, g.id)
	return before
}

// sorted gives the groups in a stable order.
func (s *state) sorted() []*group {
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *group) int { return strings.Compare(a.id, b.id) })
}
