package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitals/core"
)

// textPage reads the text format and OpenMetrics, which differ in how counters
// are named, in units of time, and in that the latter says where it ends.
type textPage struct {
	*builder
	open bool // OpenMetrics
	// The family that the newest TYPE announced.
	name, kind string
	help       map[string]string
	ended      bool
}

// sample is one line.
type sample struct {
	name   string
	labels []core.Label
	v      float64
	at     time.Time
}

func parseText(page string, openMetrics bool) ([]core.Family, error) {
	p := &textPage{builder: newBuilder(), open: openMetrics, help: map[string]string{}}
	n := 0
	for line := range strings.SplitSeq(page, "\n") {
		n++
		line = strings.TrimRight(line, "\r")
		if line == "" || p.ended {
			continue
		}
		var err error
		if line[0] == '#' {
			p.comment(line)
		} else {
			err = p.line(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if openMetrics && !p.ended {
		return nil, fmt.Errorf("%w: it is cut (there is no # EOF)", errPage)
	}
	return p.done(), nil
}

func (p *textPage) comment(line string) {
	words := strings.SplitN(strings.TrimLeft(line[1:], " \t"), " ", 3)
	switch {
	case words[0] == "EOF" && p.open:
		p.ended = true
	case len(words) < 3:
	case words[0] == "HELP" && len(p.help) < maxFamilies:
		p.help[unquoted(words[1])] = unescape(words[2])
	case words[0] == "TYPE":
		p.name, p.kind = unquoted(words[1]), strings.TrimSpace(words[2])
	}
}

func unquoted(name string) string { return strings.Trim(name, `"`) }

func (p *textPage) line(line string) error {
	if err := p.sum(); err != nil {
		return err
	}
	s, err := p.sample(line)
	if err != nil {
		return err
	}
	suffix, ok := strings.CutPrefix(s.name, p.name)
	if !ok || p.name == "" {
		return p.plain(s, core.Untyped)
	}
	switch p.kind {
	case "histogram":
		return p.histogram(s, suffix)
	case "summary":
		return p.summary(s, suffix)
	case "counter":
		switch {
		case suffix == "_created" && p.open:
			return p.created(s)
		case suffix == "" && !p.open, suffix == "_total" && p.open:
			return p.plain(s, core.Counter)
		}
	case "gauge", "stateset", "info", "gaugehistogram":
		if suffix == "" || p.open {
			return p.plain(s, core.Gauge)
		}
	}
	return p.plain(s, core.Untyped)
}

func (p *textPage) plain(s sample, kind core.MetricKind) error {
	help, ok := p.help[s.name]
	if !ok {
		help = p.help[p.name]
	}
	i, err := p.family(s.name, help, kind)
	if err != nil {
		return err
	}
	p.families[i].Series = append(p.families[i].Series, core.Series{Labels: s.labels, V: s.v, At: s.at})
	return nil
}

// created tells when the counter of the line before began.
func (p *textPage) created(s sample) error {
	i, ok := p.index[p.name+"_total"]
	if !ok {
		return nil
	}
	for k := len(p.families[i].Series) - 1; k >= 0; k-- {
		if slices.Equal(p.families[i].Series[k].Labels, s.labels) {
			p.families[i].Series[k].Created = moment(s.v)
			return nil
		}
	}
	return nil
}

// compound finds or makes the series that a line of a histogram or summary
// belongs to; named is taken out of its labels.
func (p *textPage) compound(s sample, kind core.MetricKind, named string) (*core.Series, string, error) {
	value := ""
	labels := s.labels[:0:0]
	for _, l := range s.labels {
		if l.Name == named {
			value = l.Value
			continue
		}
		labels = append(labels, l)
	}
	i, err := p.family(p.name, p.help[p.name], kind)
	if err != nil {
		return nil, "", err
	}
	if p.families[i].Kind != kind {
		return nil, "", fmt.Errorf("%w: %s has two types", errPage, core.Clean(p.name, core.MaxName))
	}
	k := key(p.name, labels)
	at, ok := p.series[k]
	if !ok {
		at = place{i, len(p.families[i].Series)}
		p.series[k] = at
		fresh := core.Series{Labels: labels, At: s.at}
		if kind == core.Histogram {
			fresh.Buckets = &core.Buckets{Sum: math.NaN()}
		} else {
			fresh.Ranks = &core.Ranks{Sum: math.NaN()}
		}
		p.families[i].Series = append(p.families[i].Series, fresh)
	}
	return &p.families[i].Series[at.series], value, nil
}

func (p *textPage) histogram(s sample, suffix string) error {
	if suffix != "_bucket" && suffix != "_sum" && suffix != "_count" && suffix != "_created" {
		return p.plain(s, core.Untyped)
	}
	series, le, err := p.compound(s, core.Histogram, "le")
	if err != nil {
		return err
	}
	switch h := series.Buckets; suffix {
	case "_sum":
		h.Sum = s.v
	case "_count":
		h.Count = s.v
	case "_created":
		series.Created = moment(s.v)
	default:
		upper, err := number(le)
		if err != nil || len(h.Classic) == maxBuckets {
			return fmt.Errorf("%w: a bucket up to %q, or more than %d", errPage, core.Clean(le, 32), maxBuckets)
		}
		h.Classic = append(h.Classic, core.Bucket{Upper: upper, Count: s.v})
		if math.IsInf(upper, 1) && h.Count == 0 {
			h.Count = s.v
		}
	}
	return nil
}

func (p *textPage) summary(s sample, suffix string) error {
	if suffix != "" && suffix != "_sum" && suffix != "_count" && suffix != "_created" {
		return p.plain(s, core.Untyped)
	}
	series, quantile, err := p.compound(s, core.Summary, "quantile")
	if err != nil {
		return err
	}
	switch r := series.Ranks; suffix {
	case "_sum":
		r.Sum = s.v
	case "_count":
		r.Count = s.v
	case "_created":
		series.Created = moment(s.v)
	default:
		q, err := number(quantile)
		if err != nil || len(r.Quantiles) == maxBuckets {
			return fmt.Errorf("%w: a quantile %q, or more than %d", errPage, core.Clean(quantile, 32), maxBuckets)
		}
		r.Quantiles = append(r.Quantiles, core.Rank{Q: q, V: s.v})
	}
	return nil
}

// moment is a Unix time in seconds.
func moment(seconds float64) time.Time {
	if math.IsNaN(seconds) || seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// sample reads a line: name{label="value",...} value [time] [# exemplar].
func (p *textPage) sample(line string) (sample, error) {
	var s sample
	end := strings.IndexAny(line, "{ \t")
	if end < 0 {
		return s, broken(line)
	}
	s.name = strings.Clone(line[:end])
	rest := line[end:]
	if rest[0] == '{' {
		var err error
		if s, rest, err = labels(s, rest[1:]); err != nil {
			return s, broken(line)
		}
	}
	if s.name == "" {
		return s, broken(line)
	}
	if i := strings.Index(rest, " # "); i >= 0 && p.open {
		rest = rest[:i]
	}
	words := strings.Fields(rest)
	if len(words) < 1 || len(words) > 2 {
		return s, broken(line)
	}
	var err error
	if s.v, err = number(words[0]); err != nil {
		return s, broken(line)
	}
	if len(words) == 2 {
		t, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return s, broken(line)
		}
		if !p.open {
			t /= 1000
		}
		s.at = moment(t)
	}
	return s, nil
}

func broken(line string) error {
	return fmt.Errorf("%w: %q is no sample", errPage, core.Clean(line, 64))
}

// labels reads what stands between braces; a quoted word without a value is the
// name of the metric.
func labels(s sample, rest string) (sample, string, error) {
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if after, ok := strings.CutPrefix(rest, "}"); ok {
			return s, after, nil
		}
		var name string
		var err error
		if strings.HasPrefix(rest, `"`) {
			if name, rest, err = quoted(rest); err != nil {
				return s, "", err
			}
		} else {
			end := strings.IndexAny(rest, "= \t}")
			if end <= 0 {
				return s, "", errPage
			}
			name, rest = strings.Clone(rest[:end]), rest[end:]
		}
		rest = strings.TrimLeft(rest, " \t")
		after, ok := strings.CutPrefix(rest, "=")
		if !ok {
			if s.name != "" {
				return s, "", errPage
			}
			s.name = name
			continue
		}
		var value string
		if value, rest, err = quoted(strings.TrimLeft(after, " \t")); err != nil || len(s.labels) == maxLabels {
			return s, "", errPage
		}
		s.labels = append(s.labels, core.Label{Name: own(name), Value: value})
	}
}

// quoted reads a word in quotes with escapes.
func quoted(s string) (word, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errPage
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[1:i]), s[i+1:], nil
		}
	}
	return "", "", errPage
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return strings.Clone(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case '\\', '"':
			b.WriteByte(s[i])
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// number reads a value: NaN and the infinities are values.
func number(s string) (float64, error) {
	if strings.ContainsAny(s, "_xXpP") { // what Go reads and the formats do not have
		return 0, errPage
	}
	return strconv.ParseFloat(s, 64)
}
