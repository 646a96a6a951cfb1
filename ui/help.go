package ui

import (
	tea "charm.land/bubbletea/v2"

	"vitals/ui/canvas"
	"vitals/ui/keys"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// help shows the keys of the page and of everything, and what the signs mean.
type help struct {
	title string
	lines []helpLine
	top   int
	shown int
}

type helpLine struct {
	head, key, text string
	sign            page.State
	isSign          bool
}

func newHelp(a *app) *help {
	h := &help{title: "Help: " + a.page().Title()}
	section := func(title string, bindings []keys.Binding) {
		if len(bindings) == 0 {
			return
		}
		if len(h.lines) > 0 {
			h.lines = append(h.lines, helpLine{})
		}
		h.lines = append(h.lines, helpLine{head: title})
		for _, b := range bindings {
			if b.Show != "" {
				h.lines = append(h.lines, helpLine{key: b.Show, text: b.Help})
			}
		}
	}
	if own := a.page().Scope(); own != keys.Lists {
		section("This page", a.keys.Table(own))
	}
	section("Lists", a.keys.Table(keys.Lists))
	section("Everywhere", a.keys.Table(keys.Global, keys.Paused))
	if p, ok := a.page().(page.Filterable); ok {
		h.lines = append(h.lines, helpLine{}, helpLine{head: "Filter"}, helpLine{text: p.FilterHelp()})
	}
	h.lines = append(h.lines, helpLine{}, helpLine{head: "Signs"})
	for s, text := range signs() {
		h.lines = append(h.lines, helpLine{sign: page.State(s), isSign: true, text: text})
	}
	h.lines = append(h.lines,
		helpLine{key: "–", text: "not known; never zero"},
		helpLine{key: "CPU%", text: "100 is one core"},
		helpLine{key: "self", text: "what vitals costs: its own CPU and its programs in the kernel, 100 is one core"},
		helpLine{key: "lost", text: "facts that did not reach us; every loss is counted"},
		helpLine{}, helpLine{text: "Select text with the mouse: M first, or hold shift while dragging."})
	return h
}

func signs() []string {
	return []string{"instrumented", "being switched", "partly: not all of it works", "failed: open the row for the reason and the remedy",
		"not instrumented", "never instrumented", "has ended"}
}

func (h *help) key(_ *app, name, _ string) (tea.Cmd, bool) {
	switch name {
	case "down", "j":
		h.scroll(1)
	case "up", "k":
		h.scroll(-1)
	case "pgdown", "space", "ctrl+d":
		h.scroll(h.shown - 1)
	case "pgup", "ctrl+u":
		h.scroll(1 - h.shown)
	case "home", "g":
		h.top = 0
	case "end", "G":
		h.scroll(len(h.lines))
	case "esc", "q", "?", "f1", "ctrl+c", "enter":
		return nil, true
	}
	return nil, false
}

func (h *help) scroll(n int) { h.top = min(max(h.top+n, 0), max(len(h.lines)-h.shown, 0)) }

func (h *help) draw(_ *app, all canvas.Area) {
	in := widget.Dialog(all, min(all.W-8, 96), min(len(h.lines)+1, all.H-4), h.title)
	rest, body := in.Bottom(1)
	h.shown = body.H
	for y := range min(body.H, len(h.lines)-h.top) {
		l := h.lines[h.top+y]
		switch {
		case l.head != "":
			body.Text(0, y, l.head, canvas.Strong(canvas.Header))
		case l.isSign:
			sign, tok := l.sign.Sign()
			body.Set(1, y, sign, canvas.Fg(tok))
			body.Text(3, y, l.sign.String(), canvas.Fg(tok))
			body.Fit(15, y, body.W-15, l.text, canvas.Fg(canvas.Muted))
		case l.key != "":
			body.Text(1, y, l.key, canvas.Strong(canvas.Key))
			body.Fit(15, y, body.W-15, l.text, canvas.Fg(canvas.FG))
		default:
			body.Fit(1, y, body.W-1, l.text, canvas.Fg(canvas.Muted))
		}
	}
	hint := "esc closes"
	if len(h.lines) > h.shown {
		hint = "↓ ↑ PgDn scroll · esc closes"
	}
	rest.Right(0, 0, rest.W, hint, canvas.Fg(canvas.Faint))
}
