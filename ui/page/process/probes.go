package process

import (
	"fmt"
	"math"

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
	cost    float64      // in the kernel, a share of one core; NaN unknown
	why     core.WhyKind // of the first process
}

func (p *Page) updateProbes(c *page.Context) {
	p.kinds, p.why = p.kinds[:0], core.WhyProcess{}
	costs := c.Snap.Costs()
	for _, r := range p.rows {
		if r.Alive {
			p.why = c.Snap.Why(r)
			break
		}
	}
	for _, machine := range []bool{false, true} { // those that can be switched here come first
		for _, k := range c.Snap.Kinds {
			if k.PerProcess == machine {
				continue
			}
			if line := p.kindAt(k, costs); line.instr != nil {
				p.kinds = append(p.kinds, line)
			}
		}
	}
	p.probeTable.N = len(p.kinds)
}

// kindAt adds up one kind over the processes of the subject.
func (p *Page) kindAt(k core.KindRow, costs *core.Costs) kindLine {
	line := kindLine{kind: k}
	for _, w := range p.why.Kinds {
		if w.Kind == k.Kind {
			line.why = w
		}
	}
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
			line.cost += costs.Of(k.Kind, r.ProcKey)
		}
	}
	return line
}

func (p *Page) toggleKind(c *page.Context, k *kindLine) {
	if !k.kind.PerProcess && len(page.PerProcess(c.Snap)) < len(c.Snap.Kinds) {
		c.Toast(page.Note, k.kind.Title+" watches the whole machine: it is switched on the page Probes")
		return
	}
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
	if c.Size == page.Wide && len(p.why.Found) > 0 {
		var right canvas.Area
		a, right = a.Left(a.W * 2 / 3)
		in := widget.Panel(right, true, "What was found", "", false)
		drawFound(in.Sub(1, 0, in.W-2, in.H), p.why.Found)
	}
	in := widget.Panel(a, c.Boxed(), "Instrumentation", "space switches the kind", true)
	if len(p.kinds) == 0 || p.why.Skip != "" {
		p.drawNever(in.Sub(2, 1, in.W-4, in.H-1))
		return
	}
	list, rest := in.Top(min(len(p.kinds), in.H))
	p.probeTable.Lines(list, func(row int, line canvas.Area) { p.drawKind(c, &p.kinds[row], line) })
	c.At(p.probeTable.CursorAt())
	if p.probeTable.Cursor < len(p.kinds) {
		p.explain(c, rest.Sub(1, 1, rest.W-2, rest.H-1), &p.kinds[p.probeTable.Cursor])
	}
}

// drawNever is for processes that no kind is there for.
func (p *Page) drawNever(a canvas.Area) {
	if p.why.Skip == "" {
		a.Fit(0, 0, a.W, "no kind of instrumentation is there for this one", canvas.Fg(canvas.Muted))
		return
	}
	a.Fit(0, 0, a.W, "never instrumented: "+p.why.Skip, canvas.Fg(canvas.FG))
	a.Fit(0, 1, a.W, "to change that: "+p.why.Change, canvas.Fg(canvas.Muted))
}

func drawFound(a canvas.Area, facts []string) {
	y := 0
	for _, f := range facts {
		for _, part := range widget.Wrap(f, a.W) {
			a.Fit(0, y, a.W, part, canvas.Fg(canvas.FG))
			y++
		}
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

// explain tells all about the kind under the cursor, in the words of vitals why.
func (p *Page) explain(c *page.Context, a canvas.Area, k *kindLine) {
	y := 0
	line := func(key, text string, tok canvas.Token) {
		for _, part := range widget.Wrap(text, a.W-11) {
			a.Text(0, y, key, canvas.Fg(canvas.Muted))
			a.Fit(11, y, a.W-11, part, canvas.Fg(tok))
			key = ""
			y++
		}
	}
	line("kind", k.kind.Help, canvas.FG)
	decided := k.why.Rule
	if !k.instr.Since.IsZero() {
		decided += ", " + string(k.instr.Phase) + " since " + format.Of(format.Age, c.Since(k.instr.Since))
	}
	line("decided", decided, canvas.FG)
	line("probe", k.why.Unit, canvas.FG)
	line("to change", k.why.Change, canvas.Info)
	if k.kind.Kind == "requests" || k.kind.Kind == "tls" {
		line("cost here", costText(k.cost), canvas.FG)
		text, tok := page.CoverageText(p.coverage())
		line("seen", text, tok)
	}
}

func costText(cost float64) string {
	if math.IsNaN(cost) {
		return "not measured"
	}
	return page.Cost(cost) + " in the kernel, by its part of the requests"
}
