package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// receiver is the list of what others pushed to the gateway that runs inside.
type receiver struct {
	table widget.Table
	rows  []core.GatewayGroup
	at    string // id under the cursor, which stays on its group
}

// Columns of the groups.
const (
	groupSign = iota
	groupLabels
	groupPushed
	groupFailed
	groupFamilies
	groupSeries
	groupBytes
	groupExpires
)

func newReceiver() receiver {
	return receiver{table: widget.Table{Sort: groupPushed, Columns: []widget.Column{
		groupSign:     {Title: " ", W: 1, Fixed: true},
		groupLabels:   {Title: "GROUP", W: 30, Min: 18, Max: 90},
		groupPushed:   {Title: "PUSHED", W: 7, Right: true},
		groupFailed:   {Title: "FAILED", W: 7, Right: true, Leave: 3},
		groupFamilies: {Title: "METRICS", W: 8, Right: true, Leave: 2},
		groupSeries:   {Title: "SERIES", W: 7, Right: true},
		groupBytes:    {Title: "BYTES", W: 6, Right: true},
		groupExpires:  {Title: "EXPIRES", W: 8, Right: true, Leave: 1},
	}}}
}

// update sorts the groups, the one pushed to last first unless another column
// was chosen.
func (r *receiver) update(g *core.GatewayRow) {
	r.rows = r.rows[:0]
	if g != nil {
		r.rows = append(r.rows, g.Listed...)
	}
	slices.SortStableFunc(r.rows, func(a, b core.GatewayGroup) int {
		by := compareGroup(&a, &b, r.table.Sort)
		if r.table.Desc {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.Labels, b.Labels))
	})
	r.table.N = len(r.rows)
	if i := slices.IndexFunc(r.rows, func(x core.GatewayGroup) bool { return x.ID == r.at }); i >= 0 && r.table.Cursor > 0 {
		r.table.Cursor = i
	}
	r.hold()
}

func compareGroup(a, b *core.GatewayGroup, col int) int {
	switch col {
	case groupLabels:
		return cmp.Compare(a.Labels, b.Labels)
	case groupFailed:
		return b.Failed.Compare(a.Failed)
	case groupFamilies:
		return cmp.Compare(a.Families, b.Families)
	case groupSeries:
		return cmp.Compare(a.Series, b.Series)
	case groupBytes:
		return cmp.Compare(a.Bytes, b.Bytes)
	case groupExpires:
		return a.Expires.Compare(b.Expires)
	}
	return b.Pushed.Compare(a.Pushed)
}

func (r *receiver) hold() {
	r.at = ""
	if x := r.selected(); x != nil {
		r.at = x.ID
	}
}

func (r *receiver) selected() *core.GatewayGroup {
	if r.table.Cursor < len(r.rows) {
		return &r.rows[r.table.Cursor]
	}
	return nil
}

// remove deletes the group under the cursor, after asking.
func (r *receiver) remove(c *page.Context) {
	x := r.selected()
	if x == nil {
		c.Toast(page.Note, "there is no group to delete")
		return
	}
	in := core.Intent{Op: core.IntentDeleteGroup, Group: x.ID}
	labels := x.Labels
	c.Confirm(fmt.Sprintf("delete %s with %s?", labels, format.Plural(x.Series, "series", "series")), func() {
		c.Send(in, labels+" is being deleted")
	})
}

func (p *Page) drawGateway(c *page.Context, a canvas.Area) {
	g := c.Snap.Gateway
	in := widget.Panel(a, c.Boxed(), "Gateway on "+g.Address, "D delete", p.at == gateway)
	lines := gatewayLines(c, g)
	top, list := in.Top(min(len(lines), max(in.H-2, 1)))
	page.DrawLines(top, lines)
	if len(p.gateway.rows) == 0 {
		list.Fit(1, 1, list.W-2, "nobody pushed anything yet: "+pushExample(g), canvas.Fg(canvas.Muted))
		return
	}
	var said canvas.Area
	if x := p.gateway.selected(); p.at == gateway && x.LastError != "" {
		said, list = list.Bottom(1)
		said.Fit(1, 0, said.W-2, x.Labels+": "+x.LastError, canvas.Fg(canvas.Crit))
	}
	p.gateway.table.Draw(list, func(row, col int, cell canvas.Area) { drawGroup(c, &p.gateway.rows[row], col, cell) })
	widget.Remark(a, cmp.Or(p.gateway.table.Span(), "D delete"))
	if p.at == gateway {
		c.At(p.gateway.table.CursorAt())
	}
}

func (p *Page) clickGroup(c *page.Context, x, y int) {
	if row := p.gateway.table.RowAt(x, y); row >= 0 {
		p.gateway.table.Cursor = row
		p.gateway.hold()
		return
	}
	page.SortClick(&p.gateway.table, x, y, func() { p.Update(c) })
}

func pushExample(g *core.GatewayRow) string {
	return "echo 'up 1' | curl --data-binary @- http://" + g.Address + "/metrics/job/try"
}

// gatewayLines are the figures of the gateway and what is wrong with it.
func gatewayLines(c *page.Context, g *core.GatewayRow) []page.Line {
	lines := []page.Line{{Key: "holds", Token: canvas.FG, Text: fmt.Sprintf("%s, %s series, %s, in %s", format.Plural(g.Groups, "group", "groups"),
		format.Of(format.Count, float64(g.Series)), format.Of(format.Bytes, float64(g.Bytes)), stored(g.Store))}}
	tok := canvas.FG
	if g.Refused > 0 {
		tok = canvas.Warn
	}
	lines = append(lines, page.Line{Key: "pushes", Token: tok, Text: fmt.Sprintf("%d taken, %d refused", g.Pushes, g.Refused)})
	if g.LastError != "" {
		lines = append(lines, page.Line{Key: "error", Token: canvas.Warn, Text: format.Of(format.Age, c.Since(g.LastFailed)) + " ago: " + g.LastError})
	}
	if g.StoreError != "" {
		lines = append(lines, page.Line{Key: "store", Token: canvas.Crit, Text: g.StoreError})
	}
	return lines
}

func stored(where string) string {
	if where == "memory" {
		return "memory only"
	}
	return strings.TrimSuffix(where, "/")
}

func drawGroup(c *page.Context, x *core.GatewayGroup, col int, cell canvas.Area) {
	var b [24]byte
	bad := x.Failed.After(x.Pushed)
	switch col {
	case groupSign:
		sign, tok := page.StateOn.Sign()
		if bad {
			sign, tok = page.StateFailed.Sign()
		}
		cell.Set(0, 0, sign, canvas.Fg(tok))
	case groupLabels:
		cell.Fit(0, 0, cell.W, x.Labels, canvas.Style{})
	case groupPushed:
		if !x.Pushed.IsZero() {
			page.Num(cell, format.Age(b[:0], c.Since(x.Pushed)), canvas.Style{})
		}
	case groupFailed:
		if !x.Failed.IsZero() {
			st := canvas.Fg(canvas.Muted)
			if bad {
				st = canvas.Strong(canvas.Crit)
			}
			page.Num(cell, format.Age(b[:0], c.Since(x.Failed)), st)
		}
	case groupFamilies:
		page.Num(cell, format.Int(b[:0], x.Families), canvas.Fg(canvas.Muted))
	case groupSeries:
		page.Num(cell, format.Int(b[:0], x.Series), canvas.Style{})
	case groupBytes:
		page.Memory(cell, int64(x.Bytes))
	case groupExpires:
		if wait := x.Expires.Sub(c.Snap.At); wait > 0 {
			page.Num(cell, format.Age(b[:0], wait), canvas.Fg(canvas.Muted))
		}
	}
}
