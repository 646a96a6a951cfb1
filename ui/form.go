package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"vitals/ui/canvas"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// form asks for a few lines of text. Hidden ones are shown as dots and leave no
// trace when the form closes.
type form struct {
	page.Form
	inputs []widget.Input
	at     int
}

func newForm(f page.Form) *form {
	x := &form{Form: f}
	for _, field := range f.Fields {
		x.inputs = append(x.inputs, widget.NewInput(field.Value))
	}
	return x
}

func (f *form) key(a *app, name, text string) (tea.Cmd, bool) {
	switch name {
	case "esc", "ctrl+c":
		return nil, true
	case "down", "tab":
		f.at = (f.at + 1) % len(f.inputs)
	case "up", "shift+tab":
		f.at = (f.at + len(f.inputs) - 1) % len(f.inputs)
	case "enter":
		if f.at+1 < len(f.inputs) {
			f.at++
			return nil, false
		}
		values := make([]string, len(f.inputs))
		for i := range f.inputs {
			values[i] = f.inputs[i].String()
		}
		a.overlay = nil
		f.Done(values)
		return nil, true
	case "space":
		if f.Fields[f.at].Check {
			f.check()
			return nil, false
		}
		f.inputs[f.at].Insert(" ")
	default:
		if f.Fields[f.at].Check {
			return nil, false
		}
		if !f.inputs[f.at].Key(name) {
			f.inputs[f.at].Insert(text)
		}
	}
	return nil, false
}

// check turns a field around that is yes or no.
func (f *form) check() {
	value := "yes"
	if f.inputs[f.at].String() == "yes" {
		value = ""
	}
	f.inputs[f.at] = widget.NewInput(value)
}

func (f *form) paste(_ *app, text string) {
	if !f.Fields[f.at].Check {
		f.inputs[f.at].Insert(strings.TrimRight(text, "\r\n"))
	}
}

func (f *form) draw(a *app, all canvas.Area) {
	labels := 0
	for _, field := range f.Fields {
		labels = max(labels, canvas.Width(field.Label))
	}
	help := widget.Wrap(f.Help, 64)
	in := widget.Dialog(all, min(70, all.W-2), len(help)+len(f.Fields)+3, f.Title)
	y := 0
	for _, line := range help {
		in.Fit(0, y, in.W, line, canvas.Fg(canvas.Muted))
		y++
	}
	y++
	for i, field := range f.Fields {
		line := in.Sub(0, y, in.W, 1)
		line.Text(0, 0, field.Label, canvas.Fg(canvas.Muted))
		x := labels + 2
		switch {
		case field.Check:
			mark := "[ ]"
			if f.inputs[i].String() == "yes" {
				mark = "[x]"
			}
			line.Text(x, 0, mark+" space changes", canvas.Fg(canvas.FG))
			if i == f.at {
				a.pc.At(line.X+x+1, line.Y, true)
			}
		case field.Hidden:
			n := min(len([]rune(f.inputs[i].String())), line.W-x-1)
			line.Text(x, 0, strings.Repeat("•", max(n, 0)), canvas.Fg(canvas.FG))
			if i == f.at {
				a.pc.At(line.X+x+max(n, 0), line.Y, true)
			}
		default:
			cursor, _ := f.inputs[i].Draw(line.Sub(x, 0, line.W-x, 1), 0, 0, "")
			if i == f.at {
				a.pc.At(line.X+x+cursor, line.Y, true)
			}
		}
		if i == f.at {
			line.Set(x-1, 0, '▶', canvas.Fg(canvas.Accent))
		}
		y++
	}
	in.Text(0, y+1, "⏎ next, and done at the end   esc cancel", canvas.Fg(canvas.Muted))
}
