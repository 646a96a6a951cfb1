// Package probes is the page of what vitals has in the kernel and what that
// costs: units, programs, losses. From here everything can be detached.
package probes

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// Page lists units and programs.
type Page struct {
	units    widget.Table
	programs widget.Table
	rows     []*core.UnitRow
	at       string                  // id of the unit under the cursor, which stays on it
	prev     map[string]core.Program // of the last look, for rates
	rates    map[string]float64
	prevAt   time.Time
}

// New makes the page.
func New() *Page {
	return &Page{
		units: widget.Table{Sort: -1, Columns: []widget.Column{
			{Title: " ", W: 1}, {Title: "UNIT", W: 22, Min: 12, Max: 44}, {Title: "CLASS", W: 15, Leave: 1}, {Title: "PHASE", W: 11},
			{Title: "HEALTH", W: 10, Leave: 2}, {Title: "USED BY", W: 7, Right: true, Leave: 4}, {Title: "SINCE", W: 5, Right: true, Leave: 3},
			{Title: "MESSAGE", W: 30, Min: 20, Max: 120},
		}},
		programs: widget.Table{Sort: -1, Quiet: true, Columns: []widget.Column{
			{Title: "PROGRAM", W: 20, Min: 14, Max: 28}, {Title: "ATTACHED TO", W: 24, Min: 12, Max: 40, Leave: 1}, {Title: "UNIT", W: 14, Leave: 2, Max: 20},
			{Title: "RUNS/s", W: 7, Right: true}, {Title: "ns/RUN", W: 7, Right: true}, {Title: "CPU%", W: 6, Right: true},
			{Title: "MAPS", W: 5, Right: true, Leave: 3}, {Title: "MISSED", W: 6, Right: true},
		}},
	}
}

// Title is the page's name.
func (p *Page) Title() string { return "Probes" }

// Scope is the scope of the page's own keys.
func (p *Page) Scope() keys.Scope { return keys.Probes }

// Update takes the units and measures how often programs ran since the last look.
func (p *Page) Update(c *page.Context) {
	p.sort(c)
	p.units.N, p.programs.N = len(p.rows), len(c.Snap.Programs)
	elapsed := c.Snap.At.Sub(p.prevAt)
	if elapsed > 0 && elapsed < 500*time.Millisecond {
		return // too short to tell a rate
	}
	rates := make(map[string]float64, len(c.Snap.Programs))
	now := make(map[string]core.Program, len(c.Snap.Programs))
	for _, g := range c.Snap.Programs {
		id := g.Unit + "/" + g.Name
		now[id] = g
		rates[id] = math.NaN()
		if before, ok := p.prev[id]; ok && g.Measured > before.Measured && g.Runs >= before.Runs {
			rates[id] = float64(g.Runs-before.Runs) / (g.Measured - before.Measured).Seconds()
		} else if ok && !math.IsNaN(p.rates[id]) {
			rates[id] = p.rates[id] // the kernel's statistics rest between measurements
		} else if g.Measured > 0 {
			rates[id] = float64(g.Runs) / g.Measured.Seconds()
		}
	}
	p.prev, p.rates, p.prevAt = now, rates, c.Snap.At
}

// Do carries out an action.
func (p *Page) Do(c *page.Context, a keys.Action) bool {
	switch a {
	case keys.Toggle:
		p.toggle(c)
	case keys.Retry:
		p.retry(c)
	case keys.Copy:
		if u := p.current(); u != nil {
			c.Copy("the message", strings.TrimSpace(u.ID+" "+string(u.Phase)+" "+u.Message))
		}
	case keys.Open:
		if u := p.current(); u != nil {
			c.OpenEvents("unit:" + u.ID)
		}
	default:
		done := page.Scroll(&p.units, a)
		p.hold()
		return done
	}
	return true
}

func (p *Page) current() *core.UnitRow {
	if p.units.Cursor < len(p.rows) {
		return p.rows[p.units.Cursor]
	}
	return nil
}

// toggle switches the kind of the unit under the cursor for all processes.
func (p *Page) toggle(c *page.Context) {
	u := p.current()
	switch {
	case u == nil:
	case u.Class != core.ClassInstrumentation:
		c.Toast(page.Note, title(c, u)+" is not switched here: "+elsewhere(u))
	default:
		page.ToggleGlobal(c, u.Kind)
	}
}

func (p *Page) retry(c *page.Context) {
	u := p.current()
	if u == nil {
		return
	}
	c.Send(core.Intent{Op: core.IntentRetry, Unit: u.ID}, "trying "+title(c, u)+" again")
}

// Draw shows the page.
func (p *Page) Draw(c *page.Context, a canvas.Area) {
	line, a := a.Top(1)
	p.drawCost(c, line)
	frame, most := 2, a.H/2
	if c.Boxed() {
		frame = 3
	}
	if p.programs.N == 0 {
		most = a.H - 6 // there is nothing else to show
	}
	top, rest := a.Top(max(min(len(p.rows)+frame, most), 4))
	in := widget.Panel(top, c.Boxed(), "Units", "", true)
	if len(p.rows) == 0 {
		in.Text(2, 1, "nothing is running yet", canvas.Fg(canvas.Muted))
	} else {
		p.units.Draw(in, func(row, col int, cell canvas.Area) { p.drawUnit(c, p.rows[row], col, cell) })
		widget.Remark(top, p.units.Span())
		c.At(p.units.CursorAt())
	}
	var detail canvas.Area
	if lines := p.detail(c); len(lines) > 0 {
		detail, rest = rest.Bottom(min(len(lines)+2, max(rest.H/3, 3)))
		p.drawDetail(c, detail, lines)
	}
	in = widget.Panel(rest, c.Boxed(), "Programs in the kernel", "", false)
	if p.programs.N == 0 {
		in.Fit(2, 1, in.W-4, "none: nothing of vitals is in the kernel", canvas.Fg(canvas.Muted))
		return
	}
	p.programs.Draw(in, func(row, col int, cell canvas.Area) { p.drawProgram(&c.Snap.Programs[row], col, cell) })
	widget.Remark(rest, p.programs.Span())
}

// drawCost is the price of it all in one line.
func (p *Page) drawCost(c *page.Context, line canvas.Area) {
	s := &c.Snap.Self
	var maps uint64
	for i := range c.Snap.Programs {
		maps += c.Snap.Programs[i].MapBytes
	}
	x := 1
	add := func(name, value string, tok canvas.Token) {
		if x+canvas.Width(name)+canvas.Width(value)+2 > line.W {
			return
		}
		x = line.Text(x, 0, name, canvas.Fg(canvas.Muted))
		x = line.Text(x+1, 0, value, canvas.Strong(tok)) + 3
	}
	add("self", format.Of(format.Percent, s.CPURatio)+"% of a core", canvas.FG)
	add("in the kernel", kernelCost(s.BPFRatio), canvas.FG)
	add("memory", format.Of(format.Bytes, float64(s.RSSBytes)), canvas.FG)
	add("maps", format.Of(format.Bytes, float64(maps)), canvas.FG)
	add("facts", format.Of(format.Count, float64(s.Events)), canvas.FG)
	tok, lost := canvas.OK, format.Of(format.Count, float64(s.LostTotal))
	if s.LostTotal > 0 {
		tok = canvas.Crit
	}
	if l := c.Losses; l != nil && s.LostTotal > 0 {
		lost = l.Text(s.LostTotal, c.Snap.At)
		if !l.Growing(c.Snap.At) {
			tok = canvas.Warn
		}
	}
	add("lost", lost, tok)
	if !math.IsNaN(s.Completeness) {
		add("understood", format.Of(format.Percent, s.Completeness)+"%", canvas.FG)
	}
}

func kernelCost(ratio float64) string {
	if math.IsNaN(ratio) {
		return "not measured yet"
	}
	return format.Of(format.Percent, ratio) + "%"
}

func (p *Page) drawUnit(c *page.Context, u *core.UnitRow, col int, cell canvas.Area) {
	s := page.PhaseState(u.Phase, u.Health)
	sign, tok := s.Sign()
	key := core.ToggleKey{Kind: u.Kind, Scope: core.ScopeGlobal}
	if _, ok := c.Choice(key); ok && u.Class == core.ClassInstrumentation {
		sign, tok = page.StateChanging.Sign()
	}
	switch col {
	case 0:
		cell.Set(0, 0, sign, canvas.Fg(tok))
	case 1:
		cell.Fit(0, 0, cell.W, title(c, u), canvas.Style{})
	case 2:
		cell.Fit(0, 0, cell.W, string(u.Class), canvas.Fg(canvas.Muted))
	case 3:
		cell.Fit(0, 0, cell.W, string(u.Phase), canvas.Fg(tok))
	case 4:
		cell.Fit(0, 0, cell.W, string(u.Health), canvas.Fg(canvas.Muted))
	case 5:
		if u.Class == core.ClassInstrumentation {
			drawUsers(c, u, cell)
		}
	case 6:
		if !u.Since.IsZero() {
			var b [24]byte
			page.Num(cell, format.Age(b[:0], c.Since(u.Since)), canvas.Fg(canvas.Muted))
		}
	case 7:
		cell.Fit(0, 0, cell.W, u.Message, canvas.Fg(canvas.Muted))
	}
}

// drawUsers tells how many processes use a unit. One that watches the whole
// machine counts none: it is there for all.
func drawUsers(c *page.Context, u *core.UnitRow, cell canvas.Area) {
	machine := slices.ContainsFunc(c.Snap.Kinds, func(k core.KindRow) bool { return k.Kind == u.Kind && !k.PerProcess })
	if machine && u.Processes == 0 {
		if u.Phase == core.PhaseRunning {
			cell.Right(0, 0, cell.W, "all", canvas.Fg(canvas.Muted))
		}
		return
	}
	var b [24]byte
	page.Num(cell, format.Int(b[:0], u.Processes), canvas.Style{})
}

func (p *Page) drawProgram(g *core.Program, col int, cell canvas.Area) {
	var b [24]byte
	ns := math.NaN()
	if g.Runs > 0 && g.RunTime > 0 {
		ns = float64(g.RunTime) / float64(g.Runs)
	}
	rate, ok := p.rates[g.Unit+"/"+g.Name]
	if !ok {
		rate = math.NaN()
	}
	switch col {
	case 0:
		cell.Fit(0, 0, cell.W, g.Name, canvas.Style{})
	case 1:
		cell.Fit(0, 0, cell.W, g.Attached, canvas.Fg(canvas.Muted))
	case 2:
		cell.Fit(0, 0, cell.W, g.Unit[strings.IndexByte(g.Unit, '/')+1:], canvas.Fg(canvas.Muted))
	case 3:
		page.Num(cell, format.Count(b[:0], rate), canvas.Style{})
	case 4:
		page.Num(cell, format.Count(b[:0], ns), canvas.Style{})
	case 5:
		page.CPU(cell, g.Ratio)
	case 6:
		page.Memory(cell, int64(g.MapBytes))
	case 7:
		st := canvas.Fg(canvas.Faint)
		if g.Misses > 0 {
			st = canvas.Strong(canvas.Crit)
		}
		page.Num(cell, format.Int(b[:0], g.Misses), st)
	}
}

// detail is what there is to say about the unit under the cursor that has no
// room in its line: the message, parts that do not work, the next try.
func (p *Page) detail(c *page.Context) (lines []string) {
	for _, stage := range page.SortedKeys(c.Snap.Self.Lost) {
		lost := c.Losses
		if lost == nil {
			lost = &page.Losses{}
		}
		lines = append(lines, lost.Stage(stage, c.Snap.Self.Lost[stage], c.Snap.At))
	}
	u := p.current()
	if u == nil {
		return lines
	}
	if u.Class == core.ClassDestination {
		for _, d := range c.Snap.Push {
			if d.Unit == u.ID || d.Unit == "" {
				lines = append(lines, pushLine(c, d))
			}
		}
	}
	if u.Message != "" {
		lines = append(lines, u.Message)
	}
	for _, part := range page.SortedKeys(u.Parts) {
		lines = append(lines, part+": "+u.Parts[part])
	}
	if u.Attempts > 1 && !u.NextTry.IsZero() {
		lines = append(lines, fmt.Sprintf("attempt %d failed, next try at %s; R tries now", u.Attempts, u.NextTry.Local().Format("15:04:05")))
	}
	return lines
}

// pushLine is the state of a destination in a sentence.
func pushLine(c *page.Context, d *core.PushRow) string {
	s := fmt.Sprintf("%s: %s, %d pushed, %d failed", d.Destination, d.State, d.Pushes, d.Failures)
	if !d.LastSuccess.IsZero() {
		s += fmt.Sprintf(", last %s ago with %d series in %s", format.Of(format.Age, c.Since(d.LastSuccess)), d.Series, format.Of(format.Bytes, float64(d.Bytes)))
	}
	if d.LastError != "" {
		s += "; " + d.LastError
	}
	return s
}

func (p *Page) drawDetail(c *page.Context, a canvas.Area, lines []string) {
	name := "Losses"
	if u := p.current(); u != nil {
		name = title(c, u)
	}
	in := widget.Panel(a, c.Boxed(), name, "", false)
	y := 0
	for _, l := range lines {
		for _, part := range widget.Wrap(l, in.W-2) {
			in.Text(1, y, part, canvas.Fg(canvas.FG))
			y++
		}
	}
}

// Click moves the cursor.
func (p *Page) Click(_ *page.Context, x, y int, _ bool) {
	if row := p.units.RowAt(x, y); row >= 0 {
		p.units.Cursor = row
		p.hold()
	}
}

// Wheel moves the cursor.
func (p *Page) Wheel(_ *page.Context, n int) {
	p.units.Move(n)
	p.hold()
}
