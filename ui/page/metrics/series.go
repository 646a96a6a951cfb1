package metrics

import (
	"fmt"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// drawSeries shows what is exposed, with a preview of the metric under the cursor.
func (p *Page) drawSeries(c *page.Context, a canvas.Area) {
	left, right := a, canvas.Area{}
	if c.Size == page.Wide {
		left, right = a.Left(a.W / 2)
	}
	in := widget.Panel(left, c.Boxed(), "What is exposed", p.total(), p.at == series)
	if len(p.rows) == 0 {
		text := "nothing is known yet"
		if p.line != "" {
			text = "no metric matches; esc shows all"
		}
		in.Fit(2, 1, in.W-4, text, canvas.Fg(canvas.Muted))
		return
	}
	p.families.Draw(in, func(row, col int, cell canvas.Area) { drawFamily(p.rows[row], col, cell) })
	if p.at == series {
		c.At(p.families.CursorAt())
	}
	m := p.selected()
	if m == nil || right.W == 0 {
		return
	}
	in = widget.Panel(right, true, m.Name, "y copy", false)
	y := 0
	for _, part := range widget.Wrap(m.Help, in.W-2) {
		in.Text(1, y, part, canvas.Fg(canvas.Muted))
		y++
	}
	for _, line := range m.Lines {
		y++
		in.Fit(1, y, in.W-2, strings.TrimPrefix(line, m.Name), canvas.Fg(canvas.FG))
	}
}

func (p *Page) total() string {
	n, lines := 0, 0
	for i := range p.infos {
		n += p.infos[i].Series
		lines += p.infos[i].Samples
	}
	return fmt.Sprintf("%d metrics, %d series, %d lines", len(p.infos), n, lines)
}

func drawFamily(m *core.MetricInfo, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case 0:
		cell.Fit(0, 0, cell.W, m.Name, canvas.Style{})
	case 1:
		cell.Fit(0, 0, cell.W, m.Type, canvas.Fg(canvas.Muted))
	case 2:
		page.Num(cell, format.Int(b[:0], m.Series), canvas.Style{})
	case 3:
		page.Num(cell, format.Int(b[:0], m.Samples), canvas.Fg(canvas.Muted))
	}
}
