package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"vitals/push/codec"
)

// section is one family of an exposition: of ours (metrics) or of groups (parts).
type section struct {
	head    *dto.MetricFamily // without metrics
	metrics []*dto.Metric
	parts   []*family
}

const chunk = 256 // metrics that are decoded at a time

// each calls f with the metrics, some at a time.
func (s section) each(f func([]*dto.Metric) error) error {
	if len(s.metrics) > 0 {
		return f(s.metrics)
	}
	some := make([]*dto.Metric, 0, chunk)
	for _, p := range s.parts {
		err := eachMetric(p.metrics, func(m *dto.Metric) error {
			if some = append(some, m); len(some) < chunk {
				return nil
			}
			err := f(some)
			some = some[:0]
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(some) == 0 {
		return nil
	}
	return f(some)
}

// sections gives everything that is exposed now, sorted by name. Only the
// pointers are taken under the lock: families never change.
func (g *Gateway) sections() ([]section, error) {
	own, err := g.own.families()
	if err != nil {
		return nil, err
	}
	var out []section
	for _, f := range own {
		out = append(out, section{metrics: f.Metric, head: &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type}})
	}
	g.mu.RLock()
	for name, n := range g.state.names {
		first := n.owners[0].family
		s := section{parts: make([]*family, 0, len(n.owners)), head: &dto.MetricFamily{Name: &name, Help: &first.help, Type: n.kind.Enum()}}
		if first.unit != "" {
			s.head.Unit = &first.unit
		}
		for _, o := range n.owners {
			if o.family.kind == n.kind {
				s.parts = append(s.parts, o.family)
			} else {
				g.own.hidden.Add(float64(len(o.family.hashes)))
			}
		}
		out = append(out, s)
	}
	out = append(out, g.times()...)
	g.mu.RUnlock()
	slices.SortFunc(out, func(a, b section) int { return strings.Compare(a.head.GetName(), b.head.GetName()) })
	return out, nil
}

// Help of what the gateway adds to every group, as Pushgateways have it.
const (
	pushTimeHelp    = "Last Unix time when changing this group in the Pushgateway succeeded."
	failureTimeHelp = "Last Unix time when changing this group in the Pushgateway failed."
	expiredHelp     = "When a group was removed since it was not pushed to for its time to live, in Unix time. Gone when it comes back."
)

// times gives push times and tombstones. It is called under the lock.
func (g *Gateway) times() (out []section) {
	var pushed, failed, expired []*dto.Metric
	for _, grp := range g.state.sorted() {
		labels := keyLabels(grp.key)
		if len(labels) == len(grp.key) && g.state.twin(grp.key) != nil {
			continue // unchecked: one series for both
		}
		pushed = append(pushed, unixGauge(labels, grp.content.pushed))
		failed = append(failed, unixGauge(labels, grp.content.failed))
	}
	for _, t := range g.state.tombs {
		expired = append(expired, unixGauge(keyLabels(t.key), t.at.UnixNano()))
	}
	add := func(name, help string, metrics []*dto.Metric) {
		if len(metrics) > 0 {
			head := &dto.MetricFamily{Name: proto.String(name), Help: proto.String(help), Type: dto.MetricType_GAUGE.Enum()}
			out = append(out, section{head: head, metrics: metrics})
		}
	}
	add(pushTime, pushTimeHelp, pushed)
	add(failureTime, failureTimeHelp, failed)
	add(ownPrefix+"group_expired_time_seconds", expiredHelp, expired)
	return out
}

func unixGauge(labels []*dto.LabelPair, ns int64) *dto.Metric {
	return &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: proto.Float64(float64(ns) / 1e9)}}
}

// metrics serves what Prometheus scrapes.
func (g *Gateway) metrics(w http.ResponseWriter, r *http.Request) {
	all, err := g.sections()
	if err != nil {
		answer(w, r, err)
		return
	}
	format := negotiate(r.Header, all)
	w.Header().Set("Content-Type", format.ContentType())
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	out, done, err := compressed(w, r.Header.Get("Accept-Encoding"))
	if err == nil {
		err = writeSections(out, format, all)
	}
	if err == nil {
		err = done()
	}
	if err != nil {
		// What was sent so far must not pass for a whole exposition.
		g.Log.Debug("exposition broke off", "to", r.RemoteAddr, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// negotiate chooses the format. OpenMetrics would rename counters that do not
// end in _total, so it is spoken only when there are none.
func negotiate(h http.Header, all []section) codec.Format {
	accept := h.Get("Accept")
	if strings.HasPrefix(strings.TrimSpace(accept), "application/json") {
		return codec.JSON
	}
	renamed := slices.ContainsFunc(all, func(s section) bool {
		return s.head.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(s.head.GetName(), "_total")
	})
	format := expfmt.Negotiate(h)
	if !renamed {
		format = expfmt.NegotiateIncludingOpenMetrics(h)
	}
	switch format.FormatType() {
	case expfmt.TypeProtoDelim:
		return codec.Protobuf
	case expfmt.TypeOpenMetrics:
		return codec.OpenMetrics
	}
	return codec.Text
}

// compressed wraps w in what the client reads; done ends it.
func compressed(w http.ResponseWriter, accepted string) (out io.Writer, done func() error, err error) {
	var z interface {
		io.Writer
		Close() error
	}
	encoding := ""
	switch {
	case accepts(accepted, "zstd"):
		encoding = "zstd"
		z, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	case accepts(accepted, "gzip"):
		encoding = "gzip"
		z, err = gzip.NewWriterLevel(w, gzip.BestSpeed)
	default:
		buffer := bufio.NewWriterSize(w, 64<<10)
		return buffer, buffer.Flush, nil
	}
	w.Header().Set("Content-Encoding", encoding)
	return z, func() error { return z.Close() }, err
}

func accepts(header, encoding string) bool {
	for one := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(one), ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}

func writeSections(w io.Writer, format codec.Format, all []section) error {
	switch format {
	case codec.Protobuf:
		for _, s := range all {
			if err := writeProtobuf(w, s); err != nil {
				return err
			}
		}
		return nil
	case codec.JSON:
		return writeJSON(w, all)
	}
	write := expfmt.MetricFamilyToText
	if format == codec.OpenMetrics {
		write = func(w io.Writer, f *dto.MetricFamily) (int, error) { return expfmt.MetricFamilyToOpenMetrics(w, f) }
	}
	var buf bytes.Buffer
	for _, s := range all {
		if err := writeText(w, &buf, s, write); err != nil {
			return err
		}
	}
	if format == codec.OpenMetrics {
		_, err := expfmt.FinalizeOpenMetrics(w)
		return err
	}
	return nil
}

// writeText writes a family piece by piece. The pieces after the first have a
// TYPE line only, which is cut off.
func writeText(w io.Writer, buf *bytes.Buffer, s section, write func(io.Writer, *dto.MetricFamily) (int, error)) error {
	first := true
	return s.each(func(metrics []*dto.Metric) error {
		f := &dto.MetricFamily{Name: s.head.Name, Type: s.head.Type, Metric: metrics}
		if first {
			f.Help, f.Unit = s.head.Help, s.head.Unit
			if f.GetHelp() == "" {
				f.Help = nil
			}
		}
		buf.Reset()
		if _, err := write(buf, f); err != nil {
			return err
		}
		if !first {
			_, _ = buf.ReadBytes('\n')
		}
		first = false
		_, err := w.Write(buf.Bytes())
		return err
	})
}

// writeProtobuf copies what is kept: it is in this form already.
func writeProtobuf(w io.Writer, s section) error {
	head := &dto.MetricFamily{Name: s.head.Name, Help: s.head.Help, Type: s.head.Type, Unit: s.head.Unit, Metric: s.metrics}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(head)
	if err != nil {
		return err
	}
	size := len(b)
	for _, p := range s.parts {
		size += len(p.metrics)
	}
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(size))); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	for _, p := range s.parts {
		if _, err := w.Write(p.metrics); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(w io.Writer, all []section) error {
	families := make([]*dto.MetricFamily, 0, len(all))
	for _, s := range all {
		if err := s.each(func(metrics []*dto.Metric) error {
			s.head.Metric = append(s.head.Metric, metrics...)
			return nil
		}); err != nil {
			return err
		}
		families = append(families, s.head)
	}
	return codec.Encode(w, codec.JSON, families)
}

// labelMap gives labels by name.
func labelMap(pairs []*dto.LabelPair) map[string]string {
	return maps.Collect(func(yield func(string, string) bool) {
		for _, l := range pairs {
			if !yield(l.GetName(), l.GetValue()) {
				return
			}
		}
	})
}
