// Package route is the page of one route, statement or command of a service:
// all its outcomes beside each other, how long its first byte and the whole
// answer take, who asks, and single requests.
package route

import (
	"cmp"
	"slices"

	"vitals/core"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page shows one route.
type Page struct {
	about    page.RouteKey
	outcomes []*outcome
	table    widget.Table
	singles  *page.Singles
	callers  []caller
	sum      outcome // over all outcomes
	onSingle bool    // the cursor is in the single requests
	gone     bool
}

// outcome is how some of the requests ended.
type outcome struct {
	text              string
	peer              string
	status            int
	failed, stream    bool
	count, partial    uint64
	rate              float64
	in, out           uint64
	first, total      *core.Distribution
	firsts, durations []*core.Distribution
	last              *core.RequestRow // the newest
}

// caller is who asks this route, or whom it is asked of.
type caller struct {
	name        string
	rate, p99   float64
	count, fail uint64
	exact       bool // its own requests of this route were seen; else all that it asks of the service
}

// Columns of the outcomes.
const (
	colStatus = iota
	colPeer
	colCount
	colShare
	colRate
	colFirst
	colP50
	colP99
	colMax
	colIn
	colOut
	colLast
)

// New makes the page of a route; of the key only what all its outcomes share counts.
func New(about page.RouteKey) *Page {
	about.Status, about.Code, about.Err, about.Peer = 0, "", "", ""
	p := &Page{about: about, singles: page.NewSingles(false), table: widget.Table{Sort: -1, Columns: []widget.Column{
		colStatus: {Title: "OUTCOME", W: 12, Min: 8, Max: 24},
		colPeer:   {Title: "ASKED OF", W: 18, Min: 8, Max: 30, Leave: 4},
		colCount:  {Title: "COUNT", W: 9, Right: true},
		colShare:  {Title: "SHARE", W: 6, Right: true},
		colRate:   {Title: "RATE/s", W: 7, Right: true},
		colFirst:  {Title: "FIRST", W: 6, Right: true, Leave: 5},
		colP50:    {Title: "P50", W: 6, Right: true},
		colP99:    {Title: "P99", W: 6, Right: true},
		colMax:    {Title: "MAX", W: 6, Right: true, Leave: 6},
		colIn:     {Title: "IN", W: 5, Right: true, Leave: 1},
		colOut:    {Title: "OUT", W: 5, Right: true, Leave: 2},
		colLast:   {Title: "LAST", W: 5, Right: true, Leave: 3},
	}}}
	if about.Role != core.RoleClient {
		p.table.Columns[colPeer] = widget.Column{Leave: 1}
	}
	return p
}

// Title is the route.
func (p *Page) Title() string { return what(p.about) }

func what(k page.RouteKey) string {
	switch {
	case k.Method == "":
		return cmp.Or(k.Route, k.Protocol)
	case k.Route == "":
		return k.Method
	}
	return k.Method + " " + page.Statement(k.Protocol, k.Method, k.Route)
}

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Route }

// same reports whether a row is of this route, whatever its outcome.
func (p *Page) same(q *core.RequestRow) bool {
	return q.Service == p.about.Service && q.Role == p.about.Role && q.Protocol == p.about.Protocol &&
		q.Method == p.about.Method && q.Route == p.about.Route
}

// Update adds up the outcomes, of processes that ended too.
func (p *Page) Update(c *page.Context) {
	index := map[page.RouteKey]*outcome{}
	var found []*outcome
	for _, rows := range [][]*core.RequestRow{c.Snap.Requests, c.Snap.Retired} {
		for _, q := range rows {
			if !p.same(q) {
				continue
			}
			k := page.KeyOf(q)
			o := index[k]
			if o == nil {
				o = &outcome{text: page.Outcome(q.Status, q.Code, q.Error), status: q.Status, peer: q.Peer, stream: true}
				index[k] = o
				found = append(found, o)
			}
			o.add(q)
		}
	}
	if p.gone = len(found) == 0; p.gone {
		return // what was known stays on the screen
	}
	p.outcomes = found
	p.sum = outcome{stream: true}
	for _, o := range found {
		o.finish()
		p.sum.merge(o)
	}
	p.sum.finish()
	slices.SortFunc(p.outcomes, func(a, b *outcome) int {
		return cmp.Or(-cmp.Compare(a.count, b.count), cmp.Compare(a.text, b.text), cmp.Compare(a.peer, b.peer))
	})
	p.table.N = len(p.outcomes)
	p.callers = p.askers(c)
	p.updateSingles(c)
}

func (p *Page) updateSingles(c *page.Context) {
	keep := func(x *core.Exemplar) bool {
		return x.Service == p.about.Service && x.Role == p.about.Role && x.Protocol == p.about.Protocol && x.Method == p.about.Method && x.Route == p.about.Route
	}
	var own []*core.Exemplar
	if svc := page.Service(c.Snap, p.about.Service); svc != nil {
		own = svc.Exemplars
	}
	p.singles.Update(page.Exemplars(c.Snap.Exemplars, own), keep)
}

func (o *outcome) add(q *core.RequestRow) {
	o.failed = o.failed || q.Failed
	o.stream = o.stream && q.Stream
	o.count += q.Count
	o.partial += q.Partial
	o.rate += q.Rate
	o.in += q.BytesIn
	o.out += q.BytesOut
	if !q.Stream {
		o.firsts, o.durations = append(o.firsts, q.FirstByte), append(o.durations, q.Duration)
	}
	if o.last == nil || q.Last.After(o.last.Last) {
		o.last = q
	}
}

func (o *outcome) merge(from *outcome) {
	o.stream = o.stream && from.stream
	o.count += from.count
	o.partial += from.partial
	o.rate += from.rate
	o.in += from.in
	o.out += from.out
	o.firsts, o.durations = append(o.firsts, from.first), append(o.durations, from.total)
}

func (o *outcome) finish() {
	o.first, o.total = page.Merge(o.firsts), page.Merge(o.durations)
	o.firsts, o.durations = nil, nil
}

// failed is how many requests failed.
func (p *Page) failed() (n uint64) {
	for _, o := range p.outcomes {
		if o.failed {
			n += o.count
		}
	}
	return n
}

// askers are the services of this machine that ask this route, as they see it;
// where their requests are not seen, those that ask anything of the service.
func (p *Page) askers(c *page.Context) []caller {
	if p.about.Role != core.RoleServer {
		return nil
	}
	var out []caller
	for _, e := range c.Snap.Edges {
		if e.To != p.about.Service || e.Protocol != p.about.Protocol {
			continue
		}
		x := caller{name: e.From, rate: e.Rate, p99: e.P99, count: e.Count, fail: e.Errors}
		switch own, seen := p.asks(c, e.From); {
		case own.count > 0:
			x = own
		case seen:
			continue // its requests are known, and none is of this route
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b caller) int {
		return cmp.Or(-cmp.Compare(a.rate, b.rate), -cmp.Compare(a.count, b.count), cmp.Compare(a.name, b.name))
	})
	return out
}

// asks adds up what a service asks of others that is equal to this route; seen is
// whether any of its requests are known.
func (p *Page) asks(c *page.Context, service string) (sum caller, seen bool) {
	sum = caller{name: service, exact: true}
	var parts []*core.Distribution
	for _, q := range c.Snap.Requests {
		if q.Service != service || q.Role != core.RoleClient || q.Protocol != p.about.Protocol {
			continue
		}
		seen = true
		if q.Method == p.about.Method && q.Route == p.about.Route {
			sum.rate += q.Rate
			sum.count += q.Count
			if q.Failed {
				sum.fail += q.Count
			}
			parts = append(parts, q.Duration)
		}
	}
	sum.p99 = page.Merge(parts).Quantile(0.99)
	return sum, seen
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	switch a {
	case keys.NextPane, keys.PrevPane:
		p.onSingle = !p.onSingle
	case keys.Open:
		p.open(c)
	case keys.Copy:
		p.copy(c)
	default:
		return page.Scroll(p.active(), a)
	}
	return true
}

func (p *Page) active() *widget.Table {
	if p.onSingle {
		return &p.singles.Table
	}
	return &p.table
}

func (p *Page) open(c *page.Context) {
	switch x := p.singles.Selected(); {
	case p.onSingle && x != nil:
		page.OpenExemplar(c, x)
	case page.Service(c.Snap, p.about.Service) != nil:
		c.Open(page.Subject{Service: p.about.Service})
	default:
		c.Toast(page.Note, "that service is gone")
	}
}

func (p *Page) copy(c *page.Context) {
	if x := p.singles.Selected(); p.onSingle && x != nil {
		c.Copy("the request", page.ExemplarText(x))
		return
	}
	r := page.Route{RouteKey: p.about}
	if p.table.Cursor < len(p.outcomes) {
		q := p.outcomes[p.table.Cursor].last
		r.RouteKey = page.KeyOf(q)
	}
	c.Copy("the query", r.PromQL())
}

// Click moves the cursor; two clicks open.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	for i, t := range []*widget.Table{&p.table, &p.singles.Table} {
		if row := t.RowAt(x, y); row >= 0 {
			p.onSingle, t.Cursor = i == 1, row
			if double {
				p.open(c)
			}
			return
		}
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) { p.active().Move(n) }
