// Package events is the page of what happened: processes that came and went,
// probes that attached and failed, switches, pushes, losses.
package events

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page is the log of events, the newest first.
type Page struct {
	table  widget.Table
	rows   []*core.Event
	line   string
	filter filter.Filter[*core.Event]
	kind   int    // index into kinds
	at     uint64 // number of the event the cursor stays on; 0 at the newest
}

// group is a choice of kinds to show.
type group struct {
	title string
	kinds []core.EventKind // nil: all
}

func groups() []group {
	return []group{
		{"all kinds", nil},
		{"processes", []core.EventKind{core.EventExec, core.EventFork, core.EventExit}},
		{"probes and switches", []core.EventKind{core.EventUnit, core.EventToggle}},
		{"push", []core.EventKind{core.EventPush}},
		{"losses and notices", []core.EventKind{core.EventLost, core.EventNotice}},
	}
}

// New makes the page.
func New() *Page { return &Page{filter: parse("")} }

// Title is the page's name.
func (p *Page) Title() string { return "Events" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Events }

// Filter is the filter as it was typed.
func (p *Page) Filter() string { return p.line }

// FilterHelp names the keys of the filter.
func (p *Page) FilterHelp() string {
	return "word  kind:exec|exit|unit|toggle|push|lost pid: service: unit: error:  !not  a|b"
}

// SetFilter shows the events that match, the cursor on the newest.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.line, p.filter = line, parse(line)
	p.at, p.table.Cursor = 0, 0
}

func parse(line string) filter.Filter[*core.Event] {
	return filter.Fields[*core.Event]{
		Words: func(e *core.Event, w string) bool {
			return filter.Contains(e.Service, w) || filter.Contains(e.Unit, w) || filter.Contains(e.Reason, w) ||
				filter.Contains(e.Error, w) || filter.Contains(string(e.Kind), w)
		},
		Exact: map[string]func(*core.Event) string{
			"kind": func(e *core.Event) string { return string(e.Kind) },
			"pid":  func(e *core.Event) string { return strconv.Itoa(int(e.Proc.PID)) },
		},
		Text: map[string]func(*core.Event) string{
			"service": func(e *core.Event) string { return e.Service },
			"unit":    func(e *core.Event) string { return e.Unit },
			"error":   func(e *core.Event) string { return e.Error },
			"reason":  func(e *core.Event) string { return e.Reason },
		},
	}.Parse(line)
}

// Update filters.
func (p *Page) Update(c *page.Context) {
	p.rows = p.rows[:0]
	kinds := groups()[p.kind].kinds
	for i := len(c.Events) - 1; i >= 0; i-- {
		e := &c.Events[i]
		if (kinds == nil || slices.Contains(kinds, e.Kind)) && p.filter.Match(e) {
			p.rows = append(p.rows, e)
		}
	}
	p.table.N = len(p.rows)
	if p.at != 0 {
		for i, e := range p.rows {
			if e.Seq <= p.at {
				p.table.Cursor = i
				break
			}
		}
	}
}

func (p *Page) current() *core.Event {
	if p.table.Cursor < len(p.rows) {
		return p.rows[p.table.Cursor]
	}
	return nil
}

// hold keeps the cursor on its event; on the newest it follows.
func (p *Page) hold() {
	p.at = 0
	if e := p.current(); e != nil && p.table.Cursor > 0 {
		p.at = e.Seq
	}
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if page.Scroll(&p.table, a) {
		p.hold()
		return true
	}
	switch a {
	case keys.Open:
		p.open(c)
	case keys.Follow:
		p.at, p.table.Cursor = 0, 0
		c.Toast(page.Note, "at the newest event")
	case keys.View, keys.NextPane:
		p.kind = (p.kind + 1) % len(groups())
		p.at, p.table.Cursor = 0, 0
		p.Update(c)
	case keys.Copy:
		if e := p.current(); e != nil {
			c.Copy("the event", e.At.Format("2006-01-02T15:04:05.000Z07:00")+" "+string(e.Kind)+" "+page.EventWho(e)+" "+page.EventText(e))
		}
	case keys.Esc:
		if p.line != "" || p.kind == 0 {
			return false
		}
		p.kind = 0
		p.Update(c)
	default:
		return false
	}
	return true
}

func (p *Page) open(c *page.Context) {
	e := p.current()
	switch {
	case e == nil:
	case e.Proc.PID != 0 && page.Process(c.Snap, e.Proc) != nil:
		c.Open(page.Subject{Proc: e.Proc})
	case e.Service != "" && page.Service(c.Snap, e.Service) != nil:
		c.Open(page.Subject{Service: e.Service})
	case e.Proc.PID != 0:
		c.Toast(page.Note, "that process is gone")
	default:
		c.Toast(page.Note, "there is nothing behind this event")
	}
}

// Draw shows the page.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	title := "Events: " + groups()[p.kind].title
	detail := 0
	if c.Size == page.Wide {
		detail = 7
	}
	bottom, top := a.Bottom(detail)
	in := widget.Panel(top, c.Boxed(), title, "", true)
	if len(p.rows) == 0 {
		text := "nothing has happened yet"
		if len(c.Events) > 0 {
			text = "nothing matches; esc shows all"
		}
		in.Text(2, 1, text, canvas.Fg(canvas.Muted))
		return
	}
	p.table.Lines(in, func(row int, line canvas.Area) {
		page.EventLine(line, p.rows[row], line.W > 90)
	})
	widget.Remark(top, p.remark())
	c.At(p.table.CursorAt())
	if e := p.current(); e != nil && detail > 0 {
		drawDetail(c, bottom, e)
	}
}

func (p *Page) remark() string {
	if p.filter.Unknown != "" {
		return "no key " + p.filter.Unknown
	}
	return cmp.Or(p.table.Span(), format.Plural(len(p.rows), "event", "events"))
}

// drawDetail tells all of an event that a line has no room for.
func drawDetail(c *page.Context, a canvas.Area, e *core.Event) {
	in := widget.Panel(a, true, "Event "+format.Of(format.Int, e.Seq), "⏎ opens the process", false)
	y := 0
	line := func(key, text string, tok canvas.Token) {
		if text != "" && y < in.H {
			in.Text(1, y, key, canvas.Fg(canvas.Muted))
			in.Fit(9, y, in.W-10, text, canvas.Fg(tok))
			y++
		}
	}
	line("when", e.At.Local().Format("2006-01-02 15:04:05.000")+", "+format.Of(format.Age, c.Since(e.At))+" ago", canvas.FG)
	line("what", strings.TrimSpace(string(e.Kind)+" "+page.EventWho(e)+" "+e.Unit), canvas.FG)
	line("reason", e.Reason, canvas.FG)
	line("error", e.Error, canvas.Crit)
	if e.From != "" || e.To != "" {
		line("state", e.From+" → "+e.To, canvas.FG)
	}
	if !e.NextTry.IsZero() {
		line("attempt", strconv.Itoa(e.Attempt)+", next at "+e.NextTry.Local().Format("15:04:05"), canvas.FG)
	}
}

// Click moves the cursor; two clicks open.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	if row := p.table.RowAt(x, y); row >= 0 {
		p.table.Cursor = row
		p.hold()
		if double {
			p.open(c)
		}
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	p.table.Move(n)
	p.hold()
}
