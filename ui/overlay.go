package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/ui/canvas"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// overlay is something that lies over the page and takes all keys.
type overlay interface {
	// key takes a key and its text; done closes the overlay.
	key(a *app, name, text string) (cmd tea.Cmd, done bool)
	draw(a *app, all canvas.Area)
}

// confirm asks a question; only y does it. Keys that were on their way when it
// opened are not answers.
type confirm struct {
	question string
	yes      func()
	since    time.Time
}

const confirmDelay = 300 * time.Millisecond

func (c *confirm) key(a *app, name, _ string) (tea.Cmd, bool) {
	switch name {
	case "y", "K":
		if time.Since(c.since) < confirmDelay {
			return nil, false
		}
		a.overlay = nil
		c.yes()
		return nil, true
	case "n", "q", "esc", "ctrl+c", "enter":
		return nil, true
	}
	return nil, false
}

func (c *confirm) draw(_ *app, all canvas.Area) {
	w := max(canvas.Width(c.question), 34)
	in := widget.Dialog(all, w+2, 3, "Sure?")
	in.Fit(0, 0, in.W, c.question, canvas.Strong(canvas.FG))
	x := in.Text(0, 2, "y", canvas.Strong(canvas.Key))
	x = in.Text(x, 2, " yes     ", canvas.Fg(canvas.Muted))
	x = in.Text(x, 2, "n esc", canvas.Strong(canvas.Key))
	in.Text(x, 2, " no", canvas.Fg(canvas.Muted))
}

// menu is a list to choose from.
type menu struct {
	page.Menu
	top int
}

func newMenu(m page.Menu) *menu { return &menu{Menu: m} }

func (m *menu) key(a *app, name, _ string) (tea.Cmd, bool) {
	switch name {
	case "down", "j", "tab":
		m.move(1)
	case "up", "k", "shift+tab":
		m.move(-1)
	case "home", "g":
		m.move(-len(m.Items))
	case "end", "G":
		m.move(len(m.Items))
	case "enter", "space":
		if m.Keep && name == "space" {
			m.Items[m.At].Checked = !m.Items[m.At].Checked
			m.Chosen(m.At)
			return nil, false
		}
		if !m.Keep {
			m.Chosen(m.At)
		}
		if m.Closed != nil {
			m.Closed(true)
		}
		return nil, true
	case "esc", "q", "ctrl+c":
		if m.Closed != nil {
			m.Closed(false)
		}
		return nil, true
	}
	return nil, false
}

func (m *menu) move(n int) {
	at := min(max(m.At+n, 0), len(m.Items)-1)
	if at != m.At && m.Moved != nil {
		m.Moved(at)
	}
	m.At = at
}

func (m *menu) draw(a *app, all canvas.Area) {
	w := canvas.Width(m.Title) + 4
	labels := 0
	for _, it := range m.Items {
		labels = max(labels, canvas.Width(it.Label))
	}
	for _, it := range m.Items {
		w = max(w, labels+canvas.Width(it.Help)+6)
	}
	in := widget.Dialog(all, w, min(len(m.Items), all.H-4), m.Title)
	m.top = min(max(m.top, m.At-in.H+1, 0), m.At)
	for y := range min(in.H, len(m.Items)-m.top) {
		it := m.Items[m.top+y]
		line := in.Sub(0, y, in.W, 1)
		if m.top+y == m.At {
			line = line.On(canvas.Style{FG: canvas.SelFG, BG: canvas.SelBG})
			line.Fill(' ', canvas.Style{})
			a.pc.At(line.X, line.Y, true)
		}
		if it.Checked {
			line.Text(1, 0, "✓", canvas.Strong(canvas.OK))
		}
		line.Text(3, 0, it.Label, canvas.Fg(canvas.FG))
		line.Fit(5+labels, 0, line.W-5-labels, it.Help, canvas.Fg(canvas.Muted))
	}
}

// filterLine edits the filter of the page, which follows while it is typed.
type filterLine struct {
	in     widget.Input
	before string
	help   string
}

func (a *app) openFilter() {
	p, ok := a.page().(page.Filterable)
	if !ok {
		// Whoever filters here looks for a process.
		if !a.goToTitle("Processes") {
			return
		}
		p = a.page().(page.Filterable)
	}
	a.overlay = &filterLine{widget.NewInput(p.Filter()), p.Filter(), p.FilterHelp()}
}

func (f *filterLine) key(a *app, name, text string) (tea.Cmd, bool) {
	switch name {
	case "enter", "down", "up":
		return nil, true
	case "esc", "ctrl+c":
		f.apply(a, f.before)
		return nil, true
	case "tab":
		return nil, false
	}
	if !f.in.Key(name) {
		f.in.Insert(text)
	}
	f.apply(a, f.in.String())
	return nil, false
}

func (f *filterLine) paste(a *app, text string) {
	f.in.Insert(strings.Join(strings.Fields(text), " "))
	f.apply(a, f.in.String())
}

func (f *filterLine) apply(a *app, text string) {
	if p, ok := a.page().(page.Filterable); ok {
		p.SetFilter(&a.pc, text)
		a.show()
	}
}

func (f *filterLine) draw(*app, canvas.Area) {}

func (f *filterLine) drawLine(a *app, line canvas.Area) {
	cursor, end := f.in.Draw(line, 1, 0, "/ ")
	a.pc.At(line.X+cursor, line.Y, true)
	if rest := line.W - end - 3; rest > 20 {
		line.Fit(end+2, 0, rest, f.help, canvas.Fg(canvas.Faint))
	}
}
