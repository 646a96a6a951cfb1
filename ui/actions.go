package ui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/keys"
	"vitals/ui/page"
)

// key finds out what a key means: to what is open, else to the page, else to
// the application.
func (a *app) key(m tea.KeyPressMsg) tea.Cmd {
	name := keyName(m)
	a.dirty = true
	if a.pc.Size == page.Tiny {
		if name == "q" || name == "ctrl+c" {
			return tea.Quit
		}
		return nil
	}
	if a.overlay != nil {
		o := a.overlay
		cmd, done := o.key(a, name, m.Text)
		if done && a.overlay == o {
			a.overlay = nil
		}
		return a.flush(cmd)
	}
	action := a.keys.Lookup(name, a.scopes()...)
	if action == keys.None {
		return nil
	}
	return a.flush(a.do(action))
}

// keyName is the name of a key as the table has it. On a layout without Latin
// letters it is the key that is there on a Latin one, if the terminal tells it.
func keyName(m tea.KeyPressMsg) string {
	k := m.Key()
	name := m.String()
	if r := []rune(name); len(r) == 1 && r[0] > 0x7f && k.BaseCode != 0 && k.BaseCode < 0x7f {
		name = string(k.BaseCode)
		if k.Mod&tea.ModShift != 0 && k.BaseCode >= 'a' && k.BaseCode <= 'z' {
			name = string(k.BaseCode - 'a' + 'A')
		}
	}
	return name
}

// do carries out an action of the application, or hands it to the page.
func (a *app) do(action keys.Action) tea.Cmd {
	a.dirty = true
	if action >= keys.Page1 {
		a.goTo(int(action - keys.Page1))
		return nil
	}
	if a.paused && a.rewind(action) {
		return nil
	}
	if a.page().Do(&a.pc, action) {
		return nil
	}
	switch action {
	case keys.Help:
		a.overlay = newHelp(a)
	case keys.Filter:
		a.openFilter()
	case keys.Palette:
		a.overlay = newPalette(a)
	case keys.Esc:
		a.escape()
	case keys.Up:
		if len(a.detail) == 0 {
			return tea.Quit
		}
		a.back()
	case keys.Cancel, keys.Quit:
		return tea.Quit
	case keys.Pause:
		a.pause()
	case keys.Undo:
		a.takeBack()
	case keys.Themes:
		a.pickTheme()
	case keys.Copy:
		a.Toast(page.Note, "there is nothing to copy here")
	case keys.Mouse:
		a.mouse = !a.mouse
		if a.mouse {
			a.Toast(page.Note, "the mouse is ours: click and wheel")
		} else {
			a.Toast(page.Note, "the mouse is the terminal's: select text as usual; M takes it back")
		}
	case keys.Slower, keys.Faster:
		a.pace(action == keys.Slower)
	case keys.Save:
		return a.save()
	case keys.Redraw:
		return tea.ClearScreen
	case keys.Suspend:
		return tea.Suspend
	case keys.Reload:
		a.Send(core.Intent{Op: core.IntentReload}, "reading the configuration again")
	case keys.PushNow:
		a.Send(core.Intent{Op: core.IntentPushNow}, "pushing now")
	case keys.Resume:
		a.resume()
	case keys.Retry:
		a.Send(core.Intent{Op: core.IntentRetry}, "trying again what failed")
	case keys.DetachAll:
		a.detachAll()
	}
	return nil
}

// escape closes the nearest thing; it never quits.
func (a *app) escape() {
	if p, ok := a.page().(page.Filterable); ok && p.Filter() != "" {
		p.SetFilter(&a.pc, "")
		a.show()
		return
	}
	if len(a.detail) > 0 {
		a.back()
	}
}

func (a *app) back() {
	a.detail = a.detail[:len(a.detail)-1]
	a.show()
}

func (a *app) goTo(i int) {
	if i < len(a.pages) {
		a.at, a.detail = i, nil
		a.show()
	}
}

func (a *app) goToTitle(title string) bool {
	for i, p := range a.pages {
		if p.Title() == title {
			a.goTo(i)
			return true
		}
	}
	return false
}

func (a *app) pause() {
	a.paused = !a.paused
	a.pc.Snap, a.pc.Events = a.newest, a.newest.Events
	a.show()
	if a.paused {
		a.Toast(page.Note, "paused: ← → move through the last minutes, p goes on")
	} else {
		a.Toast(page.Note, "live again")
	}
}

// rewind moves the picture while it is paused.
func (a *app) rewind(action keys.Action) bool {
	at := a.pc.Snap.At
	switch action {
	case keys.Rewind, keys.Forward:
		steps := a.past.steps(at)
		if action == keys.Rewind {
			steps++
		} else {
			steps--
		}
		a.lookAt(a.past.at(steps))
	case keys.RewindMinute:
		a.lookAt(a.past.at(a.past.steps(at.Add(-time.Minute))))
	case keys.ForwardMinute:
		a.lookAt(a.past.at(a.past.steps(at.Add(time.Minute))))
	case keys.Present:
		a.lookAt(a.newest)
	default:
		return false
	}
	return true
}

func (a *app) lookAt(s *core.Snapshot) {
	if s == nil {
		return
	}
	n := len(a.newest.Events)
	for n > 0 && a.newest.Events[n-1].At.After(s.At) {
		n--
	}
	a.pc.Snap, a.pc.Events = s, a.newest.Events[:n]
	a.show()
}

var paces = [...]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second}

// pace changes how often the picture moves. The core's own pace stays.
func (a *app) pace(slower bool) {
	next := a.refresh
	for _, p := range paces {
		if slower && p > a.refresh {
			next = p
			break
		}
		if !slower && p < a.refresh && p >= min(a.cfg.Refresh, time.Second) {
			next = p
		}
	}
	a.refresh = next
	a.Toast(page.Note, fmt.Sprintf("refresh every %v", next))
}

func (a *app) detachAll() {
	if t := a.newest.Toggles; t != nil && t.Suspended {
		a.resume()
		return
	}
	a.Confirm("take every probe out of the kernel?", func() {
		if a.send(core.Intent{Op: core.IntentDetachAll}) {
			a.remember(step{what: detaching, back: []core.Intent{{Op: core.IntentResume}}})
			a.Toast(page.Good, "everything is being detached; K or u puts it back")
		}
	})
}

const detaching = "detach all"

// resume puts everything back. What it undoes is no step to take back any more.
func (a *app) resume() {
	if a.send(core.Intent{Op: core.IntentResume}) {
		a.undo = slices.DeleteFunc(a.undo, func(s step) bool { return s.what == detaching })
		a.Toast(page.Good, "putting everything back")
	}
}

func (a *app) send(in core.Intent) bool {
	if a.cfg.Control.Submit(in) {
		return true
	}
	a.Toast(page.Bad, "busy: try again in a moment")
	return false
}

type click struct {
	x, y int
	at   time.Time
}

func (a *app) click(m tea.MouseClickMsg) tea.Cmd {
	if m.Button != tea.MouseLeft || a.pc.Size == page.Tiny {
		return nil
	}
	a.dirty = true
	now := time.Now()
	double := a.lastHit.x == m.X && a.lastHit.y == m.Y && now.Sub(a.lastHit.at) < 400*time.Millisecond
	a.lastHit = click{m.X, m.Y, now}
	if a.overlay != nil {
		return nil
	}
	for i, r := range a.tabs {
		if r.Has(m.X, m.Y) {
			a.goTo(i)
			return nil
		}
	}
	if a.body.Has(m.X, m.Y) {
		a.page().Click(&a.pc, m.X, m.Y, double)
	}
	return a.flush(nil)
}

func (a *app) wheel(m tea.MouseWheelMsg) {
	n := 3
	if m.Button == tea.MouseWheelUp {
		n = -3
	} else if m.Button != tea.MouseWheelDown {
		return
	}
	if a.overlay == nil {
		a.page().Wheel(&a.pc, n)
		a.dirty = true
	}
}

// focusPID opens the page of the process that was asked for at the start, as
// soon as it is there.
func (a *app) focusPID() {
	if a.cfg.FocusPID == 0 {
		return
	}
	for _, r := range a.newest.Processes {
		if r.PID == a.cfg.FocusPID && r.Alive {
			a.cfg.FocusPID = 0
			a.goToTitle("Processes")
			a.Open(page.Subject{Proc: r.ProcKey})
			return
		}
	}
}
