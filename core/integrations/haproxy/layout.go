package haproxy

import (
	"math"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

var (
	versionInfo = &kit.Metric{Name: "haproxy_version_info", Help: "What the server is; always 1", Kind: core.Gauge, Labels: []string{"release_date", "version"}}
	bootMetric  = &kit.Metric{Name: "haproxy_process_start_time_seconds", Help: "When the process started", Kind: core.Gauge}
)

// cell is a column of "show stat" as a metric of a sort of rows.
type cell struct {
	column string
	scale  float64
	code   string // of responses by status class
	metric *kit.Metric
}

// fact is a line of "show info" as a metric.
type fact struct {
	scale  float64
	metric *kit.Metric
}

// layout is where everything goes.
type layout struct {
	facts                      map[string]fact
	frontend, backend, servers []cell
	frontUp, backUp, serverUp  *kit.Metric
}

func newLayout() layout {
	up := func(of, help string, labels ...string) *kit.Metric {
		return &kit.Metric{Name: "haproxy_" + of + "_up", Help: help, Kind: core.Gauge, Labels: labels}
	}
	return layout{
		facts:    facts(),
		frontend: cells("frontend", frontendTable+sharedTable, "frontend"),
		backend:  cells("backend", backendTable+sharedTable+balancedTable, "backend"),
		servers:  cells("server", serverTable+sharedTable+balancedTable, "backend", "server"),
		frontUp:  up("frontend", "Whether a frontend is open", "frontend"),
		backUp:   up("backend", "Whether a backend is up", "backend"),
		serverUp: up("server", "Whether a server is up", "backend", "server"),
	}
}

func kindOf(name string) core.MetricKind {
	if strings.HasSuffix(name, "_total") {
		return core.Counter
	}
	return core.Gauge
}

func scaleOf(unit string) float64 {
	switch unit {
	case "ms":
		return 1e-3
	case "MB":
		return 1 << 20
	}
	return 1
}

// cells makes columns of a table whose lines are: column(/unit), metric, help.
func cells(of, table string, labels ...string) (out []cell) {
	responses := &kit.Metric{Name: "haproxy_" + of + "_http_responses_total", Help: "Responses by the class of their status", Kind: core.Counter,
		Labels: append([]string{"code"}, labels...)}
	for line := range strings.Lines(table) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			continue
		}
		column, unit, _ := strings.Cut(words[0], "/")
		name := "haproxy_" + of + "_" + words[1]
		if of == "server" && words[1] == "server_selected_total" {
			name = "haproxy_server_server_selected_total"
		}
		out = append(out, cell{column: column, scale: scaleOf(unit), metric: &kit.Metric{Name: name, Help: words[2], Kind: kindOf(name), Labels: labels}})
	}
	for _, code := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
		out = append(out, cell{column: "hrsp_" + code, scale: 1, code: code, metric: responses})
	}
	return out
}

func facts() map[string]fact {
	out := map[string]fact{}
	for line := range strings.Lines(infoTable) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			continue
		}
		key, unit, _ := strings.Cut(words[0], "/")
		name := "haproxy_process_" + words[1]
		out[key] = fact{scale: scaleOf(unit), metric: &kit.Metric{Name: name, Help: words[2], Kind: kindOf(name)}}
	}
	return out
}

// info tells the answer to "show info".
func (l *layout) info(answer []byte, b *kit.Batch) {
	version, released := "", ""
	eachInfo(answer, func(k, v []byte) {
		switch string(k) {
		case "Version":
			version = string(v)
		case "Release_date":
			released = string(v)
		case "Start_time_sec":
			add(b, bootMetric, number(v))
		}
		if f, ok := l.facts[string(k)]; ok {
			add(b, f.metric, number(v)*f.scale)
		}
	})
	if version != "" {
		b.Add(versionInfo, 1, released, version)
	}
}

// stat tells the answer to "show stat".
func (l *layout) stat(t *table, b *kit.Batch) {
	for t.next() {
		proxy, server := string(t.text("pxname")), string(t.text("svname"))
		switch string(t.text("type")) {
		case "0":
			l.row(t, b, l.frontend, l.frontUp, proxy)
		case "1":
			l.row(t, b, l.backend, l.backUp, proxy)
		case "2":
			l.row(t, b, l.servers, l.serverUp, proxy, server)
		}
	}
}

func (l *layout) row(t *table, b *kit.Batch, cells []cell, up *kit.Metric, names ...string) {
	if status := t.text("status"); len(status) > 0 {
		b.Add(up, upness(string(status)), names...)
	}
	coded := append([]string{""}, names...)
	for _, c := range cells {
		if c.code != "" {
			coded[0] = c.code
			add(b, c.metric, t.number(c.column), coded...)
			continue
		}
		add(b, c.metric, t.number(c.column)*c.scale, names...)
	}
}

// upness is 1 for every status in which traffic is taken.
func upness(status string) float64 {
	for _, up := range []string{"UP", "OPEN", "no check", "DRAIN"} {
		if strings.HasPrefix(status, up) {
			return 1
		}
	}
	return 0
}

func add(b *kit.Batch, m *kit.Metric, v float64, labels ...string) {
	if !math.IsNaN(v) {
		b.Add(m, v, labels...)
	}
}

func figures() []kit.Figure {
	return []kit.Figure{
		{Title: "Requests", Unit: "per_second", Chart: true, Of: kit.PerSecond("haproxy_frontend_http_requests_total")},
		{Title: "Sessions", Chart: true, Of: kit.Level("haproxy_frontend_current_sessions")},
		{Title: "New sessions", Unit: "per_second", Chart: true, Of: kit.PerSecond("haproxy_frontend_sessions_total")},
		{Title: "Errors 5xx", Unit: "per_second", Chart: true, Of: kit.PerSecond("haproxy_frontend_http_responses_total", "code", "5xx")},
		{Title: "Queued", Chart: true, Of: kit.Level("haproxy_backend_current_queue")},
		{Title: "Received", Unit: "bytes_per_second", Of: kit.PerSecond("haproxy_frontend_bytes_in_total")},
		{Title: "Sent", Unit: "bytes_per_second", Of: kit.PerSecond("haproxy_frontend_bytes_out_total")},
		{Title: "Servers up", Of: kit.Level("haproxy_server_up")},
		{Title: "Slowest backend", Unit: "seconds", Of: func(r kit.Reading) float64 { return r.Max("haproxy_backend_http_response_time_average_seconds") }},
		{Title: "Connection errors", Unit: "per_second", Of: kit.PerSecond("haproxy_backend_connection_errors_total")},
		{Title: "Idle", Unit: "ratio", Of: func(r kit.Reading) float64 { return r.Sum("haproxy_process_idle_time_percent") / 100 }},
	}
}

// metrics lists everything that a collection may tell.
func metrics() []*kit.Metric {
	l := newLayout()
	all := []*kit.Metric{versionInfo, bootMetric, l.frontUp, l.backUp, l.serverUp}
	for _, f := range l.facts {
		all = append(all, f.metric)
	}
	for _, cells := range [][]cell{l.frontend, l.backend, l.servers} {
		for _, c := range cells {
			all = append(all, c.metric)
		}
	}
	slices.SortFunc(all, func(a, b *kit.Metric) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b *kit.Metric) bool { return a.Name == b.Name })
}

// The names of frontends, backends and servers are those of haproxy_exporter,
// those of the process are those of HAProxy's own exporter.
const sharedTable = `
scur current_sessions Sessions now
smax max_sessions Most sessions at a time
stot sessions_total Sessions
bin bytes_in_total Bytes received
bout bytes_out_total Bytes sent
rate current_session_rate Sessions in the last second
rate_max max_session_rate Most sessions in a second
`

const frontendTable = `
slim limit_sessions Sessions that are allowed
dreq requests_denied_total Requests denied by a rule
ereq request_errors_total Requests that were broken
rate_lim limit_session_rate Sessions that are allowed in a second
req_tot http_requests_total Requests
conn_tot connections_total Connections
comp_in compressor_bytes_in_total Bytes given to the compressor
comp_out compressor_bytes_out_total Bytes that the compressor made of them
comp_byp compressor_bytes_bypassed_total Bytes that were not compressed
comp_rsp http_responses_compressed_total Responses compressed
`

const backendTable = `
slim limit_sessions Sessions that are allowed
act current_server Servers that are up
comp_in compressor_bytes_in_total Bytes given to the compressor
comp_out compressor_bytes_out_total Bytes that the compressor made of them
comp_byp compressor_bytes_bypassed_total Bytes that were not compressed
comp_rsp http_responses_compressed_total Responses compressed
`

const balancedTable = `
qcur current_queue Requests that wait for a server
qmax max_queue Most requests that waited
econ connection_errors_total Connections that failed
eresp response_errors_total Responses that failed
wretr retry_warnings_total Connections tried again
wredis redispatch_warnings_total Requests sent to another server
weight weight Weight in the balance
lbtot server_selected_total Times that a server was chosen
cli_abrt client_aborts_total Transfers ended by the client
srv_abrt server_aborts_total Transfers ended by the server
qtime/ms http_queue_time_average_seconds Time in the queue, of the last 1024 requests
ctime/ms http_connect_time_average_seconds Time to connect, of the last 1024 requests
rtime/ms http_response_time_average_seconds Time to the response, of the last 1024 requests
ttime/ms http_total_time_average_seconds Time in all, of the last 1024 requests
`

const serverTable = `
slim limit_sessions Sessions that are allowed
chkfail check_failures_total Health checks that failed
downtime downtime_seconds_total Time that it was down
check_duration/ms check_duration_seconds How long the last health check took
`

const infoTable = `
Nbthread nbthread Threads
Uptime_sec uptime_seconds Seconds since the process started
PoolFailed pool_failures_total Allocations that failed
PoolAlloc_bytes pool_allocated_bytes Memory allocated in pools
PoolUsed_bytes pool_used_bytes Memory used in pools
Maxconn max_connections Connections that are allowed
CurrConns current_connections Connections now
CumConns connections_total Connections
CumReq requests_total Requests
CurrSslConns current_ssl_connections TLS connections now
CumSslConns ssl_connections_total TLS connections
ConnRate current_connection_rate Connections in the last second
MaxConnRate max_connection_rate Most connections in a second
SessRate current_session_rate Sessions in the last second
MaxSessRate max_session_rate Most sessions in a second
SslRate current_ssl_rate TLS handshakes in the last second
SslCacheLookups ssl_cache_lookups_total Look-ups of TLS sessions
SslCacheMisses ssl_cache_misses_total Look-ups of TLS sessions that found none
Tasks current_tasks Tasks
Run_queue current_run_queue Tasks that could run
Idle_pct idle_time_percent Share of time without work, percent
Stopping stopping Whether the process ends
Jobs jobs Things under way
Listeners listeners Listeners
ActivePeers active_peers Peers
ConnectedPeers connected_peers Peers that are connected
DroppedLogs dropped_logs_total Log lines dropped
FailedResolutions failed_resolutions Names that could not be resolved
TotalBytesOut bytes_out_total Bytes sent
BytesOutRate bytes_out_rate Bytes sent in the last second
`
