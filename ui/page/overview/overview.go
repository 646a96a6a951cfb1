// Package overview is the first page: is the machine well, and if not, where.
package overview

import (
	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page is the overview.
type Page struct {
	services *page.Services
	busiest  widget.Table
	rows     []*core.ProcessRow // busiest by CPU
	events   widget.Table
	recent   []*core.Event // those of events that are shown, the newest first
	focus    pane
	live     []*core.EdgeRow // calls of now, by pair
	past     []*core.EdgeRow // those that are over
	busy     bool            // there are requests to show
}

type pane uint8

const (
	mainPane  pane = iota // services, or processes when there are no requests
	eventPane             // latest events
)

// New makes the page.
func New() *Page {
	p := &Page{services: page.NewServices()}
	p.busiest = widget.Table{Sort: -1, Columns: []widget.Column{
		{Title: " ", W: 1},
		{Title: "PID", W: 7, Right: true},
		{Title: "PROCESS", W: 16, Min: 10, Max: 28},
		{Title: "LANG", W: 11, Leave: 1},
		{Title: "CPU%", W: 5, Right: true},
		{Title: "CPU 5m", W: 10, Min: 6, Max: 24, Leave: 2},
		{Title: "RSS", W: 5, Right: true, Leave: 3},
	}}
	return p
}

// Title is the page's name.
func (p *Page) Title() string { return "Overview" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Lists }

const busiestRows = 50

// Update sorts services and processes.
func (p *Page) Update(c *page.Context) {
	t := &c.Snap.Totals
	p.busy = t.Server.Count+t.Client.Count > 0
	p.services.Update(c.Snap.Services, func(s *core.ServiceRow) bool {
		return s.Server.Count+s.Client.Count > 0 || s.Health == core.HealthDegraded
	})
	p.rows = p.rows[:0]
	if !p.busy {
		p.rows = page.Busiest(p.rows, c.Snap, busiestRows)
	}
	p.busiest.N = len(p.rows)
	p.recent = recent(p.recent[:0], c.Snap, c.Events)
	p.events.N = len(p.recent)
	live, past := page.LiveEdges(c)
	p.live, p.past = page.Pairs(live), page.Pairs(past)
}

func (p *Page) table() *widget.Table {
	switch {
	case p.focus == eventPane:
		return &p.events
	case p.busy:
		return &p.services.Table
	}
	return &p.busiest
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	switch a {
	case keys.NextPane, keys.PrevPane:
		p.focus = 1 - p.focus
	case keys.Open:
		p.open(c)
	case keys.Copy:
		p.copy(c)
	default:
		return page.Scroll(p.table(), a)
	}
	return true
}

func (p *Page) open(c *page.Context) {
	switch {
	case p.focus == eventPane:
		if e := p.event(); e != nil && e.Proc.PID != 0 && page.Process(c.Snap, e.Proc) != nil {
			c.Open(page.Subject{Proc: e.Proc})
		} else {
			c.OpenEvents("")
		}
	case p.busy:
		if s := p.services.Selected(); s != nil {
			c.Open(page.Subject{Service: s.Name})
		}
	case p.busiest.Cursor < len(p.rows):
		c.Open(page.Subject{Proc: p.rows[p.busiest.Cursor].ProcKey})
	}
}

// event is the event under the cursor; the newest is the first row.
func (p *Page) event() *core.Event {
	if i := p.events.Cursor; i < len(p.recent) {
		return p.recent[i]
	}
	return nil
}

func (p *Page) copy(c *page.Context) {
	switch {
	case p.focus == eventPane:
		if e := p.event(); e != nil {
			c.Copy("the event", e.At.Format("2006-01-02T15:04:05.000Z07:00")+" "+page.EventWho(e)+" "+page.EventText(e))
		}
	case p.busy:
		if s := p.services.Selected(); s != nil {
			c.Copy("the name", s.Name)
		}
	case p.busiest.Cursor < len(p.rows):
		c.Copy("the command line", p.rows[p.busiest.Cursor].Cmdline)
	}
}

// Click moves the cursor to the row, a second one opens it.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	for i, t := range []*widget.Table{p.mainTable(), &p.events} {
		if row := t.RowAt(x, y); row >= 0 {
			p.focus = pane(i)
			t.Cursor = row
			if double {
				p.open(c)
			}
		}
	}
}

func (p *Page) mainTable() *widget.Table {
	if p.busy {
		return &p.services.Table
	}
	return &p.busiest
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) { p.table().Move(n) }

func (p *Page) drawBusiest(a canvas.Area, c *page.Context) {
	p.busiest.Quiet = p.focus != mainPane
	p.busiest.Draw(a, func(row, col int, cell canvas.Area) {
		r := p.rows[row]
		switch col {
		case 0:
			s, _ := page.StateOf(c, r)
			sign, tok := s.Sign()
			cell.Set(0, 0, sign, canvas.Fg(tok))
		case 1:
			page.PID(cell, r.PID)
		case 2:
			cell.Fit(0, 0, cell.W, page.Name(r.Process), canvas.Style{})
		case 3:
			cell.Fit(0, 0, cell.W, page.Language(r.Runtime), canvas.Fg(canvas.Muted))
		case 4:
			page.CPU(cell, r.CPURatio)
		case 5:
			page.Trend(cell, r.CPUTrend, 0.1, canvas.Graph1)
		case 6:
			page.Memory(cell, r.Usage.RSS)
		}
	})
	c.At(p.busiest.CursorAt())
}
