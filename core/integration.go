package core

import (
	"fmt"
	"io"
	"time"
)

// IntegrationState is where an integration with a server stands.
type IntegrationState string

// States of integrations, in the order in which screens list them.
const (
	IntegrationRunning   IntegrationState = "running"   // its figures are collected
	IntegrationFailed    IntegrationState = "failed"    // wanted, and does not work: see Message
	IntegrationSuggested IntegrationState = "suggested" // it could be: see Needs and Message
	IntegrationFound     IntegrationState = "found"     // recognised, not asked yet
	IntegrationDenied    IntegrationState = "denied"    // somebody said no
)

// What an integration needs of the user before it can run.
const (
	NeedsNothing = ""
	NeedsLogin   = "login"         // IntentIntegrationLogin
	NeedsConsent = "consent"       // IntentIntegrationConsent: to log in as the server's own user
	NeedsRights  = "rights"        // the login may not read enough: Grants at the server
	NeedsServer  = "configuration" // the server does not offer its figures: see Message
	NeedsEnable  = "enable"        // one kind of evidence only: IntentIntegrationEnable
	NeedsTime    = "time"          // it will be tried again by itself
)

// IntegrationRow is one server that integrations know, whether it is asked or not.
type IntegrationRow struct {
	ID       string // "integration/redis/127.0.0.1:6379", that of its unit once it has one
	Kind     string // "redis"
	Title    string // "Redis"
	Instance string // "127.0.0.1:6379"
	Origin   string // "configured" or "found"
	State    IntegrationState
	Pinned   bool
	Why      string // the evidence and what was decided: "executable redis-server, port 6379; redis 7.0.15 answers PING"
	Needs    string // one of the Needs constants
	Message  string // what is wrong, with the remedy
	Health   Health
	Grants   string // what to run at the server so that a login may read what is collected
	Docs     string
	Login    bool      // it takes a user and a password
	Ambient  bool      // it can log in as the server's own user, after consent
	Procs    []ProcKey // the processes of the server, when they are known
	Service  string    // of the first of them

	Interval       time.Duration
	LastRun        time.Time     // when the newest collection began, zero before the first
	NextRun        time.Time     // zero when none is planned
	Duration       time.Duration // of the newest collection
	Runs, Failures uint64        // collections that succeeded, that failed
	Series         int           // of the newest successful collection
	Dropped        uint64        // of that collection: over the limit, or not fit to be exposed
	Missing        []string      // parts that could not be had: "replication: permission denied"

	Figures  []IntegrationFigure
	Families []Family          // of the newest successful collection; nil when it is too old to be true
	Labels   map[string]string // configured ones, for all series
}

// IntegrationFigure is one number worth a place on a screen.
type IntegrationFigure struct {
	Title string
	Unit  string // "", "bytes", "seconds", "ratio", "per_second", "state"
	Chart bool
	V     float64 // NaN when it is not known
	Trend *Trend  // nil until there are two values
}

// Intents about integrations. Intent.Unit is the IntegrationRow.ID.
const (
	IntentIntegrationEnable  IntentOp = "integration-enable"  // ask it, though nobody or little says so
	IntentIntegrationDisable IntentOp = "integration-disable" // stop asking it, until enabled or restarted
	IntentIntegrationDeny    IntentOp = "integration-deny"    // never ask it, nor probe it, remembered
	IntentIntegrationPin     IntentOp = "integration-pin"     // keep it, also while its server is gone, remembered
	IntentIntegrationForget  IntentOp = "integration-forget"  // take back what was remembered: denied, pinned, consent, login
	IntentIntegrationConsent IntentOp = "integration-consent" // it may log in as the server's own user, remembered
	IntentIntegrationLogin   IntentOp = "integration-login"   // Intent.Login
	IntentIntegrationRun     IntentOp = "integration-run"     // collect now, or try again now
)

// Login is a user's answer to NeedsLogin.
type Login struct {
	User     string
	Password Secret
	// Keep writes it to a file that only its owner can read; else it is kept in
	// memory until vitals ends.
	Keep bool
}

// Secret is a text that nothing prints: conversions to string give it away, and
// nothing else does.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
