package talk

import (
	"vitals/core"
	"vitals/core/wire"
)

// maxConns is how many connections are remembered. One takes some 400 bytes
// with its place in the tables, and what its parser keeps.
const maxConns = 20000

// connection is what is known of one socket.
type connection struct {
	cookie       uint64
	newer, older *connection // in the order of use
	proc         core.ProcKey
	role         core.Role
	ends         endsKey
	paired       bool
	far          *connection  // the socket at the other end, while both are known
	farProc      core.ProcKey // whose it is, or was

	proto     *wire.Protocol // nil until decided
	conn      wire.Conn      // nil when undecided, and when nobody can read it
	blind     string         // why nobody can read it
	why       string         // and more of it
	inside    string         // what its client offers to speak there
	because   string         // all of it, once it was asked for
	elsewhere bool           // its plain text is read where it is encrypted
	peer      string         // what a client's other end is called, "" until asked for
	sni       string

	seq       uint32 // of the newest record
	last      int64  // time of it
	joined    bool   // older than the observation, or its first records are missing
	missed    bool   // it is not older
	nameless  bool   // the kernel does not know its role
	captured  Capture
	widened   uint8  // times that it was, see widen
	transfers uint32 // since the last review
	gained    uint64 // requests in them
	stream    bool   // transfer by transfer
	datagram  bool
	seen      bool // counted as a connection
	not       uint64
	guess     *guess   // while undecided
	held      *kept    // shipped early: may be amended
	open      Times    // generic: what has begun
	delayed   *delayed // answers that wait for a send that is told late
}

// table finds connections by cookie and forgets the longest unused ones.
type table struct {
	byCookie       map[uint64]*connection
	newest, oldest *connection
	free           *connection
	max            int
	evict          func(*connection)
}

func newTable(max int, evict func(*connection)) *table {
	return &table{byCookie: make(map[uint64]*connection), max: max, evict: evict}
}

// get finds a connection and makes it the newest.
func (t *table) get(cookie uint64) *connection {
	if t.newest != nil && t.newest.cookie == cookie {
		return t.newest
	}
	c := t.byCookie[cookie]
	if c != nil {
		t.unlink(c)
		t.push(c)
	}
	return c
}

// add makes a connection; the oldest one goes when there are too many.
func (t *table) add(cookie uint64) *connection {
	if len(t.byCookie) >= t.max {
		old := t.oldest
		t.evict(old)
		t.drop(old)
	}
	c := t.free
	if c == nil {
		c = &connection{}
	} else {
		t.free = c.older
		*c = connection{}
	}
	c.cookie = cookie
	t.byCookie[cookie] = c
	t.push(c)
	return c
}

// drop forgets a connection. It must not be used afterwards.
func (t *table) drop(c *connection) {
	delete(t.byCookie, c.cookie)
	t.unlink(c)
	*c = connection{older: t.free}
	t.free = c
}

func (t *table) push(c *connection) {
	c.older, c.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = c
	} else {
		t.oldest = c
	}
	t.newest = c
}

func (t *table) unlink(c *connection) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		t.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		t.oldest = c.newer
	}
	c.newer, c.older = nil, nil
}
