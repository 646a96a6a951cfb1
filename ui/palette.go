package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// command is something that can be typed after ":".
type command struct {
	name, arg, help string
	run             func(a *app, arg string) tea.Cmd
}

// commands lists them: those of the key table, and those that take words.
func (a *app) commands() []command {
	cmds := []command{
		{"proc", "NAME", "processes whose name has this word", func(a *app, arg string) tea.Cmd {
			a.showProcesses(arg)
			return nil
		}},
		{"pid", "NUMBER", "open the page of this process", (*app).openPID},
		{"on", "FILTER", "switch on all processes that match", func(a *app, arg string) tea.Cmd { return a.switchAll(arg, core.On) }},
		{"off", "FILTER", "switch off all processes that match", func(a *app, arg string) tea.Cmd { return a.switchAll(arg, core.Off) }},
		{"off all", "", "take every probe out of the kernel", func(a *app, _ string) tea.Cmd {
			if t := a.newest.Toggles; t == nil || !t.Suspended {
				a.detachAll()
			}
			return nil
		}},
		{"theme", "NAME", "change the theme", (*app).themeByName},
		{"refresh", "2s", "how often the picture moves", func(a *app, arg string) tea.Cmd {
			d, err := time.ParseDuration(arg)
			if err != nil || d < 100*time.Millisecond || d > time.Hour {
				a.Toast(page.Bad, "refresh "+arg+": give a time such as 500ms or 2s")
				return nil
			}
			a.refresh = d
			a.Toast(page.Note, "refresh every "+d.String())
			return nil
		}},
		{"q", "", "quit", func(*app, string) tea.Cmd { return tea.Quit }},
	}
	for i, p := range a.pages {
		cmds = append(cmds, command{strings.ToLower(p.Title()), "", "page " + string(rune('1'+i)), func(a *app, _ string) tea.Cmd {
			a.goTo(i)
			return nil
		}})
	}
	for _, b := range a.keys.Table(append(a.footerScopes(), keys.PaletteOnly)...) {
		if b.Command != "" {
			cmds = append(cmds, command{b.Command, "", b.Help, func(a *app, _ string) tea.Cmd { return a.do(b.Action) }})
		}
	}
	return cmds
}

// commandLine is the ":" line with what could be meant.
type commandLine struct {
	in    widget.Input
	all   []command
	found []command
	at    int
}

func newPalette(a *app) *commandLine {
	p := &commandLine{all: a.commands()}
	p.search()
	return p
}

// search finds the commands that begin with what was typed, then those that
// contain its letters in order.
func (p *commandLine) search() {
	typed := strings.ToLower(p.in.String())
	p.found, p.at = p.found[:0], 0
	for _, c := range p.all {
		if strings.HasPrefix(c.name, typed) || strings.HasPrefix(typed, c.name+" ") && c.arg != "" {
			p.found = append(p.found, c)
		}
	}
	if len(p.found) == 0 {
		for _, c := range p.all {
			if inOrder(c.name, typed) {
				p.found = append(p.found, c)
			}
		}
	}
}

func inOrder(s, letters string) bool {
	for _, r := range letters {
		i := strings.IndexRune(s, r)
		if i < 0 {
			return false
		}
		s = s[i+1:]
	}
	return true
}

func (p *commandLine) key(a *app, name, text string) (tea.Cmd, bool) {
	switch name {
	case "esc", "ctrl+c":
		return nil, true
	case "down":
		p.at = min(p.at+1, max(len(p.found)-1, 0))
	case "up":
		p.at = max(p.at-1, 0)
	case "tab":
		if len(p.found) > 0 {
			c := p.found[p.at]
			p.in = widget.NewInput(c.name)
			if c.arg != "" {
				p.in.Insert(" ")
			}
			p.search()
		}
	case "enter":
		return p.run(a)
	default:
		if !p.in.Key(name) {
			p.in.Insert(text)
		}
		p.search()
	}
	return nil, false
}

func (p *commandLine) paste(_ *app, text string) {
	p.in.Insert(strings.Join(strings.Fields(text), " "))
	p.search()
}

func (p *commandLine) run(a *app) (tea.Cmd, bool) {
	typed := strings.TrimSpace(p.in.String())
	if len(p.found) == 0 {
		a.Toast(page.Bad, "no command "+typed+": tab shows what there is")
		return nil, false
	}
	c := p.found[p.at]
	arg := ""
	if rest, ok := strings.CutPrefix(strings.ToLower(typed), c.name+" "); ok {
		arg = strings.TrimSpace(typed[len(typed)-len(rest):])
	}
	if c.arg != "" && arg == "" {
		p.in = widget.NewInput(c.name + " ")
		p.search()
		return nil, false
	}
	a.overlay = nil
	return c.run(a, arg), true
}

const paletteRows = 10

func (p *commandLine) draw(a *app, all canvas.Area) {
	n := min(len(p.found), paletteRows, all.H-4)
	in := widget.Dialog(all, min(78, all.W-6), n+2, "Command")
	cursor, end := p.in.Draw(in, 0, 0, ": ")
	a.pc.At(in.X+cursor, in.Y, true)
	if len(p.found) > 0 && strings.TrimSpace(p.in.String()) == p.found[p.at].name {
		in.Text(end+1, 0, p.found[p.at].arg, canvas.Fg(canvas.Faint))
	}
	top := max(p.at-n+1, 0)
	for y := range n {
		c := p.found[top+y]
		line := in.Sub(0, y+2, in.W, 1)
		if top+y == p.at {
			line = line.On(canvas.Style{FG: canvas.SelFG, BG: canvas.SelBG})
			line.Fill(' ', canvas.Style{})
		}
		x := line.Text(1, 0, c.name, canvas.Strong(canvas.Key))
		line.Text(x+1, 0, c.arg, canvas.Fg(canvas.Faint))
		line.Fit(20, 0, line.W-20, c.help, canvas.Fg(canvas.Muted))
	}
}
