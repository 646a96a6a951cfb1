// Package filter chooses metrics by family and label. It never writes to what
// it is given; results share the metrics that were kept.
package filter

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Op is how a Matcher compares.
type Op uint8

// The ways to compare. Regexp matches the whole text; Glob knows *, ? and [a-z],
// and its * matches slashes as well.
const (
	Equal Op = iota
	NotEqual
	Regexp
	NotRegexp
	Glob
	NotGlob
)

// Matcher compares one text with Value.
type Matcher struct {
	Op    Op
	Value string
}

// Rule describes metrics.
type Rule struct {
	// Drop makes what matches go; otherwise it is what is kept.
	Drop bool
	// Family matches the name; nil matches all.
	Family *Matcher
	// Labels must all match. A label that a metric does not have is empty.
	Labels map[string]Matcher
	// Exact matches only metrics that have no labels besides Labels. Without
	// Labels it matches metrics without labels.
	Exact bool
}

// Filter applies rules. It is immutable and safe for concurrent use.
type Filter struct{ keep, drop []rule }

type rule struct {
	family test
	labels []labelTest
	exact  bool
}

type labelTest struct {
	name string
	test test
}

type test func(string) bool

// New compiles rules. With any rule that keeps, only what one of them matches is
// kept; of that, what a dropping rule matches goes.
func New(rules ...Rule) (*Filter, error) {
	f := &Filter{}
	for i, r := range rules {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("filter rule %d: %w", i+1, err)
		}
		if r.Drop {
			f.drop = append(f.drop, c)
		} else {
			f.keep = append(f.keep, c)
		}
	}
	return f, nil
}

func compile(r Rule) (c rule, err error) {
	c.exact = r.Exact
	if r.Family != nil {
		if c.family, err = r.Family.compile(); err != nil {
			return c, fmt.Errorf("family: %w", err)
		}
	}
	for name, m := range r.Labels {
		t, err := m.compile()
		if err != nil {
			return c, fmt.Errorf("label %s: %w", name, err)
		}
		c.labels = append(c.labels, labelTest{name, t})
	}
	return c, nil
}

func (m Matcher) compile() (test, error) {
	switch m.Op {
	case Equal, NotEqual:
		return func(s string) bool { return (s == m.Value) == (m.Op == Equal) }, nil
	case Regexp, NotRegexp:
		re, err := regexp.Compile("^(?s:" + m.Value + ")$")
		if err != nil {
			return nil, err
		}
		return func(s string) bool { return re.MatchString(s) == (m.Op == Regexp) }, nil
	case Glob, NotGlob:
		// path.Match stops at slashes, which have no meaning in a label.
		flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
		pattern := flat(m.Value)
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", m.Value, err)
		}
		return func(s string) bool {
			ok, _ := path.Match(pattern, flat(s))
			return ok == (m.Op == Glob)
		}, nil
	}
	return nil, fmt.Errorf("operator %d is not one", m.Op)
}

// Apply returns what is kept, sorted by name, without families that have no
// metrics (left).
func (f *Filter) Apply(families []*dto.MetricFamily) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(families))
	for _, fam := range families {
		kept := f.metrics(fam)
		switch len(kept) {
		case 0:
		case len(fam.Metric):
			out = append(out, fam)
		default:
			out = append(out, &dto.MetricFamily{Name: fam.Name, Help: fam.Help, Type: fam.Type, Unit: fam.Unit, Metric: kept})
		}
	}
	slices.SortStableFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}

func (f *Filter) metrics(fam *dto.MetricFamily) []*dto.Metric {
	keep, drop := named(f.keep, fam), named(f.drop, fam)
	if len(f.keep) > 0 && len(keep) == 0 {
		return nil
	}
	if len(keep) == 0 && len(drop) == 0 {
		return fam.Metric
	}
	kept := make([]*dto.Metric, 0, len(fam.Metric))
	for _, m := range fam.Metric {
		matches := func(r rule) bool { return r.matches(m) }
		if (len(f.keep) == 0 || slices.ContainsFunc(keep, matches)) && !slices.ContainsFunc(drop, matches) {
			kept = append(kept, m)
		}
	}
	return kept
}

// named gives the rules whose family matches.
func named(rules []rule, fam *dto.MetricFamily) (out []rule) {
	for _, r := range rules {
		if r.family == nil || r.family(fam.GetName()) {
			out = append(out, r)
		}
	}
	return out
}

func (r rule) matches(m *dto.Metric) bool {
	present := 0
	for _, l := range r.labels {
		value := ""
		for _, p := range m.Label {
			if p.GetName() == l.name {
				value = p.GetValue()
				present++
				break
			}
		}
		if !l.test(value) {
			return false
		}
	}
	return !r.exact || present == len(m.Label)
}

// Gatherer filters what g gathers. As with any Gatherer, an error may come with
// the families that could be gathered.
func (f *Filter) Gatherer(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		return f.Apply(families), err
	})
}
