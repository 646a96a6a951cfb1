// Package keys is the one table of what keys do. Dispatch, footer, help and
// palette all follow from it.
package keys

// Action is something that the user can ask for.
type Action uint8

// Actions.
const (
	None Action = iota
	Help
	Filter
	Palette
	Esc
	Up // one page up, quits at the root
	Cancel
	Pause
	Rewind
	Forward
	RewindMinute
	ForwardMinute
	Present
	Slower
	Faster
	Themes
	Mouse
	Copy
	Save
	Redraw
	Reload
	Suspend
	Undo
	NextPane
	PrevPane

	CursorUp
	CursorDown
	PageUp
	PageDown
	First
	Last
	Open

	Toggle
	Range
	AllShown
	Sort
	ColumnLeft
	ColumnRight
	Reverse
	Tree
	View
	Problems
	Follow

	NextTab
	PrevTab

	Kinds
	DetachAll
	Resume
	Retry
	PushNow
	Login
	Run
	Pin
	Deny
	Delete
	Inside
	Quit

	Page1 // Page1+i opens the i-th page
)

// Scope is where a binding holds.
type Scope uint8

// Scopes.
const (
	Global Scope = iota
	Paused       // only while the picture stands still
	Lists
	Processes
	Process
	Events
	Probes
	Requests
	Route
	ServiceMap
	Metrics
	Integrations
	PaletteOnly // no key of its own
)

// Binding is one line of the table.
type Binding struct {
	Action  Action
	Scope   Scope
	Keys    []string // as Bubble Tea names them
	Show    string   // how the keys are written on the screen
	Label   string   // one or two words for the footer; empty: not in the footer
	Help    string   // one sentence
	Command string   // its name in the palette; empty: not there
}

// Table returns all bindings, the most useful of each scope first.
func Table() []Binding {
	return []Binding{
		{Help, Global, []string{"?", "f1"}, "?", "help", "keys of this page, and what the signs mean", "help"},
		{Filter, Global, []string{"/"}, "/", "filter", "show only rows that match; words, key:value, key>number, ! turns a term around", ""},
		{Palette, Global, []string{":", "ctrl+k"}, ":", "command", "type a command", ""},
		{Esc, Global, []string{"esc"}, "esc", "", "close, then clear the filter or selection, then one page up; never quits", ""},
		{Up, Global, []string{"q"}, "q", "", "one page up; on the first level it quits", ""},
		{Cancel, Global, []string{"ctrl+c"}, "ctrl+c", "", "cancel what is open, else quit", ""},
		{Pause, Global, []string{"p"}, "p", "pause", "freeze the picture; the data goes on", "pause"},
		{Undo, Global, []string{"u"}, "u", "", "take the last switch back", "undo"},
		{NextPane, Global, []string{"tab"}, "tab", "", "next pane", ""},
		{PrevPane, Global, []string{"shift+tab"}, "shift+tab", "", "previous pane", ""},
		{Themes, Global, []string{"T"}, "T", "", "choose a theme, shown as you move", "themes"},
		{Copy, Global, []string{"y"}, "y", "", "copy the row to the clipboard of your terminal", "copy"},
		{Save, Global, []string{"ctrl+s"}, "ctrl+s", "", "save the screen as text", "save"},
		{Mouse, Global, []string{"M"}, "M", "", "give the mouse to the terminal (to select text), or take it back", "mouse"},
		{Faster, Global, []string{"-"}, "-", "", "refresh more often", ""},
		{Slower, Global, []string{"+", "="}, "+", "", "refresh less often", ""},
		{Redraw, Global, []string{"ctrl+l"}, "ctrl+l", "", "draw the screen anew", "redraw"},
		{Reload, Global, []string{"ctrl+r"}, "ctrl+r", "", "read the configuration again", "reload"},
		{Suspend, Global, []string{"ctrl+z"}, "ctrl+z", "", "back to the shell; fg returns", ""},

		{Rewind, Paused, []string{"left"}, "←", "rewind", "while paused: one look back", ""},
		{Forward, Paused, []string{"right"}, "→", "", "while paused: one look forward", ""},
		{RewindMinute, Paused, []string{"ctrl+left", "{"}, "ctrl+←", "", "while paused: a minute back", ""},
		{ForwardMinute, Paused, []string{"ctrl+right", "}"}, "ctrl+→", "", "while paused: a minute forward", ""},
		{Present, Paused, []string{"0"}, "0", "", "while paused: to the newest look", ""},

		{Open, Lists, []string{"enter"}, "⏎", "open", "open the row", ""},
		{CursorDown, Lists, []string{"down", "j"}, "↓ j", "", "next row", ""},
		{CursorUp, Lists, []string{"up", "k"}, "↑ k", "", "previous row", ""},
		{PageDown, Lists, []string{"pgdown", "ctrl+d"}, "PgDn ctrl+d", "", "a page down", ""},
		{PageUp, Lists, []string{"pgup", "ctrl+u"}, "PgUp ctrl+u", "", "a page up", ""},
		{First, Lists, []string{"home", "g"}, "Home g", "", "first row", ""},
		{Last, Lists, []string{"end", "G"}, "End G", "", "last row", ""},

		{Toggle, Processes, []string{"space"}, "space", "on/off", "switch the instrumentation of the row or the selection on or off", "toggle"},
		{View, Processes, []string{"tab"}, "tab", "view", "processes one by one, as services, or as a tree", "view"},
		{Sort, Processes, []string{"s"}, "s", "sort", "choose the column to sort by", "sort"},
		{Tree, Processes, []string{"t"}, "t", "", "parents and children as a tree", "tree"},
		{Problems, Processes, []string{"e"}, "e", "problems", "only what fails, is slow or cannot be seen", "problems"},
		{Follow, Processes, []string{"F"}, "F", "", "keep the cursor on this process while the list moves", "follow"},
		{Range, Processes, []string{"v"}, "v", "range", "select rows: move, then v again or space", ""},
		{Kinds, Processes, []string{"i"}, "i", "", "choose the kinds that space switches", "kinds"},
		{AllShown, Processes, []string{"a"}, "a", "", "select all rows shown", "all"},
		{ColumnLeft, Processes, []string{"<", ","}, "<", "", "sort by the column to the left", ""},
		{ColumnRight, Processes, []string{">", "."}, ">", "", "sort by the column to the right", ""},
		{Reverse, Processes, []string{"r"}, "r", "", "turn the order around", "reverse"},

		{Toggle, Process, []string{"space"}, "space", "on/off", "switch the instrumentation (on the Probes tab: of the kind) on or off", "toggle"},
		{NextTab, Process, []string{"l", "tab", "shift+right"}, "l", "next tab", "next tab", ""},
		{PrevTab, Process, []string{"h", "shift+tab", "shift+left"}, "h", "", "previous tab", ""},

		{Inside, Process, []string{"I"}, "I", "", "what the same server says of itself, where an integration asks it", "inside"},

		{Toggle, Probes, []string{"space"}, "space", "on/off", "switch the kind on or off for all processes", "toggle"},
		{DetachAll, Probes, []string{"K"}, "K", "detach all", "take everything out of the kernel (asks once); again: put it back", "detach"},
		{Retry, Probes, []string{"R"}, "R", "retry", "try the failed ones again", "retry"},

		{Follow, Events, []string{"F"}, "F", "follow", "stay at the newest event", "follow"},
		{View, Events, []string{"v"}, "v", "kinds", "show all kinds of events, or one after the other", "event kinds"},

		{View, Requests, []string{"tab"}, "tab", "routes/single", "between the routes and single requests that were slow or failed", "slow and failed"},
		{Sort, Requests, []string{"s"}, "s", "sort", "choose the column to sort by", ""},
		{Problems, Requests, []string{"e"}, "e", "failed", "only what fails", "failed requests"},
		{ColumnLeft, Requests, []string{"<", ","}, "<", "", "sort by the column to the left", ""},
		{ColumnRight, Requests, []string{">", "."}, ">", "", "sort by the column to the right", ""},
		{Reverse, Requests, []string{"r"}, "r", "", "turn the order around", ""},

		{NextPane, Route, []string{"tab", "l"}, "tab", "single requests", "between the outcomes and single requests that were slow or failed", ""},

		{View, ServiceMap, []string{"tab"}, "tab", "picture/list", "the map as a picture or as a list of calls", "map view"},
		{Sort, ServiceMap, []string{"s"}, "s", "", "choose the column of the list to sort by", ""},

		{PushNow, Metrics, []string{"P"}, "P", "push now", "push now, without waiting for the interval", ""},
		{Toggle, Integrations, []string{"space"}, "space", "on/off", "ask this server, or stop asking it", "integration on/off"},
		{Login, Integrations, []string{"c"}, "c", "login", "give what it needs: a login, or consent to log in as the server's own user", "integration login"},
		{Run, Integrations, []string{"R"}, "R", "run now", "collect now, or try again now", "integration run"},
		{Pin, Integrations, []string{"P"}, "P", "", "keep it, also while its server is gone; again: take that back", "integration pin"},
		{Deny, Integrations, []string{"D"}, "D", "", "never ask this server, remembered; again: take that back", "integration deny"},
		{NextPane, Integrations, []string{"tab", "l"}, "tab", "", "between the key figures and everything that it tells", ""},

		{Toggle, Metrics, []string{"space"}, "space", "pause", "pause pushing to the destination under the cursor, or go on", "pause push"},
		{View, Metrics, []string{"tab"}, "tab", "next pane", "series, destinations, calls of vitals itself, and the gateway when one runs inside", ""},
		{Delete, Metrics, []string{"D"}, "D", "", "to the groups of the gateway; there: delete the one under the cursor (asks once)", "delete group"},

		{Resume, PaletteOnly, nil, "", "", "put back what was detached", "resume"},
		{PushNow, PaletteOnly, nil, "", "", "push now, without waiting for the interval", "push now"},
		{Quit, PaletteOnly, nil, "", "", "quit and detach", "quit"},
	}
}

// Map finds actions by key.
type Map struct {
	table []Binding
	keys  map[scoped]Action
}

type scoped struct {
	scope Scope
	key   string
}

// New builds the map of the table, and digits for that many pages.
func New(pages int) *Map {
	m := &Map{table: Table(), keys: map[scoped]Action{}}
	for i := range min(pages, 9) {
		m.keys[scoped{Global, string(rune('1' + i))}] = Page1 + Action(i)
	}
	for _, b := range m.table {
		for _, k := range b.Keys {
			m.keys[scoped{b.Scope, k}] = b.Action
		}
	}
	return m
}

// Lookup finds what key does where the scopes hold, the nearest first; Global
// always holds and comes last.
func (m *Map) Lookup(key string, scopes ...Scope) Action {
	for _, s := range scopes {
		if a := m.keys[scoped{s, key}]; a != None {
			return a
		}
	}
	return m.keys[scoped{Global, key}]
}

// Table returns the bindings that hold in the scopes, in the order of the
// scopes as given.
func (m *Map) Table(scopes ...Scope) []Binding {
	var out []Binding
	for _, s := range scopes {
		for _, b := range m.table {
			if b.Scope == s {
				out = append(out, b)
			}
		}
	}
	return out
}
