package gateway

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// ownMetrics are what the gateway tells of itself, all with ownPrefix.
type ownMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.SummaryVec
	size     *prometheus.SummaryVec
	refused  *prometheus.CounterVec
	sinks    prometheus.Counter
	hidden   prometheus.Counter
	commit   prometheus.Summary
}

func newOwnMetrics(g *Gateway) *ownMetrics {
	objectives := map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001}
	summary := func(name, help string) prometheus.SummaryOpts {
		return prometheus.SummaryOpts{Name: ownPrefix + name, Help: help, Objectives: objectives}
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: ownPrefix + name, Help: help}
	}
	m := &ownMetrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(counter("http_requests_total", "HTTP requests by handler, method and status."), []string{"code", "handler", "method"}),
		duration: prometheus.NewSummaryVec(summary("http_push_duration_seconds", "Time of pushes, reading and storing included."), []string{"method"}),
		size:     prometheus.NewSummaryVec(summary("http_push_size_bytes", "Bytes of pushes as sent."), []string{"method"}),
		refused:  prometheus.NewCounterVec(counter("pushes_refused_total", "Pushes that were refused, by status."), []string{"code"}),
		sinks:    prometheus.NewCounter(counter("sink_failures_total", "Messages that a sink did not take.")),
		hidden:   prometheus.NewCounter(counter("metrics_hidden_total", "Metrics left out of an exposition since another group has the name with another type (unchecked pushes only).")),
		commit:   prometheus.NewSummary(summary("store_commit_seconds", "Time to store a batch of changes.")),
	}
	m.registry.MustRegister(m.requests, m.duration, m.size, m.refused, m.sinks, m.hidden, m.commit)
	m.gauges(g)
	return m
}

func (m *ownMetrics) gauges(g *Gateway) {
	add := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ownPrefix + name, Help: help}, value))
	}
	count := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: ownPrefix + name, Help: help}, value))
	}
	locked := func(f func(*state) float64) func() float64 {
		return func() float64 {
			g.mu.RLock()
			defer g.mu.RUnlock()
			return f(g.state)
		}
	}
	add("groups", "Groups that are kept.", locked(func(s *state) float64 { return float64(len(s.groups)) }))
	add("series", "Series that are kept.", locked(func(s *state) float64 { return float64(s.count) }))
	add("families", "Names of metrics that are kept.", locked(func(s *state) float64 { return float64(len(s.names)) }))
	add("stored_bytes", "Bytes of the metrics that are kept, in memory.", locked(func(s *state) float64 { return float64(s.bytes) }))
	count("groups_expired_total", "Groups that ended by their time to live.", locked(func(s *state) float64 { return float64(s.expired) }))
	add("queue_length", "Changes that wait for the writer.", func() float64 { return float64(len(g.queue)) })
	add("queue_capacity", "Changes that may wait.", func() float64 { return float64(cap(g.queue)) })
	add("bodies_bytes", "Bytes of request bodies in memory.", func() float64 { return float64(g.intake.held.Load()) })
	add("start_time_seconds", "When this gateway started, in Unix time.", func() float64 { return float64(g.started.UnixNano()) / 1e9 })
	if d, ok := g.Store.(*DiskStore); ok {
		count("store_quarantined_total", "Stored groups that were damaged and set aside.", func() float64 { return float64(d.Quarantined()) })
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: ownPrefix + "build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": g.Version, "goversion": runtime.Version()}})
	info.Set(1)
	m.registry.MustRegister(info)
}

func (m *ownMetrics) families() ([]*dto.MetricFamily, error) { return m.registry.Gather() }
