package gateway

import (
	"bufio"
	"encoding/json"
	"net/http"
	"runtime"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// The JSON API, version 1, in the form of Pushgateways.

func (g *Gateway) apiStatus(w http.ResponseWriter, _ *http.Request) {
	flags := g.Flags
	if flags == nil {
		flags = map[string]string{}
	}
	head(w)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{
		"build_information": map[string]string{"version": g.Version, "goVersion": runtime.Version()},
		"flags":             flags,
		"start_time":        g.started.UTC().Format(time.RFC3339Nano),
	}})
}

func head(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
}

// Group is what the gateway tells of a group.
type Group struct {
	Key             Key
	Pushed, Failed  time.Time // zero: never
	LastError       string
	Families        int
	Series          int
	Bytes           int // as kept in memory
	TTL             time.Duration
	Expires         time.Time // zero: never
	families        []*family
	pushed, failing int64
}

// Groups lists all groups, sorted by key.
func (g *Gateway) Groups() []Group {
	g.mu.RLock()
	defer g.mu.RUnlock()
	all := g.state.sorted()
	out := make([]Group, 0, len(all))
	for _, grp := range all {
		c := grp.content
		v := Group{
			Key: grp.key, Pushed: moment(c.pushed), Failed: moment(c.failed), LastError: c.lastError,
			Families: len(c.families), TTL: c.ttl, Expires: grp.expires,
			families: c.families, pushed: c.pushed, failing: c.failed,
		}
		for _, f := range c.families {
			v.Series += len(f.hashes)
			v.Bytes += f.bytes()
		}
		out = append(out, v)
	}
	return out
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// apiMetrics writes group after group, so that only one is decoded at a time.
func (g *Gateway) apiMetrics(w http.ResponseWriter, r *http.Request) {
	groups := g.Groups()
	head(w)
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString(`{"status":"success","data":[`)
	for i, grp := range groups {
		if i > 0 {
			out.WriteByte(',')
		}
		object, err := grp.object()
		if err == nil {
			var b []byte
			if b, err = json.Marshal(object); err == nil {
				_, err = out.Write(b)
			}
		}
		if err != nil {
			g.Log.Debug("answer broke off", "to", r.RemoteAddr, "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	out.WriteString("]}\n")
	_ = out.Flush()
}

type apiFamily struct {
	Timestamp time.Time        `json:"time_stamp"`
	Type      string           `json:"type"`
	Help      string           `json:"help,omitempty"`
	Metrics   []map[string]any `json:"metrics"`
}

func (grp Group) object() (map[string]any, error) {
	out := map[string]any{}
	for _, f := range grp.families {
		a := apiFamily{Timestamp: time.Unix(0, f.at).UTC(), Type: f.kind.String(), Help: f.help, Metrics: []map[string]any{}}
		err := eachMetric(f.metrics, func(m *dto.Metric) error {
			a.Metrics = append(a.Metrics, apiMetric(m))
			return nil
		})
		if err != nil {
			return nil, err
		}
		out[f.name] = a
	}
	last := time.Unix(0, max(grp.pushed, grp.failing)).UTC()
	labels := keyLabels(grp.Key)
	for name, t := range map[string]struct {
		help string
		ns   int64
	}{pushTime: {pushTimeHelp, grp.pushed}, failureTime: {failureTimeHelp, grp.failing}} {
		out[name] = apiFamily{Timestamp: last, Type: "GAUGE", Help: t.help, Metrics: []map[string]any{apiMetric(unixGauge(labels, t.ns))}}
	}
	key := map[string]string{}
	for _, l := range grp.Key {
		key[l.Name] = l.Value
	}
	out["labels"] = key
	out["last_push_successful"] = grp.pushed > 0 && grp.pushed >= grp.failing
	return out, nil
}

func apiMetric(m *dto.Metric) map[string]any {
	out := map[string]any{"labels": labelMap(m.Label)}
	switch {
	case m.Counter != nil:
		out["value"] = number(m.Counter.GetValue())
	case m.Gauge != nil:
		out["value"] = number(m.Gauge.GetValue())
	case m.Untyped != nil:
		out["value"] = number(m.Untyped.GetValue())
	case m.Summary != nil:
		quantiles := map[string]string{}
		for _, q := range m.Summary.Quantile {
			quantiles[number(q.GetQuantile())] = number(q.GetValue())
		}
		out["quantiles"], out["count"], out["sum"] = quantiles, strconv.FormatUint(m.Summary.GetSampleCount(), 10), number(m.Summary.GetSampleSum())
	case m.Histogram != nil:
		buckets := map[string]string{}
		for _, b := range m.Histogram.Bucket {
			buckets[number(b.GetUpperBound())] = strconv.FormatUint(b.GetCumulativeCount(), 10)
		}
		out["buckets"], out["count"], out["sum"] = buckets, strconv.FormatUint(m.Histogram.GetSampleCount(), 10), number(m.Histogram.GetSampleSum())
	}
	return out
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
