package gateway

import (
	"slices"
	"time"
)

// commit stores the groups of undos.
func (g *Gateway) commit(undos []undo) error {
	if g.Store == nil || len(undos) == 0 {
		return nil
	}
	keys := make(map[string]Key, len(undos))
	for _, u := range undos {
		keys[u.key.id()] = u.key
	}
	began := time.Now()
	err := g.Store.Commit(g.changes(keys))
	g.own.commit.Observe(time.Since(began).Seconds())
	g.note(err)
	return err
}

// note remembers how the store is, and tells when that changes.
func (g *Gateway) note(err error) {
	if err == nil {
		if g.storeErr.Swap(nil) != nil {
			g.Log.Info("groups are stored again")
		}
		return
	}
	text := err.Error()
	if g.storeErr.Swap(&text) == nil {
		g.Log.Error("groups cannot be stored: pushes are refused until they can", "error", err)
	}
}

// changes encodes groups. The writer may read state without the lock.
func (g *Gateway) changes(keys map[string]Key) []Change {
	out := make([]Change, 0, len(keys))
	for id, key := range keys {
		c := Change{ID: id}
		if grp := g.state.groups[id]; grp != nil {
			c.Data = encodeGroup(key, grp.content)
		}
		out = append(out, c)
	}
	return out
}

// rollback undoes what could not be stored. The store may have part of it, so
// all of it is stored again later. With final, the pushes have failed.
func (g *Gateway) rollback(undos []undo, now time.Time, cause error, final bool, dirty *unstored) {
	for _, u := range slices.Backward(undos) {
		id := u.key.id()
		dirty.add(id, u.key)
		grp := g.state.groups[id]
		if grp == nil {
			g.state.last++
			grp = &group{number: g.state.last, key: u.key, id: id, slot: -1}
			g.state.groups[id] = grp
		}
		failed := grp.content.failed
		g.state.put(grp, u.was)
		g.state.expireAt(grp, u.expires)
		grp.content.failed = max(grp.content.failed, failed)
		switch u.applied.op {
		case opPut, opPost:
			switch {
			case final:
				g.fail(grp, cause.Error(), now, dirty)
			case !u.there:
				g.state.remove(grp)
			}
		case opExpire:
			g.state.unbury(id)
			g.state.expired--
			g.state.expireAt(grp, now.Add(time.Minute)) // the store may be well by then
		}
	}
}

// unstored are groups that the store does not have as they are: pushes to them
// failed, or storing them did.
type unstored struct {
	keys  map[string]Key // nil without a store
	tried time.Time      // when they were last given to the store
}

func (u *unstored) add(id string, key Key) {
	if u.keys != nil {
		u.keys[id] = key
	}
}

// flushEvery is how often what nobody waits for is stored.
const flushEvery = 5 * time.Second

// flush stores what nobody waits for, apart from what somebody does: it must not
// make that fail. A store that fails is tried only when there is nothing else to do.
func (g *Gateway) flush(dirty *unstored, idle bool) {
	if len(dirty.keys) == 0 || time.Since(dirty.tried) < flushEvery || !idle && g.storeErr.Load() != nil {
		return
	}
	dirty.tried = time.Now()
	err := g.Store.Commit(g.changes(dirty.keys))
	if err == nil {
		clear(dirty.keys)
	}
	for id, key := range dirty.keys { // one may be what does not fit
		if g.Store.Commit(g.changes(map[string]Key{id: key})) == nil {
			delete(dirty.keys, id)
			err = nil
		}
	}
	g.note(err)
}
