package integrations

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings is what the configuration says of integrations.
type Settings struct {
	Discovery Discovery
	Interval  time.Duration // where a section says nothing; 0 is that of the kind
	Timeout   time.Duration // 0 is 5s, and never more than the interval
	NoScrape  bool          // targets are listed, but not to be scraped by themselves
	// Enable, Deny and Pin are patterns of found ones: "redis", "redis/127.0.0.1:*".
	Enable, Deny, Pin []string
	Sections          []Section
	File              string       // that they were read from, "" without one
	Operator          kit.Operator // who wrote that
}

// Discovery says what happens with servers that are found.
type Discovery string

// Discoveries.
const (
	DiscoverAuto    Discovery = "auto" // those that are sure are asked; the zero value means this
	DiscoverSuggest Discovery = "suggest"
	DiscoverOff     Discovery = "off"
)

// Section is one integration of the configuration.
type Section struct {
	Kind  string
	Where string // for errors: "line 12"
	// Decode fills in the settings of the kind, Common those that all kinds have.
	// Both are strict: a key that is not known is an error that names it.
	Decode func(into any) error
	Common func(*Common) error
}

// Common is the keys that every section has.
type Common struct {
	ID       string            `yaml:"id"` // instead of the kind's own idea of an identity
	Enabled  *bool             `yaml:"enabled"`
	Interval time.Duration     `yaml:"interval"`
	Timeout  time.Duration     `yaml:"timeout"`
	Scrape   *bool             `yaml:"scrape"`
	Labels   map[string]string `yaml:"labels"`
}

// CommonKeys are their names.
func CommonKeys() []string {
	return []string{"id", "enabled", "interval", "timeout", "scrape", "labels"}
}

// entry is a section that was understood.
type entry struct {
	section  Section
	kind     kit.Kind
	name     string
	settings any
	options  options
	off      bool
	err      error
}

func (e *entry) id() string { return unitID(e.kind.Name, e.name) }

// Check says what is wrong with a section, as the configuration is read; it
// builds nothing. The error names the key.
func Check(kinds []kit.Kind, s Section, shared kit.Shared) error {
	e := understand(kinds, s, Settings{}, shared)
	return e.err
}

// understand decodes, normalises, names and judges a section, in this order.
func understand(kinds []kit.Kind, s Section, all Settings, shared kit.Shared) (e entry) {
	e.section = s
	i := slices.IndexFunc(kinds, func(k kit.Kind) bool { return k.Name == s.Kind })
	if i < 0 {
		e.err = unknownKind(kinds, s.Kind)
		return e
	}
	e.kind = kinds[i]
	defer contain(&e.err)
	settings, err := e.kind.Parse(s.Decode)
	if err != nil {
		e.err = err
		return e
	}
	var common Common
	if s.Common != nil {
		if e.err = s.Common(&common); e.err != nil {
			return e
		}
	}
	if e.err = common.check(); e.err != nil {
		return e
	}
	e.off = common.Enabled != nil && !*common.Enabled
	e.options = all.options(e.kind, common)
	if e.settings, e.name, e.err = e.kind.Prepare(settings, shared); e.err != nil {
		return e
	}
	e.name = cmp.Or(common.ID, e.name)
	return e
}

func (c *Common) check() error {
	switch {
	case c.ID != core.Clean(c.ID, core.MaxName):
		return errors.New("id: it is too long or not plain text")
	case c.Interval != 0 && (c.Interval < time.Second || c.Interval > 24*time.Hour):
		return fmt.Errorf("interval: %v is not from 1s to 24h", c.Interval)
	case c.Timeout != 0 && (c.Timeout < 10*time.Millisecond || c.Timeout > 10*time.Minute):
		return fmt.Errorf("timeout: %v is not from 10ms to 10m", c.Timeout)
	}
	for name, value := range c.Labels {
		if !labelName(name) || value != core.Clean(value, core.MaxRoute) {
			return fmt.Errorf("labels: %q cannot be a label", core.Clean(name+"="+value, core.MaxName))
		}
	}
	return nil
}

func labelName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "__") && s != "job" && s != "instance"
}

// options are those of a section over those of all over those of the kind.
func (s *Settings) options(k kit.Kind, c Common) options {
	o := options{
		Interval: cmp.Or(c.Interval, s.Interval, k.Interval),
		Timeout:  cmp.Or(c.Timeout, s.Timeout, 5*time.Second),
		Scrape:   !s.NoScrape, Labels: c.Labels, ownInterval: c.Interval, ownTimeout: c.Timeout, operator: s.Operator,
	}
	o.Timeout = min(o.Timeout, o.Interval)
	if c.Scrape != nil {
		o.Scrape = *c.Scrape
	}
	return o
}

func unknownKind(kinds []kit.Kind, name string) error {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return fmt.Errorf("there is no integration %q (there are %s)", core.Clean(name, core.MaxName), strings.Join(names, ", "))
}

// matches reports whether one of the patterns means a unit: its kind, or its kind
// with its instance.
func matches(patterns []string, kind, name string) bool {
	for _, p := range patterns {
		want, instance, precise := strings.Cut(p, "/")
		if !glob(want, kind) {
			continue
		}
		if !precise || glob(instance, name) {
			return true
		}
	}
	return false
}

// glob is path.Match in which "*" crosses slashes; what is equal matches, also
// where brackets are those of an address.
func glob(pattern, s string) bool {
	if pattern == s {
		return true
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(s, "/", "\x01"))
	return ok && err == nil
}
