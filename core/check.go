package core

import (
	"context"
	"strconv"
	"time"
)

// Status is what a health check comes to. The numbers are stable; the zero
// Status is unknown.
type Status int

// Statuses.
const (
	StatusUnknown Status = iota // not checked, not running, or not to be found out
	StatusOK
	StatusError
)

// String gives the name, of an unknown number the number.
func (s Status) String() string {
	switch s {
	case StatusUnknown:
		return "UNKNOWN"
	case StatusOK:
		return "OK"
	case StatusError:
		return "ERROR"
	}
	return strconv.Itoa(int(s))
}

// StatusOf undoes String; what is no name of a status is unknown.
func StatusOf(name string) Status {
	for s := StatusUnknown; s <= StatusError; s++ {
		if s.String() == name {
			return s
		}
	}
	return StatusUnknown
}

// Finding is the result of one check. Details is shown as a JSON object and
// holds what encoding/json can write: figures, versions, never a secret.
type Finding struct {
	Status  Status
	Message string
	Details map[string]any
}

// With returns f with details instead of those it has.
func (f Finding) With(details map[string]any) Finding {
	f.Details = details
	return f
}

// Healthy, Unhealthy and Unsure make findings without details.
func Healthy(message string) Finding { return Finding{Status: StatusOK, Message: message} }

// Unhealthy is the finding that something does not work.
func Unhealthy(message string) Finding { return Finding{Status: StatusError, Message: message} }

// Unsure is the finding that it cannot be told.
func Unsure(message string) Finding { return Finding{Message: message} }

// CheckRequest is what a check or a collection is asked with.
type CheckRequest struct {
	Unit   string              // the unit's id
	Kind   string              // the unit's kind
	Header map[string][]string // of the HTTP request, nil from elsewhere; without credentials and cookies
}

// Checker is implemented by units whose work can be tested at any time while
// they are attached. Without it a unit's health follows from its life alone.
type Checker interface {
	// CheckHealth finds out whether the unit does what it is for, by doing a
	// little of it. It blocks at most until ctx ends, is never called twice at
	// a time for one unit, and may be called concurrently with everything else,
	// also after Detach: then it fails. An error is the finding that something
	// does not work; a message that comes with it is told instead of its text.
	CheckHealth(ctx context.Context, r CheckRequest) (Finding, error)
}

// Measured is implemented by units that can be asked for their metrics.
type Measured interface {
	// Collect returns the unit's newest metrics. Families together with an error
	// are those that could be had; no families and no error mean that there is
	// nothing to tell. It is called like CheckHealth.
	Collect(ctx context.Context, r CheckRequest) ([]Family, error)
}

// Target is something that a Prometheus server scrapes.
type Target struct {
	// Address is "host:port"; empty is our own HTTP server, at the address that
	// it advertises.
	Address string
	// Path is the escaped path with which the address is asked. Empty is the
	// metrics page of the unit: /integrations/<kind>/<id>/metrics.
	Path string
	// Labels are added to those that every target has, and win over them.
	Labels map[string]string
	// Interval and Timeout are those of the scrape; 0 leaves it to the server.
	Interval, Timeout time.Duration
	// Manual targets are listed for who asks for them, but not to be scraped by
	// themselves (__meta_agent_integration_autoscrape is 0).
	Manual bool
}

// Scrapeable is implemented by units that have targets for a Prometheus server.
type Scrapeable interface {
	// Targets may be called at any time, also before the unit runs, and is cheap.
	Targets() []Target
}

// Directory finds the units that exist. Its methods may be called from any
// goroutine and do not block.
type Directory interface {
	// Lookup returns the recipe of a unit and, while it is attached, the unit
	// itself, else nil. ok is false when there is no such unit.
	Lookup(id string) (spec Spec, unit Unit, ok bool)
}
