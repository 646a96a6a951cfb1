package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// decodeOpenMetrics reads OpenMetrics by rewriting it, line by line, as the text
// format that a parser exists for: counters keep their _total, info and stateset
// become gauges, the parts of a gauge histogram untyped, created times and units
// go where they belong. Exemplars are left out.
func decodeOpenMetrics(body []byte, o Options, visit func(*dto.MetricFamily) error) error {
	m := &openMetrics{types: map[string]string{}, units: map[string]string{}}
	if err := m.rewrite(string(body)); err != nil {
		return err
	}
	families, err := parseText(&m.out, o)
	if err != nil {
		return err
	}
	if err := m.finish(families); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if err := visit(families[name]); err != nil {
			return err
		}
	}
	return nil
}

type openMetrics struct {
	types, units map[string]string // by name of the family
	out          bytes.Buffer
	ended        bool
}

func (m *openMetrics) rewrite(body string) error {
	if body == "" {
		return nil
	}
	body = strings.TrimSuffix(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
	if body != "# EOF" && !strings.HasSuffix(body, "\n# EOF") {
		return fmt.Errorf("unexpected end of input, OpenMetrics ends in # EOF: %w", io.ErrUnexpectedEOF)
	}
	// Types first: a HELP line comes before or after its TYPE line.
	n := 0
	for line := range strings.Lines(body) {
		n++
		if word := strings.Fields(line); len(word) == 4 && word[0] == "#" && word[1] == "TYPE" {
			if _, twice := m.types[word[2]]; twice {
				return fmt.Errorf("line %d: second TYPE line for %s", n, word[2])
			}
			m.types[word[2]] = word[3]
		}
	}
	n = 0
	for line := range strings.Lines(body) {
		n++
		if err := m.line(strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		m.out.WriteByte('\n') // keeps the numbers of lines for the parser's errors
	}
	return nil
}

func (m *openMetrics) line(line string) error {
	if m.ended {
		return errors.New("something follows # EOF")
	}
	if !strings.HasPrefix(line, "#") {
		return m.sample(line)
	}
	word := strings.SplitN(line, " ", 4)
	if len(word) < 4 {
		m.ended = line == "# EOF"
		return nil
	}
	name, text := word[2], word[3]
	switch word[1] {
	case "UNIT":
		m.units[name] = text
	case "HELP":
		fmt.Fprintf(&m.out, "# HELP %s %s", m.rename(name), unescapeQuotes(text))
	case "TYPE":
		kind, ok := map[string]string{
			"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary",
			"unknown": "untyped", "info": "gauge", "stateset": "gauge", "gaugehistogram": "",
		}[text]
		if !ok {
			return fmt.Errorf("unknown metric type %q", text)
		}
		if kind != "" {
			fmt.Fprintf(&m.out, "# TYPE %s %s", m.rename(name), kind)
		}
	}
	return nil
}

// rename gives the name that the family has in the text format.
func (m *openMetrics) rename(family string) string {
	switch m.types[family] {
	case "counter":
		return family + "_total"
	case "info":
		return family + "_info"
	}
	return family
}

// unescapeQuotes turns \" into ", which the text format does not escape in a help.
func unescapeQuotes(s string) string {
	if !strings.Contains(s, `\"`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] != '"' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// sample copies name and labels, leaves out the exemplar and turns seconds of a
// timestamp into milliseconds.
func (m *openMetrics) sample(line string) error {
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return errors.New("a sample has a name, labels and a value")
	}
	if line[end] == '{' {
		n := endOfLabels(line[end:])
		if n < 0 {
			return errors.New("the labels do not end")
		}
		end += n
	}
	rest, _, _ := strings.Cut(line[end:], "#")
	word := strings.Fields(rest)
	m.out.WriteString(line[:end])
	switch len(word) {
	case 1:
		fmt.Fprintf(&m.out, " %s", word[0])
	case 2:
		at, err := strconv.ParseFloat(word[1], 64)
		if err != nil || math.Abs(at) > 1e15 || math.IsNaN(at) {
			return fmt.Errorf("%q is not a timestamp", word[1])
		}
		fmt.Fprintf(&m.out, " %s %d", word[0], int64(math.Round(at*1000)))
	default:
		return errors.New("a sample has one value, and a timestamp at most")
	}
	return nil
}

// endOfLabels gives the length of {name="value",...} at the beginning of s, -1 when
// it does not end.
func endOfLabels(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i + 1
		}
	}
	return -1
}

// finish sets units and moves created times into the metrics they are about.
func (m *openMetrics) finish(families map[string]*dto.MetricFamily) error {
	for name, unit := range m.units {
		if f := families[m.rename(name)]; f != nil {
			f.Unit = &unit
		}
	}
	for name, kind := range m.types {
		if kind != "counter" && kind != "histogram" && kind != "summary" {
			continue
		}
		created := families[name+"_created"]
		if _, own := m.types[name+"_created"]; created == nil || own {
			continue
		}
		delete(families, name+"_created")
		if err := setCreated(families[m.rename(name)], created); err != nil {
			return fmt.Errorf("%s_created: %w", name, err)
		}
	}
	return nil
}

func setCreated(f, created *dto.MetricFamily) error {
	byLabels := make(map[string]*dto.Metric, len(f.GetMetric()))
	for _, metric := range f.GetMetric() {
		byLabels[labelKey(metric)] = metric
	}
	for _, c := range created.Metric {
		seconds := c.GetUntyped().GetValue()
		if !(seconds >= 0 && seconds < 1e11) {
			return fmt.Errorf("%v is not a time", seconds)
		}
		whole, part := math.Modf(seconds)
		at := &timestamppb.Timestamp{Seconds: int64(whole), Nanos: int32(part * 1e9)}
		metric := byLabels[labelKey(c)]
		switch {
		case metric == nil:
			return errors.New("there is no series of the same labels")
		case metric.Counter != nil:
			metric.Counter.CreatedTimestamp = at
		case metric.Histogram != nil:
			metric.Histogram.CreatedTimestamp = at
		case metric.Summary != nil:
			metric.Summary.CreatedTimestamp = at
		}
	}
	return nil
}

func labelKey(m *dto.Metric) string {
	pairs := make([]string, len(m.Label))
	for i, l := range m.Label {
		pairs[i] = l.GetName() + "\xff" + l.GetValue()
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "\xff")
}
