package kit

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"vitals/core"
)

// Kind is a Definition whose type of settings is forgotten, which is how the
// framework handles all kinds alike. Settings are handed around as an any that
// holds an S; they are values and never modified in place.
type Kind struct {
	Name, Title, Help, Docs, Grants string
	Singleton, Default, Ambient     bool
	Interval                        time.Duration
	MaxSeries                       int
	Signs                           Signs
	Figures                         []Figure
	Metrics                         []*Metric
	// Finds is whether servers of this kind can be found by looking at processes.
	Finds bool

	parse      func(decode func(into any) error) (any, error)
	prepare    func(any, Shared) (any, string, error)
	equal      func(a, b any) bool
	candidates func(Server) []any
	probe      func(context.Context, any, Env) (any, string, error)
	open       func(any, Env) (Collector, error)
	update     func(Collector, any) error
	login      func(any, func(*Login)) (any, bool)
}

var kindName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// New makes a Kind. A definition without a name of the right form, or without
// Open, is a programming error: it panics.
func New[S any](d Definition[S]) Kind {
	if !kindName.MatchString(d.Name) || d.Open == nil || d.Title == "" || d.Help == "" {
		panic(fmt.Sprintf("kit: the integration %q needs a name (a-z, 0-9, _), a title, help and Open", d.Name))
	}
	digest(sha256.New(), reflect.ValueOf(new(S))) // settings that cannot be compared are found here
	k := Kind{
		Name: d.Name, Title: d.Title, Help: d.Help, Docs: d.Docs, Grants: d.Grants, Singleton: d.Singleton, Default: d.Default, Ambient: d.Ambient,
		Interval: cmp.Or(d.Interval, 15*time.Second), MaxSeries: cmp.Or(d.MaxSeries, DefaultMaxSeries),
		Signs: d.Signs, Figures: d.Figures, Metrics: d.Metrics, Finds: d.Candidates != nil && d.Probe != nil,
		open: func(s any, e Env) (Collector, error) { return d.Open(s.(S), e) },
	}
	k.parse = func(decode func(any) error) (any, error) {
		var s S
		if d.Defaults != nil {
			s = d.Defaults()
		}
		err := decode(&s)
		return s, err
	}
	k.prepare = d.prepare
	k.equal = func(a, b any) bool { return d.Equal != nil && d.Equal(a.(S), b.(S)) }
	k.candidates = func(s Server) (out []any) {
		if d.Candidates == nil {
			return nil
		}
		for _, c := range d.Candidates(s) {
			out = append(out, c)
		}
		return out
	}
	k.probe = func(ctx context.Context, s any, e Env) (any, string, error) { return d.Probe(ctx, s.(S), e) }
	k.update = func(c Collector, s any) error {
		if d.Update == nil {
			return ErrNeedsRemake
		}
		return d.Update(c, s.(S))
	}
	k.login = func(s any, f func(*Login)) (any, bool) {
		v := s.(S)
		l, ok := any(&v).(interface{ Credentials() *Login })
		if ok {
			f(l.Credentials())
		}
		return v, ok
	}
	return k
}

// prepare normalises settings, then names them, then judges them.
func (d *Definition[S]) prepare(settings any, shared Shared) (any, string, error) {
	s := settings.(S)
	if d.Normalise != nil {
		if err := d.Normalise(&s, shared); err != nil {
			return s, "", err
		}
	}
	id := shared.Instance
	if d.Identity != nil {
		id = cmp.Or(d.Identity(s), id)
	}
	if clean := core.Clean(id, core.MaxName); clean != id || id == "" {
		return s, "", fmt.Errorf("%q cannot name an instance: it is empty, too long or not plain text", clean)
	}
	if d.Validate != nil {
		if err := d.Validate(s); err != nil {
			return s, id, err
		}
	}
	return s, id, nil
}

// Parse reads a section of the configuration: decode fills the struct that it is
// given a pointer to, whose fields hold the defaults, and is strict about keys.
func (k Kind) Parse(decode func(into any) error) (any, error) { return k.parse(decode) }

// Prepare normalises settings, which it leaves as they are, and gives the new
// ones with their identity; the error is what Normalise, Identity or Validate found.
func (k Kind) Prepare(settings any, shared Shared) (any, string, error) {
	return k.prepare(settings, shared)
}

// Equal reports whether the kind itself calls settings equal, whatever their digests.
func (k Kind) Equal(a, b any) bool { return k.equal(a, b) }

// Digest is equal for equal settings, secrets and shared settings included, and
// tells nothing about them to who does not know the key.
func (k Kind) Digest(key []byte, settings any, shared Shared) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%q;", k.Name)
	digest(h, reflect.ValueOf(settings))
	fmt.Fprintf(h, "%q %v;", shared.Instance, shared.BaseURL)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Candidates are the settings to try on a server.
func (k Kind) Candidates(s Server) []any { return k.candidates(s) }

// Probe asks whether settings reach such a server, see Definition.Probe.
func (k Kind) Probe(ctx context.Context, settings any, e Env) (found any, saw string, err error) {
	return k.probe(ctx, settings, e)
}

// Open builds a collector, without side effects.
func (k Kind) Open(settings any, e Env) (Collector, error) { return k.open(settings, e) }

// Update gives a collector new settings, see Definition.Update.
func (k Kind) Update(c Collector, settings any) error { return k.update(c, settings) }

// WithLogin returns settings with their login changed by f; false when the kind
// knows no login. f may also just look.
func (k Kind) WithLogin(settings any, f func(*Login)) (any, bool) { return k.login(settings, f) }

// EachSecret calls f for each secret in settings.
func EachSecret(settings any, f func(Secret)) { secrets(reflect.ValueOf(settings), f) }
