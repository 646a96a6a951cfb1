package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/page"
)

// This file is what pages may ask of the application: page.App.

var _ page.App = (*app)(nil)

const (
	toastTime   = 4 * time.Second
	pendingTime = 3 * time.Second
	maxUndo     = 100
	maxClip     = 74994 // what terminals take at most in one OSC 52 sequence
)

type toast struct {
	text  string
	level page.Level
	n     int
	armed bool // its end is on its way
}

// Toast shows a line at the bottom for a moment; the newest wins.
func (a *app) Toast(level page.Level, text string) {
	t := toast{text: text, level: level, n: a.toast.n + len(a.toasts) + 1}
	if a.toast.text != "" && a.toast.level == page.Bad && !a.toast.armed {
		a.toasts = append(a.toasts, t) // several warnings at the start are read one by one
		return
	}
	a.toast = t
	a.dirty = true
}

func (a *app) nextToast() {
	a.toast = toast{n: a.toast.n + 1}
	if len(a.toasts) > 0 {
		a.toast, a.toasts = a.toasts[0], a.toasts[1:]
	}
	a.dirty = true
}

// expire ends the toast that is shown when its time is over.
func (a *app) expire() tea.Cmd {
	if a.toast.text == "" || a.toast.armed {
		return nil
	}
	a.toast.armed = true
	n, ctx := a.toast.n, a.ctx
	return func() tea.Msg {
		end := time.NewTimer(toastTime)
		defer end.Stop()
		select {
		case <-end.C:
			return expireMsg{n}
		case <-ctx.Done():
			return nil
		}
	}
}

// flush gives the commands that an action left behind.
func (a *app) flush(cmd tea.Cmd) tea.Cmd {
	cmds := append(a.effects, cmd, a.expire())
	a.effects = nil
	return tea.Batch(cmds...)
}

// step is what one undo takes back.
type step struct {
	what string
	back []core.Intent
}

// Submit hands wishes to the core and remembers how to take them back.
func (a *app) Submit(intents []core.Intent, done string) {
	if len(intents) == 0 {
		return
	}
	s := step{what: done}
	for i, in := range intents {
		before := a.chosen(in.Key)
		if !a.cfg.Control.Submit(in) {
			a.Toast(page.Bad, fmt.Sprintf("busy: %d of %d switched, try again in a moment", i, len(intents)))
			break
		}
		s.back = append(s.back, core.Intent{Op: core.IntentToggle, Key: in.Key, Choice: before})
		a.pending[in.Key] = pending{in.Choice, time.Now().Add(pendingTime)}
	}
	if len(s.back) == 0 {
		return
	}
	a.remember(s)
	if len(s.back) == len(intents) {
		a.Toast(page.Good, done+"   u takes it back")
	}
}

// Send hands over one wish that is not undone.
func (a *app) Send(in core.Intent, done string) {
	if a.send(in) {
		a.Toast(page.Good, done)
	}
}

func (a *app) remember(s step) {
	a.undo = append(a.undo, s)
	if len(a.undo) > maxUndo {
		a.undo = a.undo[1:]
	}
}

// takeBack undoes the last step.
func (a *app) takeBack() {
	if len(a.undo) == 0 {
		a.Toast(page.Note, "there is nothing to take back")
		return
	}
	s := a.undo[len(a.undo)-1]
	for _, in := range s.back {
		if !a.send(in) {
			return
		}
		if in.Op == core.IntentToggle {
			a.pending[in.Key] = pending{in.Choice, time.Now().Add(pendingTime)}
		}
	}
	a.undo = a.undo[:len(a.undo)-1]
	a.Toast(page.Good, "taken back: "+s.what)
}

// chosen is what holds for a switch, wishes on their way included.
func (a *app) chosen(k core.ToggleKey) core.Choice {
	if p, ok := a.pending[k]; ok {
		return p.choice
	}
	if t := a.newest.Toggles; t != nil {
		if c := t.Choices[k]; c != "" {
			return c
		}
	}
	return core.Auto
}

// Choice is a wish that the snapshot does not show yet.
func (a *app) Choice(k core.ToggleKey) (core.Choice, bool) {
	if len(a.pending) == 0 {
		return "", false
	}
	p, ok := a.pending[k]
	return p.choice, ok
}

// Open shows the page of a process or a service.
func (a *app) Open(s page.Subject) {
	a.detail = append(a.detail, open(s))
	a.show()
	if n := len(a.detail); n > 2 && a.detail[n-1].Title() == a.detail[n-3].Title() {
		a.detail = a.detail[:n-2] // there and back again: one came from there
		a.show()
	}
}

// OpenEvents shows the events that pass a filter.
func (a *app) OpenEvents(filter string) {
	if !a.goToTitle("Events") {
		return
	}
	if p, ok := a.page().(page.Filterable); ok {
		p.SetFilter(&a.pc, filter)
		a.show()
	}
}

// Confirm asks a question that y answers.
func (a *app) Confirm(question string, yes func()) {
	a.overlay = &confirm{question: question, yes: yes, since: time.Now()}
}

// Menu opens a list to choose from.
func (a *app) Menu(m page.Menu) { a.overlay = newMenu(m) }

// Ask opens a form.
func (a *app) Ask(f page.Form) { a.overlay = newForm(f) }

// Copy puts text onto the clipboard of the terminal, also over SSH.
func (a *app) Copy(what, text string) {
	text = strings.TrimRight(text, "\n ")
	if len(text) > maxClip {
		text = text[:maxClip]
	}
	a.effects = append(a.effects, tea.SetClipboard(text))
	a.Toast(page.Good, "copied "+what+" (if your terminal allows it)")
}
