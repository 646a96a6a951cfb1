package push

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// payload is what one snapshot becomes for a destination.
type payload struct {
	families []*dto.MetricFamily
	series   uint64
	withheld int // families and metrics that a gateway must not be given
}

// prepare checks the families against the grouping key and leaves out what
// would make a destination refuse or spoil the whole push; a strict one is given
// no timestamps and no names of its own either. It modifies nothing.
func prepare(families []*dto.MetricFamily, group []Label, strict bool) (payload, error) {
	p := payload{families: make([]*dto.MetricFamily, 0, len(families))}
	seen := make(map[string]bool, len(families))
	for _, f := range families {
		name := f.GetName()
		if len(f.Metric) == 0 {
			continue
		}
		if strict && takenName(name) {
			p.withheld++
			continue
		}
		// In one body the later family of a name silently overwrites the earlier.
		if seen[name] {
			return payload{}, fmt.Errorf("family %q is there twice: a gateway would lose one of them", name)
		}
		seen[name] = true

		clean := true
		for _, m := range f.Metric {
			ok, err := checkMetric(name, m, group, strict)
			if err != nil {
				return payload{}, err
			}
			clean = clean && ok
		}
		if !clean {
			var dropped int
			if f, dropped = mended(f, group, strict); dropped > 0 {
				p.withheld += dropped
			}
			if len(f.Metric) == 0 {
				continue
			}
		}
		for _, m := range f.Metric {
			p.series += seriesOf(m)
		}
		p.families = append(p.families, f)
	}
	return p, nil
}

// checkMetric fails when a label of ours is also a grouping label, since a gateway
// would overwrite its value, and reports false when the metric needs mending.
func checkMetric(family string, m *dto.Metric, group []Label, strict bool) (clean bool, err error) {
	clean = m.TimestampMs == nil || !strict
	for _, l := range m.Label { // once: on large pushes the memory is what takes time
		name := l.GetName()
		for i := range group {
			if name == group[i].Name && foreign(m) {
				clean = false
			} else if name == group[i].Name {
				return false, fmt.Errorf("label %q of %s is also a grouping label: choose another name with --group", name, family)
			}
		}
		clean = clean && utf8.ValidString(l.GetValue())
	}
	return clean, nil
}

// validText matters because a gateway that took in one label that is not UTF-8
// refuses every later push and scrape, of everybody.
func validText(m *dto.Metric) bool {
	for _, l := range m.Label {
		if !utf8.ValidString(l.GetValue()) {
			return false
		}
	}
	return true
}

// mended returns a copy of f without the metrics that are not UTF-8, with foreign
// labels out of the way of grouping labels and, when strict, without timestamps.
func mended(f *dto.MetricFamily, group []Label, strict bool) (_ *dto.MetricFamily, dropped int) {
	c := &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	for _, m := range f.Metric {
		if !validText(m) {
			dropped++
			continue
		}
		if clashes(m, group) {
			m = exported(m, group)
		}
		if strict && m.TimestampMs != nil {
			m = &dto.Metric{
				Label: m.Label, Gauge: m.Gauge, Counter: m.Counter,
				Summary: m.Summary, Untyped: m.Untyped, Histogram: m.Histogram,
			}
		}
		c.Metric = append(c.Metric, m)
	}
	return c, dropped
}

// seriesOf counts the series that a metric becomes in Prometheus.
func seriesOf(m *dto.Metric) uint64 {
	switch {
	case m.Histogram != nil:
		buckets := m.Histogram.Bucket
		n := uint64(len(buckets)) + 2 // _sum and _count
		if len(buckets) == 0 || !math.IsInf(buckets[len(buckets)-1].GetUpperBound(), 1) {
			n++
		}
		return n
	case m.Summary != nil:
		return uint64(len(m.Summary.Quantile)) + 2
	}
	return 1
}

// takenName reports whether a Pushgateway, or a node_exporter that reads a text
// file, exposes a family of exactly this name itself: with another type or help
// it would make the one refuse the whole push, and the other fail its scrapes.
func takenName(name string) bool {
	switch {
	case strings.HasPrefix(name, "pushgateway_"), strings.HasPrefix(name, "go_memstats_"), strings.HasPrefix(name, "promhttp_"):
		return true
	}
	switch name {
	case "push_time_seconds", "push_failure_time_seconds",
		"go_gc_duration_seconds", "go_gc_gogc_percent", "go_gc_gomemlimit_bytes",
		"go_goroutines", "go_info", "go_sched_gomaxprocs_threads", "go_threads",
		"process_cpu_seconds_total", "process_max_fds", "process_open_fds",
		"process_network_receive_bytes_total", "process_network_transmit_bytes_total",
		"process_resident_memory_bytes", "process_start_time_seconds",
		"process_virtual_memory_bytes", "process_virtual_memory_max_bytes":
		return true
	}
	return false
}

// describe gives the size of a payload in words.
func (p payload) describe() string {
	s := fmt.Sprintf("%d series in %d families", p.series, len(p.families))
	if p.withheld > 0 {
		s += fmt.Sprintf(" (%d withheld: names that the receiver has itself, or text that is not UTF-8)", p.withheld)
	}
	return s
}

// cleanText makes a server's words fit for one line of a log or screen.
func cleanText(s string, limit int) string {
	return core.Clean(strings.Join(strings.Fields(s), " "), limit)
}
