// Package process is the page of one process, or of one service: everything
// that is known of it, on a few tabs.
package process

import (
	"fmt"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// tab is one of the page's views.
type tab struct {
	title  string
	update func(*Page, *page.Context)
	draw   func(*Page, *page.Context, canvas.Area)
	table  func(*Page) *widget.Table // what the cursor keys move; may be nil
}

// tabs lists them.
func tabs() []tab {
	return []tab{
		{"Summary", (*Page).updateSummary, (*Page).drawSummary, func(p *Page) *widget.Table { return &p.members }},
		{"Routes", (*Page).updateRoutes, (*Page).drawRoutes, func(p *Page) *widget.Table { return &p.routes.Table }},
		{"Slow", (*Page).updateSlow, (*Page).drawSlow, func(p *Page) *widget.Table { return &p.singles.Table }},
		{"Latency", func(*Page, *page.Context) {}, (*Page).drawLatency, nil},
		{"Connections", (*Page).updateConnections, (*Page).drawConnections, func(p *Page) *widget.Table { return &p.connTable }},
		{"Seen", func(*Page, *page.Context) {}, (*Page).drawSeen, nil},
		{"Probes", (*Page).updateProbes, (*Page).drawProbes, func(p *Page) *widget.Table { return &p.probeTable }},
	}
}

// Page shows a subject.
type Page struct {
	about page.Subject
	tabs  []tab
	at    int
	hits  []canvas.Rect

	// What is known of the subject, from the last snapshot that had it.
	row  *core.ProcessRow   // nil for services
	svc  *core.ServiceRow   // nil for processes
	rows []*core.ProcessRow // the process, or those of the service
	gone bool

	members    widget.Table // processes of a service
	routes     *page.Routes
	singles    *page.Singles
	conns      []connLine
	connTable  widget.Table
	probeTable widget.Table
	kinds      []kindLine
	why        core.WhyProcess // of the process, or of the first of the service
}

// New makes the page of a subject.
func New(about page.Subject) *Page {
	p := &Page{about: about, tabs: tabs(), routes: page.NewRoutes(false), singles: page.NewSingles(false)}
	if about.Service == "" {
		p.singles.OfOne()
	}
	p.members = widget.Table{Sort: -1, Columns: memberColumns()}
	return p
}

// Title is the name of the subject.
func (p *Page) Title() string {
	switch {
	case p.about.Service != "":
		return p.about.Service
	case p.row != nil:
		return fmt.Sprintf("%s/%d", page.Name(p.row.Process), p.row.PID)
	}
	return format.Of(format.Int, p.about.Proc.PID)
}

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Process }

// Filter is the filter of the routes.
func (p *Page) Filter() string { return p.routes.Filter() }

// FilterHelp names its keys.
func (p *Page) FilterHelp() string { return p.routes.FilterHelp() }

// SetFilter shows the routes that match.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.routes.SetFilter(line)
	if line != "" {
		p.at = 1
	}
}

// Update finds the subject and prepares the tab that is shown.
func (p *Page) Update(c *page.Context) {
	p.rows = p.rows[:0]
	if p.about.Service != "" {
		svc := page.Service(c.Snap, p.about.Service)
		if p.gone = svc == nil; !p.gone {
			p.svc = svc
		}
		for _, r := range c.Snap.Processes {
			if r.Service == p.about.Service {
				p.rows = append(p.rows, r)
			}
		}
	} else {
		row := page.Process(c.Snap, p.about.Proc)
		if p.gone = row == nil; !p.gone {
			p.row = row
		}
		if p.row != nil {
			p.rows = append(p.rows, p.row)
		}
	}
	p.tabs[p.at].update(p, c)
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	switch a {
	case keys.NextTab:
		p.show(c, (p.at+1)%len(p.tabs))
	case keys.PrevTab:
		p.show(c, (p.at+len(p.tabs)-1)%len(p.tabs))
	case keys.Toggle:
		p.toggle(c)
	case keys.Open:
		p.open(c)
	case keys.Copy:
		p.copy(c)
	case keys.Inside:
		p.openInside(c)
	default:
		if t := p.tabs[p.at].table; t != nil {
			return page.Scroll(t(p), a)
		}
		return false
	}
	return true
}

func (p *Page) show(c *page.Context, i int) {
	p.at = i
	p.Update(c)
}

// toggle switches the subject; on the Probes tab, the kind under the cursor.
func (p *Page) toggle(c *page.Context) {
	switch {
	case p.tabs[p.at].title == "Probes" && p.probeTable.Cursor < len(p.kinds):
		p.toggleKind(c, &p.kinds[p.probeTable.Cursor])
	case p.svc != nil:
		page.ToggleService(c, p.svc)
	case p.row != nil:
		page.ToggleProcesses(c, p.rows)
	}
}

// open goes to what is under the cursor: a process of the service, a route, the
// other end of a call.
func (p *Page) open(c *page.Context) {
	switch p.tabs[p.at].title {
	case "Summary":
		if p.svc != nil && p.members.Cursor < len(p.rows) {
			c.Open(page.Subject{Proc: p.rows[p.members.Cursor].ProcKey})
		}
	case "Routes":
		if r := p.routes.Selected(); r != nil {
			key := r.RouteKey
			c.Open(page.Subject{Route: &key})
		}
	case "Slow":
		if x := p.singles.Selected(); x != nil && x.Proc != p.about.Proc {
			page.OpenExemplar(c, x)
		}
	case "Connections":
		if p.connTable.Cursor < len(p.conns) {
			if to := p.conns[p.connTable.Cursor].to; to != "" {
				c.Open(page.Subject{Service: to})
			}
		}
	}
}

func (p *Page) copy(c *page.Context) {
	switch {
	case p.tabs[p.at].title == "Routes" && p.routes.Selected() != nil:
		c.Copy("the query", p.routes.Selected().PromQL())
	case p.tabs[p.at].title == "Slow" && p.singles.Selected() != nil:
		c.Copy("the request", page.ExemplarText(p.singles.Selected()))
	case p.row != nil:
		c.Copy("the command line", p.row.Cmdline)
	default:
		c.Copy("the name", p.about.Service)
	}
}

// red is the subject's figures.
func (p *Page) red() (*core.RED, string) {
	switch {
	case p.svc != nil:
		return page.RED(&p.svc.Server, &p.svc.Client)
	case p.row != nil:
		return page.RED(&p.row.Server, &p.row.Client)
	}
	return &core.RED{}, ""
}

// Draw shows the tabs and the one that is chosen.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	line, body := a.Top(1)
	p.drawTabs(c, line)
	if p.row == nil && p.svc == nil {
		body.Fit(2, 1, body.W-4, "this one is gone; nothing is known of it any more. esc goes back", canvas.Fg(canvas.Muted))
		return
	}
	p.tabs[p.at].draw(p, c, body)
}

func (p *Page) drawTabs(c *page.Context, line canvas.Area) {
	p.hits = p.hits[:0]
	x, gap := 1, " "
	if c.Size <= page.Small {
		gap = ""
	}
	for i, t := range p.tabs {
		name, st := gap+t.title+gap, canvas.Fg(canvas.Muted)
		if i == p.at {
			name, st = "["+t.title+"]", canvas.Strong(canvas.Accent)
		}
		end := line.Text(x, 0, name, st)
		p.hits = append(p.hits, canvas.Rect{X: line.X + x, Y: line.Y, W: end - x, H: 1})
		x = end + 1
	}
	text, tok := p.status(c)
	if n := canvas.Width(text); x+n < line.W-1 {
		line.Text(line.W-n-1, 0, text, canvas.Fg(tok))
	}
}

// status is the subject's state in a few words.
func (p *Page) status(c *page.Context) (string, canvas.Token) {
	switch {
	case p.gone:
		return "gone", canvas.Warn
	case p.svc != nil:
		sign, tok := page.ServiceSign(p.svc)
		return string(sign) + " " + format.Plural(len(p.svc.PIDs), "process", "processes"), tok
	case p.row == nil:
		return "", canvas.Muted
	}
	s, _ := page.StateOf(c, p.row)
	sign, tok := s.Sign()
	text := string(sign) + " " + s.String()
	if p.row.Runtime.SDK != "" {
		text += " + SDK"
	}
	return text, tok
}

// Click chooses a tab or moves the cursor.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	for i, r := range p.hits {
		if r.Has(x, y) {
			p.show(c, i)
			return
		}
	}
	if t := p.tabs[p.at].table; t != nil {
		if row := t(p).RowAt(x, y); row >= 0 {
			t(p).Cursor = row
			if double {
				p.open(c)
			}
		}
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	if t := p.tabs[p.at].table; t != nil {
		t(p).Move(n)
	}
}
