// Package integrations is the page of the servers that were found or configured,
// and of what is asked of them.
package integrations

import (
	"cmp"
	"slices"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page lists the servers; below the list stands why, and what the chosen one needs.
type Page struct {
	table  widget.Table
	rows   []*core.IntegrationRow
	at     string // id under the cursor
	line   string
	filter filter.Filter[*core.IntegrationRow]
}

const (
	colSign = iota
	colKind
	colTarget
	colState
	colService
	colLast
	colTook
	colSeries
	colMessage
)

// New makes the page.
func New() *Page {
	return &Page{filter: parse(""), table: widget.Table{Sort: -1, Columns: []widget.Column{
		colSign:    {Title: " ", W: 1, Fixed: true},
		colKind:    {Title: "KIND", W: 12, Min: 8, Max: 16},
		colTarget:  {Title: "SERVER", W: 22, Min: 14, Max: 36},
		colState:   {Title: "STATE", W: 10},
		colService: {Title: "SERVICE", W: 14, Min: 8, Max: 20, Leave: 1},
		colLast:    {Title: "LAST", W: 5, Right: true, Leave: 3},
		colTook:    {Title: "TOOK", W: 6, Right: true, Leave: 2},
		colSeries:  {Title: "SERIES", W: 7, Right: true, Leave: 4},
		colMessage: {Title: "WHY", W: 24, Min: 16, Max: 120},
	}}}
}

// Title is the page's name.
func (p *Page) Title() string { return "Integrations" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Integrations }

// Filter is the filter as it was typed.
func (p *Page) Filter() string { return p.line }

// FilterHelp names the keys of the filter.
func (p *Page) FilterHelp() string { return "word  kind: state:running|failed service: needs:" }

// SetFilter shows the servers that match.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.line, p.filter = line, parse(line)
	p.table.Cursor, p.at = 0, ""
}

func parse(line string) filter.Filter[*core.IntegrationRow] {
	return filter.Fields[*core.IntegrationRow]{
		Words: func(r *core.IntegrationRow, w string) bool {
			return filter.Contains(r.Kind, w) || filter.Contains(r.Instance, w) || filter.Contains(r.Service, w) || filter.Contains(r.Message, w)
		},
		Exact: map[string]func(*core.IntegrationRow) string{
			"kind":  func(r *core.IntegrationRow) string { return r.Kind },
			"state": func(r *core.IntegrationRow) string { return string(r.State) },
			"needs": func(r *core.IntegrationRow) string { return r.Needs },
		},
		Text: map[string]func(*core.IntegrationRow) string{
			"service": func(r *core.IntegrationRow) string { return r.Service },
		},
	}.Parse(line)
}

// Update lists the servers, those that work first. The cursor stays on its own.
func (p *Page) Update(c *page.Context) {
	p.rows = p.rows[:0]
	for _, r := range c.Snap.Integrations {
		if p.filter.Match(r) {
			p.rows = append(p.rows, r)
		}
	}
	slices.SortStableFunc(p.rows, func(a, b *core.IntegrationRow) int {
		return cmp.Or(cmp.Compare(gone(c, a), gone(c, b)), cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Instance, b.Instance))
	})
	p.table.N = len(p.rows)
	if i := slices.IndexFunc(p.rows, func(r *core.IntegrationRow) bool { return r.ID == p.at }); i >= 0 {
		p.table.Cursor = i
	}
	p.hold()
}

// gone is 1 for servers that ended: they stand below those that can be asked.
func gone(c *page.Context, r *core.IntegrationRow) int {
	if page.ServerGone(c.Snap, r) {
		return 1
	}
	return 0
}

func rank(s core.IntegrationState) int {
	return slices.Index([]core.IntegrationState{core.IntegrationRunning, core.IntegrationFailed, core.IntegrationSuggested, core.IntegrationFound, core.IntegrationDenied}, s)
}

func (p *Page) hold() {
	p.at = ""
	if r := p.current(); r != nil {
		p.at = r.ID
	}
}

func (p *Page) current() *core.IntegrationRow {
	if p.table.Cursor < len(p.rows) {
		return p.rows[p.table.Cursor]
	}
	return nil
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if page.Scroll(&p.table, a) {
		p.hold()
		return true
	}
	r := p.current()
	switch {
	case r == nil:
		return false
	case page.Integrate(c, r, a):
	case a == keys.Open:
		c.Open(page.Subject{Integration: r.ID})
	case a == keys.Copy:
		c.Copy("what it says", page.IntegrationText(r))
	default:
		return false
	}
	return true
}

// Draw shows the list, and about the chosen one why and what to do.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	r := p.current()
	var detail canvas.Area
	if r != nil {
		lines := page.IntegrationLines(c, r, a.W-4)
		detail, a = a.Bottom(min(len(lines)+2, a.H/2))
		in := widget.Panel(detail, c.Boxed(), r.Title+" "+r.Instance, "⏎ figures", false)
		page.DrawLines(in, lines)
	}
	in := widget.Panel(a, c.Boxed(), "Integrations", "", true)
	if len(p.rows) == 0 {
		text := "no server that we know was found yet; integrations: in the configuration adds some"
		if p.line != "" {
			text = "no server matches; esc shows all"
		}
		in.Fit(2, 1, in.W-4, text, canvas.Fg(canvas.Muted))
		return
	}
	p.table.Draw(in, func(row, col int, cell canvas.Area) { draw(c, p.rows[row], col, cell) })
	widget.Remark(a, p.table.Span())
	c.At(p.table.CursorAt())
}

func draw(c *page.Context, r *core.IntegrationRow, col int, cell canvas.Area) {
	var b [24]byte
	sign, tok := page.IntegrationSign(r)
	name := canvas.Style{}
	if gone(c, r) > 0 {
		sign, tok = page.StateEnded.Sign()
		name = canvas.Fg(canvas.Faint)
	}
	switch col {
	case colSign:
		cell.Set(0, 0, sign, canvas.Fg(tok))
	case colKind:
		cell.Fit(0, 0, cell.W, cmp.Or(r.Title, r.Kind), name)
	case colTarget:
		cell.Fit(0, 0, cell.W, r.Instance, name)
	case colState:
		cell.Fit(0, 0, cell.W, string(r.State), canvas.Fg(tok))
	case colService:
		cell.Fit(0, 0, cell.W, r.Service, canvas.Fg(canvas.Muted))
	case colLast:
		if !r.LastRun.IsZero() {
			page.Num(cell, format.Age(b[:0], c.Since(r.LastRun)), canvas.Fg(canvas.Muted))
		}
	case colTook:
		if r.Duration > 0 {
			page.Latency(cell, r.Duration.Seconds())
		}
	case colSeries:
		if r.Runs > 0 {
			page.Num(cell, format.Int(b[:0], r.Series), canvas.Style{})
		}
	case colMessage:
		text, st := cmp.Or(r.Message, r.Why), canvas.Fg(canvas.Muted)
		if r.State == core.IntegrationFailed {
			st = canvas.Fg(tok)
		}
		cell.Fit(0, 0, cell.W, text, st)
	}
}

// Click moves the cursor; two clicks open.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	if row := p.table.RowAt(x, y); row >= 0 {
		p.table.Cursor = row
		p.hold()
		if double {
			p.Do(c, keys.Open)
		}
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	p.table.Move(n)
	p.hold()
}
