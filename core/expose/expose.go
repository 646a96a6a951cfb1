// Package expose renders a snapshot: Prometheus text, OpenMetrics, delimited
// protobuf, the JSON interface and a table for people. The same snapshot gives
// the same bytes.
package expose

import (
	"fmt"
	"io"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"vitals/core"
)

// Options choose what is exposed. The zero value is the default.
type Options struct {
	// AllProcesses exposes process metrics of every service, not only of those
	// that serve, make requests, listen or were switched on.
	AllProcesses bool
}

// Families renders s as metric families, sorted by name, their metrics sorted
// by labels. The caller may add, remove and replace families, metrics and
// labels; what pointers point to is shared and must not be written.
func Families(s *core.Snapshot) []*dto.MetricFamily { return Options{}.Families(s) }

// WriteText writes the Prometheus text format.
func WriteText(w io.Writer, families []*dto.MetricFamily) error {
	return encode(w, families, expfmt.NewFormat(expfmt.TypeTextPlain))
}

// WriteOpenMetrics writes the OpenMetrics text format, closed with # EOF.
func WriteOpenMetrics(w io.Writer, families []*dto.MetricFamily) error {
	return encode(w, families, expfmt.NewFormat(expfmt.TypeOpenMetrics))
}

// WriteDelimited writes length-delimited protobuf messages.
func WriteDelimited(w io.Writer, families []*dto.MetricFamily) error {
	return encode(w, families, expfmt.NewFormat(expfmt.TypeProtoDelim))
}

func encode(w io.Writer, families []*dto.MetricFamily, format expfmt.Format) error {
	enc := expfmt.NewEncoder(w, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("encode %s: %w", f.GetName(), err)
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			return fmt.Errorf("close exposition: %w", err)
		}
	}
	return nil
}
