package expose

import (
	"bytes"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// Catalogue lists what s is exposed as, by name, with at most lines lines of
// text for each family. It costs as much as exposing: for one who looks, not for
// a loop.
func Catalogue(s *core.Snapshot, lines int) []core.MetricInfo {
	families := Families(s)
	out := make([]core.MetricInfo, 0, len(families))
	var text bytes.Buffer
	for _, f := range families {
		info := core.MetricInfo{Name: f.GetName(), Help: f.GetHelp(), Type: strings.ToLower(f.GetType().String()), Series: len(f.GetMetric())}
		for _, m := range f.GetMetric() {
			info.Samples += samples(m)
		}
		few := &dto.MetricFamily{Name: f.Name, Type: f.Type, Metric: f.Metric[:min(len(f.Metric), lines)]}
		text.Reset()
		if WriteText(&text, []*dto.MetricFamily{few}) == nil {
			for line := range strings.Lines(text.String()) {
				if !strings.HasPrefix(line, "#") && len(info.Lines) < lines {
					info.Lines = append(info.Lines, strings.TrimSuffix(line, "\n"))
				}
			}
		}
		out = append(out, info)
	}
	return out
}

// samples is how many lines of text a metric takes.
func samples(m *dto.Metric) int {
	switch {
	case m.Histogram != nil:
		n := len(m.Histogram.Bucket)
		if n == 0 || !isInf(m.Histogram.Bucket[n-1].GetUpperBound()) {
			n++ // +Inf is written even if it is not there
		}
		return n + 2
	case m.Summary != nil:
		return len(m.Summary.Quantile) + 2
	}
	return 1
}

func isInf(v float64) bool { return v > 1.7e308 }
