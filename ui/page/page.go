// Package page has what all pages share: the contract between a page and the
// application, the states of instrumentation in words and signs, the switching
// of it. Each page has a folder of its own below and does not know the others.
package page

import (
	"time"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/keys"
)

// Page is one screen below the header. Its methods are called by one goroutine.
type Page interface {
	// Title is its name on the tab.
	Title() string
	// Scope is the scope of its own keys.
	Scope() keys.Scope
	// Update re-reads the snapshot: it filters and sorts. It is called once for
	// each new snapshot while the page is shown, when the page is opened, and
	// when its filter changed; never while drawing.
	Update(*Context)
	// Draw shows the page. It changes nothing but where things lie on the screen.
	Draw(*Context, canvas.Area)
	// Do carries out an action and reports whether it was one of the page's.
	Do(*Context, keys.Action) bool
	// Click reacts to a mouse click at a place on the canvas, Wheel to the wheel.
	Click(c *Context, x, y int, double bool)
	Wheel(c *Context, n int)
}

// Filterable pages take a filter; SetFilter with "" shows everything.
type Filterable interface {
	Filter() string
	SetFilter(*Context, string)
	// FilterHelp names the keys that the filter knows.
	FilterHelp() string
}

// Stateful pages keep their view and order from one run to the next.
type Stateful interface {
	State() (view, sort string)
	LoadState(c *Context, view, sort string)
}

// Subject is what a detail page is about: a process, a service, an integration,
// or a route.
type Subject struct {
	Proc        core.ProcKey
	Service     string    // set when it is about a service
	Integration string    // id, set when it is about an integration
	Route       *RouteKey // set when it is about a route: all outcomes of it
}

// Size is how much room there is.
type Size uint8

// Sizes, see Class.
const (
	Tiny   Size = iota // the health line
	Small              // only the essential columns
	Normal             // 80x24: rules instead of boxes
	Wide               // 110x30: boxes, side panes, heat map
)

// Class gives the size class of a terminal.
func Class(w, h int) Size {
	switch {
	case w < 60 || h < 14:
		return Tiny
	case w < 80 || h < 20:
		return Small
	case w < 110 || h < 30:
		return Normal
	}
	return Wide
}

// Level colours a toast.
type Level uint8

// Levels of toasts.
const (
	Note Level = iota
	Good
	Bad
)

// Item is one line of a menu.
type Item struct {
	Label, Help string
	Checked     bool
}

// Menu is a list to choose from. Moved (may be nil) is told as the cursor moves,
// Closed what was chosen, or -1. Keep keeps it open after enter.
type Menu struct {
	Title  string
	Items  []Item
	At     int
	Keep   bool
	Moved  func(i int)
	Chosen func(i int)
	Closed func(chosen bool)
}

// Form asks for lines of text. Done gets a value for each field; of those that
// are yes or no, "yes" or "".
type Form struct {
	Title, Help string
	Fields      []Field
	Done        func(values []string)
}

// Field is one line of a form.
type Field struct {
	Label, Value string
	Hidden       bool // shown as dots
	Check        bool // yes or no
}

// App is what a page may ask of the application.
type App interface {
	// Submit hands wishes to the core as one step that one undo takes back.
	Submit(intents []core.Intent, done string)
	// Send hands over one wish that is not undone.
	Send(in core.Intent, done string)
	Toast(Level, string)
	// Open shows the page of a process or service.
	Open(Subject)
	// OpenEvents shows the events that pass a filter.
	OpenEvents(filter string)
	Confirm(question string, yes func())
	Menu(Menu)
	Ask(Form)
	// Copy puts text onto the clipboard of the user's terminal.
	Copy(what, text string)
	// Choice is what the user chose last for a switch, as far as the snapshot
	// does not know it yet.
	Choice(core.ToggleKey) (core.Choice, bool)
}

// Context is what a page sees. It is only valid during the call.
type Context struct {
	App
	Snap   *core.Snapshot // the one shown: the newest, or an older one while paused
	Events []core.Event   // up to the moment shown, oldest first
	Size   Size
	Filter string // typed at the moment
	// Metrics lists what a snapshot is exposed as; nil when nobody can tell.
	Metrics func(*core.Snapshot) []core.MetricInfo
	// Kinds is which kinds of instrumentation space switches.
	Kinds map[string]bool

	// Losses tells when something was lost last; nil when nobody remembers.
	Losses *Losses
	// Hinted says that the user has seen what integrations need.
	Hinted bool

	protocols protocols

	// Cursor is where the terminal's cursor shall stand; Draw sets it.
	CursorX, CursorY int
	HasCursor        bool
}

// At places the terminal's cursor if there is a place for it.
func (c *Context) At(x, y int, ok bool) {
	if ok {
		c.CursorX, c.CursorY, c.HasCursor = x, y, true
	}
}

// Since is how long ago t was at the moment shown.
func (c *Context) Since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(c.Snap.At.Sub(t), 0)
}

// Boxed reports whether there is room for borders.
func (c *Context) Boxed() bool { return c.Size == Wide }

// Selectable reports whether the i-th kind of a process' instrumentation can be
// switched for that process alone. Kinds that watch the whole machine cannot,
// and say nothing about one process.
func (c *Context) Selectable(r *core.ProcessRow, i int) bool {
	if c.Snap == nil {
		return true
	}
	any := false
	for k := range c.Snap.Kinds {
		kind := &c.Snap.Kinds[k]
		if kind.Kind == r.Instr[i].Kind && kind.PerProcess {
			return true
		}
		any = any || kind.PerProcess
	}
	return !any
}

// Switched reports whether space switches the i-th kind of a process.
func (c *Context) Switched(r *core.ProcessRow, i int) bool {
	return c.Selectable(r, i) && (c.Kinds == nil || c.Kinds[r.Instr[i].Kind])
}

// PerProcess are the kinds that can be switched for one process or service.
func PerProcess(s *core.Snapshot) []core.KindRow {
	var out []core.KindRow
	for _, k := range s.Kinds {
		if k.PerProcess {
			out = append(out, k)
		}
	}
	if out == nil {
		return s.Kinds
	}
	return out
}

// Process finds a process in the snapshot by binary search; nil when it is gone.
func Process(s *core.Snapshot, k core.ProcKey) *core.ProcessRow {
	lo, hi := 0, len(s.Processes)
	for lo < hi {
		if m := (lo + hi) / 2; s.Processes[m].PID < k.PID {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for ; lo < len(s.Processes) && s.Processes[lo].PID == k.PID; lo++ {
		if s.Processes[lo].Birth == k.Birth {
			return s.Processes[lo]
		}
	}
	return nil
}

// Service finds a service by name; nil when it is gone.
func Service(s *core.Snapshot, name string) *core.ServiceRow {
	for _, r := range s.Services {
		if r.Name == name {
			return r
		}
	}
	return nil
}
