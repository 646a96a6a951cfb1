// Package metrics is the page of what leaves the machine: the destinations with
// their state, every exposed series, and the calls that vitals itself makes.
package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

type pane uint8

const (
	series pane = iota
	destinations
	calls
	gateway
	numPanes // gateway is there only while one runs inside
)

// Page shows three lists, one of which has the cursor.
type Page struct {
	at       pane
	push     widget.Table
	families widget.Table
	calls    widget.Table
	gateway  receiver

	infos  []core.MetricInfo
	rows   []*core.MetricInfo
	seen   uint64 // snapshot of infos
	line   string
	filter filter.Filter[*core.MetricInfo]
}

// New makes the page.
func New() *Page {
	return &Page{filter: parse(""), gateway: newReceiver(),
		push: widget.Table{Sort: -1, Columns: []widget.Column{
			{Title: " ", W: 1}, {Title: "DESTINATION", W: 24, Min: 14, Max: 44}, {Title: "STATE", W: 9}, {Title: "LAST", W: 6, Right: true},
			{Title: "NEXT", W: 6, Right: true, Leave: 3}, {Title: "PUSHED", W: 8, Right: true}, {Title: "FAILED", W: 7, Right: true},
			{Title: "SERIES", W: 7, Right: true, Leave: 4}, {Title: "BYTES", W: 6, Right: true, Leave: 2}, {Title: "TOOK", W: 6, Right: true, Leave: 1},
		}},
		families: widget.Table{Sort: 2, Desc: true, Columns: []widget.Column{
			{Title: "METRIC", W: 36, Min: 20, Max: 64}, {Title: "TYPE", W: 9, Leave: 1}, {Title: "SERIES", W: 7, Right: true}, {Title: "LINES", W: 7, Right: true, Leave: 2},
		}},
		calls: widget.Table{Sort: -1, Columns: []widget.Column{
			{Title: "CALL OF VITALS", W: 28, Min: 16, Max: 44}, {Title: "BEGUN", W: 9, Right: true}, {Title: "OK", W: 9, Right: true},
			{Title: "NOT OK", W: 7, Right: true}, {Title: "NOW", W: 4, Right: true}, {Title: "OLDEST", W: 7, Right: true, Leave: 2},
			{Title: "LAST", W: 7, Right: true, Leave: 1}, {Title: "P50", W: 7, Right: true}, {Title: "P99", W: 7, Right: true},
		}},
	}
}

// Title is the page's name.
func (p *Page) Title() string { return "Metrics" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Metrics }

// Filter is the filter of the series.
func (p *Page) Filter() string { return p.line }

// FilterHelp names its keys.
func (p *Page) FilterHelp() string { return "word in a name  type:histogram  series>100" }

// SetFilter shows the metrics that match.
func (p *Page) SetFilter(_ *page.Context, line string) {
	p.line, p.filter = line, parse(line)
	p.families.Cursor, p.at = 0, series
}

func parse(line string) filter.Filter[*core.MetricInfo] {
	return filter.Fields[*core.MetricInfo]{
		Words:  func(m *core.MetricInfo, w string) bool { return filter.Contains(m.Name, w) },
		Exact:  map[string]func(*core.MetricInfo) string{"type": func(m *core.MetricInfo) string { return m.Type }},
		Number: map[string]func(*core.MetricInfo) float64{"series": func(m *core.MetricInfo) float64 { return float64(m.Series) }},
	}.Parse(line)
}

// Update lists what is exposed. That costs as much as exposing it, and happens
// only while the page is shown.
func (p *Page) Update(c *page.Context) {
	if c.Metrics != nil && (p.seen != c.Snap.Seq || p.infos == nil) {
		p.infos, p.seen = c.Metrics(c.Snap), c.Snap.Seq
	}
	at := p.selected()
	p.rows = p.rows[:0]
	for i := range p.infos {
		if m := &p.infos[i]; p.filter.Match(m) {
			p.rows = append(p.rows, m)
		}
	}
	slices.SortFunc(p.rows, func(a, b *core.MetricInfo) int {
		by := compare(a, b, p.families.Sort)
		if p.families.Desc {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.Name, b.Name))
	})
	if at != nil && p.families.Cursor > 0 {
		if i := slices.IndexFunc(p.rows, func(m *core.MetricInfo) bool { return m.Name == at.Name }); i >= 0 {
			p.families.Cursor = i
		}
	}
	p.families.N, p.push.N, p.calls.N = len(p.rows), len(c.Snap.Push), len(c.Snap.Calls)
	p.gateway.update(c.Snap.Gateway)
	if c.Snap.Gateway == nil && p.at == gateway {
		p.at = series
	}
}

func compare(a, b *core.MetricInfo, col int) int {
	switch col {
	case 0:
		return cmp.Compare(a.Name, b.Name)
	case 1:
		return cmp.Compare(a.Type, b.Type)
	case 3:
		return cmp.Compare(a.Samples, b.Samples)
	}
	return cmp.Compare(a.Series, b.Series)
}

func (p *Page) selected() *core.MetricInfo {
	if p.families.Cursor < len(p.rows) {
		return p.rows[p.families.Cursor]
	}
	return nil
}

func (p *Page) table() *widget.Table {
	return [...]*widget.Table{series: &p.families, destinations: &p.push, calls: &p.calls, gateway: &p.gateway.table}[p.at]
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	if p.at == series && page.SortKeys(c, &p.families, a, func() { p.Update(c) }) {
		return true
	}
	if p.at == gateway && page.SortKeys(c, &p.gateway.table, a, func() { p.Update(c) }) {
		return true
	}
	switch a {
	case keys.View, keys.NextPane:
		p.move(c, 1)
	case keys.PrevPane:
		p.move(c, numPanes-1)
	case keys.Delete:
		p.remove(c)
	case keys.Toggle:
		p.toggle(c)
	case keys.Copy:
		p.copy(c)
	case keys.Open:
		if d := p.destination(c); d != nil {
			c.OpenEvents("unit:" + d.Unit)
		}
	default:
		done := page.Scroll(p.table(), a)
		p.gateway.hold()
		return done
	}
	return true
}

// move gives the cursor to another pane.
func (p *Page) move(c *page.Context, n pane) {
	p.at = (p.at + n) % numPanes
	if p.at == gateway && c.Snap.Gateway == nil {
		p.at = (p.at + n) % numPanes
	}
}

func (p *Page) remove(c *page.Context) {
	switch {
	case c.Snap.Gateway == nil:
		c.Toast(page.Note, "no gateway runs inside: gateway: {listen: ADDR} in the configuration starts one")
	case p.at != gateway:
		p.at = gateway
	default:
		p.gateway.remove(c)
	}
}

// destination is the one under the cursor when the cursor is there.
func (p *Page) destination(c *page.Context) *core.PushRow {
	if p.at == destinations && p.push.Cursor < len(c.Snap.Push) {
		return c.Snap.Push[p.push.Cursor]
	}
	return nil
}

// toggle pauses pushing to all destinations of a kind, or goes on.
func (p *Page) toggle(c *page.Context) {
	d := p.destination(c)
	if d == nil {
		c.Toast(page.Note, "choose a destination first: tab goes there, space pauses it")
		return
	}
	key := core.ToggleKey{Kind: d.Kind, Scope: core.ScopeGlobal}
	choice, done := core.On, "pushing again: "
	if page.Wanted(c, key, page.GlobalOn(c.Snap, d.Kind)) {
		choice, done = core.Off, "pushing is paused: "
	}
	c.Submit([]core.Intent{{Op: core.IntentToggle, Key: key, Choice: choice}}, done+d.Kind)
}

func (p *Page) copy(c *page.Context) {
	switch m := p.selected(); {
	case p.destination(c) != nil:
		d := p.destination(c)
		c.Copy("the destination", strings.TrimSpace(d.Destination+" "+d.State+" "+d.LastError))
	case p.at == series && m != nil:
		c.Copy("the series", strings.Join(m.Lines, "\n"))
	case p.at == gateway && p.gateway.selected() != nil:
		c.Copy("the group", p.gateway.selected().Labels)
	}
}

// Draw shows destinations above, series with the preview of one in the middle,
// our own calls below; where there is no room, the list with the cursor.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	p.families.Quiet, p.push.Quiet, p.calls.Quiet = p.at != series, p.at != destinations, p.at != calls
	p.gateway.table.Quiet = p.at != gateway
	if p.at == gateway && c.Snap.Gateway != nil {
		p.drawGateway(c, a)
		return
	}
	if c.Size != page.Wide {
		switch p.at {
		case destinations:
			p.drawDestinations(c, a)
		case calls:
			p.drawCalls(c, a)
		default:
			p.drawSeries(c, a)
		}
		return
	}
	top, rest := a.Top(min(max(len(c.Snap.Push), 1)+4, a.H/4))
	if g := c.Snap.Gateway; g != nil {
		var right canvas.Area
		top, right = top.Left(top.W * 3 / 5)
		page.DrawLines(widget.Panel(right, true, "Gateway on "+g.Address, "D groups", false), gatewayLines(c, g))
	}
	p.drawDestinations(c, top)
	bottom, middle := rest.Bottom(min(len(c.Snap.Calls)+3, a.H/4))
	p.drawSeries(c, middle)
	p.drawCalls(c, bottom)
}

func (p *Page) drawDestinations(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Destinations", "space pause   P push now", p.at == destinations)
	if len(c.Snap.Push) == 0 {
		in.Fit(2, 0, in.W-4, "nothing leaves this machine: vitals --push URL, or push: in the configuration", canvas.Fg(canvas.Muted))
		return
	}
	last, list := in.Bottom(1)
	p.push.Draw(list, func(row, col int, cell canvas.Area) { drawPush(c, c.Snap.Push[row], col, cell) })
	d := c.Snap.Push[min(p.push.Cursor, len(c.Snap.Push)-1)]
	if d.LastError != "" {
		last.Fit(2, 0, last.W-3, d.Destination+": "+d.LastError, canvas.Fg(canvas.Crit))
	} else if d.Skipped > 0 {
		last.Fit(2, 0, last.W-3, fmt.Sprintf("%s: %s passed without a push", d.Destination, format.Plural(int(d.Skipped), "interval", "intervals")), canvas.Fg(canvas.Muted))
	}
	if p.at == destinations {
		c.At(p.push.CursorAt())
	}
}

func drawPush(c *page.Context, d *core.PushRow, col int, cell canvas.Area) {
	var b [24]byte
	sign, tok := pushSign(d)
	switch col {
	case 0:
		cell.Set(0, 0, sign, canvas.Fg(tok))
	case 1:
		cell.Fit(0, 0, cell.W, d.Destination, canvas.Style{})
	case 2:
		cell.Fit(0, 0, cell.W, d.State, canvas.Fg(tok))
	case 3:
		if !d.LastSuccess.IsZero() {
			page.Num(cell, format.Age(b[:0], c.Since(d.LastSuccess)), canvas.Style{})
		}
	case 4:
		if wait := d.NextAttempt.Sub(c.Snap.At); wait > 0 {
			page.Num(cell, format.Age(b[:0], wait), canvas.Fg(canvas.Muted))
		}
	case 5:
		page.Num(cell, format.Int(b[:0], d.Pushes), canvas.Style{})
	case 6:
		st := canvas.Fg(canvas.Faint)
		if d.Failures > 0 {
			st = canvas.Strong(canvas.Warn)
		}
		page.Num(cell, format.Int(b[:0], d.Failures), st)
	case 7:
		page.Num(cell, format.Int(b[:0], d.Series), canvas.Style{})
	case 8:
		page.Memory(cell, int64(d.Bytes))
	case 9:
		if d.Duration > 0 {
			page.Latency(cell, d.Duration.Seconds())
		}
	}
}

func pushSign(d *core.PushRow) (rune, canvas.Token) {
	switch d.State {
	case "ok":
		return '●', canvas.OK
	case "failed":
		return '✖', canvas.Crit
	case "retrying":
		return '▲', canvas.Warn
	}
	return '◌', canvas.Info
}

// Click moves the cursor or sorts.
func (p *Page) Click(c *page.Context, x, y int, double bool) {
	if p.at == gateway {
		p.clickGroup(c, x, y)
		return
	}
	for i, t := range []*widget.Table{series: &p.families, destinations: &p.push, calls: &p.calls} {
		if row := t.RowAt(x, y); row >= 0 {
			p.at, t.Cursor = pane(i), row
			if double {
				p.Do(c, keys.Open)
			}
			return
		}
	}
	page.SortClick(&p.families, x, y, func() { p.Update(c) })
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	p.table().Move(n)
	p.gateway.hold()
}
