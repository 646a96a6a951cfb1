package process

import (
	"fmt"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// kindLine is one kind of instrumentation at the subject.
type kindLine struct {
	kind    core.KindRow
	on, all int              // how many of the processes it is on at
	instr   *core.InstrState // at the process, or at the first of the service
	row     *core.ProcessRow
	unit    *core.UnitRow
	cost    float64
}

func (p *Page) updateProbes(c *page.Context) {
	p.kinds = p.kinds[:0]
	for _, k := range page.PerProcess(c.Snap) {
		line := kindLine{kind: k}
		for _, r := range p.rows {
			for i := range r.Instr {
				in := &r.Instr[i]
				if in.Kind != k.Kind || !r.Alive {
					continue
				}
				line.all++
				if line.instr == nil {
					line.instr, line.row = in, r
				}
				if in.On {
					line.on++
				}
				if in.Cost > 0 {
					line.cost += in.Cost
				}
			}
		}
		for _, u := range c.Snap.Units {
			if u.Class == core.ClassInstrumentation && u.Kind == k.Kind {
				line.unit = u
			}
		}
		if line.instr != nil {
			p.kinds = append(p.kinds, line)
		}
	}
	p.probeTable.N = len(p.kinds)
}

func (p *Page) toggleKind(c *page.Context, k *kindLine) {
	if p.svc == nil {
		page.ToggleKind(c, k.row, k.instr)
		return
	}
	choice := core.On
	key := core.ToggleKey{Kind: k.kind.Kind, Scope: core.ScopeService, Target: p.svc.Name}
	if page.Wanted(c, key, k.on > 0) {
		choice = core.Off
	}
	c.Submit([]core.Intent{{Op: core.IntentToggle, Key: key, Choice: choice}},
		fmt.Sprintf("%s %s for service %s", k.kind.Kind, choice, p.svc.Name))
}

func (p *Page) drawProbes(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Instrumentation", "space switches the kind", true)
	if len(p.kinds) == 0 {
		text := "no kind of instrumentation is there for this one"
		if p.row != nil && p.row.Skip != "" {
			text = "never instrumented: " + p.row.Skip
		}
		in.Fit(2, 1, in.W-4, text, canvas.Fg(canvas.Muted))
		return
	}
	list, rest := in.Top(min(len(p.kinds), in.H))
	p.probeTable.Lines(list, func(row int, line canvas.Area) { p.drawKind(c, &p.kinds[row], line) })
	c.At(p.probeTable.CursorAt())
	if p.probeTable.Cursor < len(p.kinds) {
		p.explain(c, rest.Sub(1, 1, rest.W-2, rest.H-1), &p.kinds[p.probeTable.Cursor])
	}
}

func (p *Page) drawKind(c *page.Context, k *kindLine, line canvas.Area) {
	s, word := page.InstrOf(c, k.row, k.instr)
	if p.svc != nil {
		word = fmt.Sprintf("%d of %d", k.on, k.all)
		if choice, ok := c.Choice(core.ToggleKey{Kind: k.kind.Kind, Scope: core.ScopeService, Target: p.svc.Name}); ok {
			s, word = page.StateChanging, "going "+string(choice)
		} else if k.on > 0 && k.on < k.all {
			s = page.StatePartly
		}
	}
	g, tok := s.Sign()
	line.Set(0, 0, g, canvas.Fg(tok))
	line.Fit(2, 0, 14, k.kind.Title, canvas.Strong(canvas.FG))
	line.Fit(17, 0, 12, word, canvas.Fg(tok))
	line.Fit(30, 0, line.W-30, k.instr.Reason, canvas.Fg(canvas.Muted))
}

// explain tells all about the kind under the cursor.
func (p *Page) explain(c *page.Context, a canvas.Area, k *kindLine) {
	y := 0
	line := func(key, text string, tok canvas.Token) {
		if text != "" && y < a.H {
			a.Text(0, y, key, canvas.Fg(canvas.Muted))
			a.Fit(10, y, a.W-10, text, canvas.Fg(tok))
			y++
		}
	}
	line("kind", k.kind.Help, canvas.FG)
	line("decided", k.instr.Reason, canvas.FG)
	if !k.instr.Since.IsZero() {
		line("since", format.Of(format.Age, c.Since(k.instr.Since))+" ago", canvas.FG)
	}
	line("cost here", costText(k.cost), canvas.FG)
	if u := k.unit; u != nil {
		line("probe", fmt.Sprintf("%s, %s, used by %s", u.Phase, u.Health, format.Plural(u.Processes, "process", "processes")), canvas.FG)
		line("", u.Message, canvas.Warn)
		for _, part := range page.SortedKeys(u.Parts) {
			line("", part+": "+u.Parts[part], canvas.Warn)
		}
	}
	if cov := p.coverage(); cov.Exchanges > 0 {
		line("seen", fmt.Sprintf("%s of %s exchanges understood (%s%%), %s lost", format.Of(format.Count, float64(cov.Parsed)),
			format.Of(format.Count, float64(cov.Exchanges)), format.Of(format.Percent, float64(cov.Parsed)/float64(cov.Exchanges)),
			format.Of(format.Count, float64(cov.Lost))), canvas.FG)
	}
}

func costText(cost float64) string {
	if cost <= 0 {
		return "not measured yet"
	}
	return page.Cost(cost)
}

func (p *Page) coverage() (sum core.Coverage) {
	for _, r := range p.rows {
		sum.Exchanges += r.Coverage.Exchanges
		sum.Parsed += r.Coverage.Parsed
		sum.Lost += r.Coverage.Lost
	}
	return sum
}
