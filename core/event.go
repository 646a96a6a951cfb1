package core

import "time"

// Event is one change worth telling: of a unit's phase, of a process, of a
// toggle. The engine numbers events; they are never dropped before that.
type Event struct {
	Seq     uint64
	At      time.Time
	Kind    EventKind
	Unit    string // unit id, empty for process events
	Proc    ProcKey
	Service string
	From    string
	To      string
	Attempt int
	NextTry time.Time
	Error   string
	Reason  string // what happened, in words, ready for the screen
}

// EventKind groups events for display and filtering.
type EventKind string

// Kinds of events.
const (
	EventExec   EventKind = "exec"
	EventFork   EventKind = "fork"
	EventExit   EventKind = "exit"
	EventUnit   EventKind = "unit"   // a unit changed its phase
	EventToggle EventKind = "toggle" // somebody switched something
	EventPush   EventKind = "push"
	EventLost   EventKind = "lost"
	EventNotice EventKind = "notice"
)
