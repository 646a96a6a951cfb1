// Package kit is what an integration is made of. An integration is a folder
// beside this one that exports
//
//	func Kind() kit.Kind { return kit.New(kit.Definition[Settings]{...}) }
//
// and a line in the list of core/integrations. It knows one kind of server: how
// its settings look, how to recognise it, how to ask it for what it knows. All
// the rest, when it is made, asked, tried again and ended, where its figures go,
// is the framework's.
package kit

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"time"

	"vitals/core"
)

// Definition describes a kind of integration whose settings are S, a plain
// struct with yaml tags. Functions may be called from any goroutine and have no
// side effects unless they say so. Those that are nil are not needed.
type Definition[S any] struct {
	Name  string // "redis": lower case letters, digits and underscores, never changes
	Title string // for screens, one or two words: "Redis"
	Help  string // one sentence: what it tells, what it costs the server
	Docs  string // where more is written: "docs/integrations/redis.md"
	// Grants is what an operator has to run at the server, for each version that
	// differs, so that a login may read what is collected and nothing more.
	Grants string
	// Singleton kinds can be configured once only: the host.
	Singleton bool
	// Default kinds run where nobody says otherwise: those that ask no server.
	Default bool
	// Ambient kinds can log in as the server's own user over its Unix socket,
	// without a password; the user is asked before (see Login.Ambient).
	Ambient bool
	// Interval is the time between two collections where nobody chose; 0 is 15 s.
	Interval time.Duration
	// MaxSeries bounds what one unit may tell; 0 is 5000. What is over is counted.
	MaxSeries int

	// Defaults is what an empty section means; nil is the zero S.
	Defaults func() S
	// Normalise fills in what follows from the rest: the port of an address, the
	// host of an empty one. It comes before Identity and Validate.
	Normalise func(*S, Shared) error
	// Identity names the instance for as long as it is the same server:
	// "127.0.0.1:6379". Empty is the agent's own name. No secrets.
	Identity func(S) string
	// Validate says what is wrong with settings, naming the key.
	Validate func(S) error
	// Equal may call settings equal that differ in what does not matter.
	Equal func(a, b S) bool

	// Signs is how processes of this server are recognised.
	Signs Signs
	// Candidates are the settings to try on a server that was recognised, the
	// best first; nil gives none, and the server is never found by itself.
	Candidates func(Server) []S
	// Probe finds out whether settings reach such a server: one connection, read
	// only, done within the second that ctx gives, no login but what the server
	// takes from anybody. It returns the settings completed by what it learned,
	// and what it saw in a few words ("redis 7.0.15 answers PING"). Errors:
	// ErrCredentials, ErrConsent and ErrOther, and all else is "not now".
	Probe func(ctx context.Context, s S, e Env) (found S, saw string, err error)

	// Open builds a collector without connecting: it must have no side effects.
	Open func(S, Env) (Collector, error)
	// Update gives a running collector new settings. ErrNeedsRemake asks for a new
	// collector instead; any other error means that the old settings still hold.
	// nil always makes a new one. It may be called while Collect runs.
	Update func(Collector, S) error

	// Figures are the few numbers that a screen shows, in order.
	Figures []Figure
	// Metrics lists what Collect may tell, for docs and tests; kinds whose metrics
	// are not known beforehand leave it empty.
	Metrics []*Metric
}

// Collector asks one server. Calls come one at a time, except for Close.
type Collector interface {
	// Collect connects when it is not connected, and adds what the server knows
	// now to b. An error fails the whole round; what was added so far is dropped.
	// Parts that could not be had while the rest could go to b.Missing. After an
	// error it must be possible to call it again: it connects anew, and reads
	// secrets anew. It returns soon after ctx ends.
	Collect(ctx context.Context, b *Batch) error
	// Close ends the connection and everything else. It may come at any time, also
	// while Collect runs, which then returns soon, and also twice.
	Close()
}

// Checker is a Collector with a check that costs less than a collection. Without
// it the newest collection says how the server is.
type Checker interface {
	Check(ctx context.Context) error
}

// Judge is a Collector for which a bad answer is a figure like others, and which
// can say that the newest one was bad. Verdict is called between collections.
type Judge interface {
	Verdict() error
}

// Shared is what all integrations have in common. A change of it is a change of
// every integration.
type Shared struct {
	Instance string   // the agent's name, never empty
	BaseURL  *url.URL // where vitals serves HTTP; nil when it does not. The holder's own copy
}

// Env is what a collector has of the world. Every connection is made with Dial.
type Env struct {
	Shared
	// Dial connects within the server's network namespace. network is "tcp",
	// "unix" or "udp". The paths of Unix sockets are those of the server's own
	// root directory.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialAs is Dial with the identity of another user, for servers that look at
	// who connects. It needs root, and the user's consent (Login.Ambient).
	DialAs func(ctx context.Context, uid, gid uint32, network, address string) (net.Conn, error)
	// Owner is the owner of a Unix socket, as Dial would find it.
	Owner    func(path string) (uid, gid uint32, err error)
	Log      *slog.Logger
	Recorder core.Recorder // times calls: core.Do(ctx, e.Recorder, "redis.info", f); may be nil
}
