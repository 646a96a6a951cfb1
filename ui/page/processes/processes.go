// Package processes is the page of all processes, one by one, as a tree, or
// grouped into services.
package processes

import (
	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

type view uint8

const (
	byProcess view = iota
	byService
	asTree
	numViews
)

func (v view) String() string { return [...]string{"process", "service", "tree"}[v] }

// Page is the list of processes.
type Page struct {
	table    widget.Table
	rows     []row
	total    int // live processes and ended ones with requests, before the filter
	ended    int // of those that are shown
	services *page.Services

	view     view
	line     string
	filter   filter.Filter[*core.ProcessRow]
	problems bool

	at       core.ProcKey // where the cursor stays while rows move
	follow   bool
	selected map[core.ProcKey]struct{}
	anchor   core.ProcKey // start of a range, zero for none
	keyed    []keyed      // scratch of sort
}

// row is one line: a process and how deep it is in the tree.
type row struct {
	*core.ProcessRow
	depth uint8
	last  bool // the last child of its parent
}

// Columns.
const (
	colSign = iota
	colPID
	colName
	colLang
	colListen
	colProto
	colRate
	colErr
	colP50
	colP99
	colTrend
	colCPU
	colRSS
	colAge
)

// New makes the page.
func New() *Page {
	return &Page{
		services: page.NewServices(),
		selected: map[core.ProcKey]struct{}{},
		table: widget.Table{Sort: colRate, Desc: true, Columns: []widget.Column{
			colSign:   {Title: " ", W: 1},
			colPID:    {Title: "PID", W: 7, Right: true},
			colName:   {Title: "NAME", W: 18, Min: 15, Max: 36},
			colLang:   {Title: "LANG", W: 11, Min: 9, Leave: 5},
			colListen: {Title: "LISTENS", W: 9, Min: 7, Leave: 4, Max: 14},
			colProto:  {Title: "PROTO", W: 26, Leave: 1},
			colRate:   {Title: "RATE/s", W: 7, Right: true},
			colErr:    {Title: "ERR%", W: 5, Right: true},
			colP50:    {Title: "P50", W: 6, Right: true, Leave: 6},
			colP99:    {Title: "P99", W: 6, Right: true},
			colTrend:  {Title: "P99 5m", W: 12, Min: 6, Max: 40, Leave: 8, Fixed: true},
			colCPU:    {Title: "CPU%", W: 6, Right: true, Leave: 7},
			colRSS:    {Title: "RSS", W: 5, Right: true, Leave: 2},
			colAge:    {Title: "AGE", W: 4, Right: true, Leave: 3},
		}},
	}
}

// Title is the page's name.
func (p *Page) Title() string { return "Processes" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Processes }

// Filter is the filter as it was typed.
func (p *Page) Filter() string { return p.line }

// FilterHelp names the keys of the filter.
func (p *Page) FilterHelp() string { return page.ProcessHelp }

// SetFilter shows the processes that match, the cursor on the first.
func (p *Page) SetFilter(c *page.Context, line string) {
	p.line, p.filter = line, page.ParseProcesses(c, line)
	p.release()
}

// release lets the cursor go to the first row.
func (p *Page) release() {
	p.at, p.follow, p.table.Cursor, p.services.Cursor = core.ProcKey{}, false, 0, 0
}

// State is what is kept from one run to the next. A filter is not: whoever
// starts anew wants to see everything.
func (p *Page) State() (view, sort string) {
	sort = p.table.Columns[p.table.Sort].Title
	if !p.table.Desc {
		sort += " up"
	}
	return p.view.String(), sort
}

// LoadState takes what was kept; what is not understood is ignored.
func (p *Page) LoadState(_ *page.Context, view, sort string) {
	for v := range numViews {
		if v.String() == view {
			p.view = v
		}
	}
	for i, col := range p.table.Columns {
		if !col.Fixed && (col.Title == sort || col.Title+" up" == sort) && i != colSign {
			p.table.Sort, p.table.Desc = i, col.Title == sort
		}
	}
}

// Update filters and sorts.
func (p *Page) Update(c *page.Context) {
	p.total, p.ended = 0, 0
	p.rows = p.rows[:0]
	for _, r := range c.Snap.Processes {
		if !r.Alive && r.Server.Count+r.Client.Count == 0 {
			continue
		}
		p.total++
		if p.filter.Match(r) && (!p.problems || problem(c, r)) {
			p.rows = append(p.rows, row{ProcessRow: r})
			if !r.Alive {
				p.ended++
			}
		}
	}
	p.sort(c)
	if p.view == asTree {
		p.arrange()
	}
	p.table.N = len(p.rows)
	p.find()
	p.services.Update(c.Snap.Services, p.keepService)
	for k := range p.selected {
		if page.Process(c.Snap, k) == nil {
			delete(p.selected, k)
		}
	}
}

// keepService reports whether any process of the service is shown.
func (p *Page) keepService(s *core.ServiceRow) bool {
	if p.view != byService {
		return false
	}
	if p.line == "" && !p.problems {
		return true
	}
	for i := range p.rows {
		if p.rows[i].Service == s.Name {
			return true
		}
	}
	return false
}

// problem reports whether a process fails, or cannot be seen as wanted.
func problem(c *page.Context, r *core.ProcessRow) bool {
	if red, _ := page.RED(&r.Server, &r.Client); red.ErrRatio >= 0.01 {
		return true
	}
	if !r.Alive && (r.Exit.Signal != 0 || r.Exit.Code != 0) {
		return true
	}
	s, _ := page.StateOf(c, r)
	return s == page.StateFailed || s == page.StatePartly
}

// find puts the cursor back on the process it was on.
func (p *Page) find() {
	if p.at != (core.ProcKey{}) {
		for i := range p.rows {
			if p.rows[i].ProcKey == p.at {
				p.table.Cursor = i
				return
			}
		}
	}
	p.table.Cursor = min(p.table.Cursor, max(p.table.N-1, 0))
	p.hold()
}

// hold remembers the process under the cursor, so that the cursor stays on it
// while the list moves; on the first row it stays at the top instead.
func (p *Page) hold() {
	p.at = core.ProcKey{}
	if r := p.current(); r != nil && (p.table.Cursor > 0 || p.follow) {
		p.at = r.ProcKey
	}
}

// current is the process under the cursor, nil when there is none.
func (p *Page) current() *core.ProcessRow {
	if p.view == byService || p.table.Cursor >= len(p.rows) {
		return nil
	}
	return p.rows[p.table.Cursor].ProcessRow
}

// marked reports whether a row is selected or in the range that is being chosen.
func (p *Page) marked(i int) bool {
	if _, ok := p.selected[p.rows[i].ProcKey]; ok {
		return true
	}
	from, to, ok := p.span()
	return ok && from <= i && i <= to
}

// span is the range between anchor and cursor.
func (p *Page) span() (from, to int, ok bool) {
	if p.anchor == (core.ProcKey{}) {
		return 0, 0, false
	}
	for i := range p.rows {
		if p.rows[i].ProcKey == p.anchor {
			return min(i, p.table.Cursor), max(i, p.table.Cursor), true
		}
	}
	return 0, 0, false
}

// targets are the processes that an action is about: the selection, else the
// row under the cursor.
func (p *Page) targets(c *page.Context) []*core.ProcessRow {
	p.endRange()
	if len(p.selected) == 0 {
		if r := p.current(); r != nil {
			return []*core.ProcessRow{r}
		}
		return nil
	}
	var out []*core.ProcessRow
	for _, r := range c.Snap.Processes {
		if _, ok := p.selected[r.ProcKey]; ok {
			out = append(out, r)
		}
	}
	return out
}

func (p *Page) endRange() {
	if from, to, ok := p.span(); ok {
		for i := from; i <= to; i++ {
			p.selected[p.rows[i].ProcKey] = struct{}{}
		}
	}
	p.anchor = core.ProcKey{}
}

func sign(c *page.Context, cell canvas.Area, r *core.ProcessRow) {
	s, _ := page.StateOf(c, r)
	g, tok := s.Sign()
	cell.Set(0, 0, g, canvas.Fg(tok))
}
