package expose

import (
	"cmp"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// layout is how the requests of some protocols are exposed: the families of the
// two roles, nil for "as other exchanges", and their labels, sorted by name.
// Names are those of OpenTelemetry's conventions.
type layout struct {
	server, client *desc
	labels         []label
}

// label is a name and where its value is; an empty value is left out.
type label struct {
	name  string
	value func(*sum) *string
}

func valueErrType(g *sum) *string  { return &g.key.errType }
func valueMethod(g *sum) *string   { return &g.key.method }
func valueRoute(g *sum) *string    { return &g.key.route }
func valueCode(g *sum) *string     { return &g.key.code }
func valueScheme(g *sum) *string   { return &g.key.scheme }
func valueService(g *sum) *string  { return &g.key.service }
func valueProtocol(g *sum) *string { return &g.key.protocol }
func valueRole(g *sum) *string     { return &g.key.role }
func valueStatus(g *sum) *string   { return &g.status }
func valueHost(g *sum) *string     { return &g.host }
func valuePort(g *sum) *string     { return &g.port }

var (
	httpLayout = layout{serverDuration, clientDuration, []label{
		{"error_type", valueErrType}, {"http_request_method", valueMethod}, {"http_response_status_code", valueStatus}, {"http_route", valueRoute},
		{"server_address", valueHost}, {"server_port", valuePort}, {"service_name", valueService}, {"url_scheme", valueScheme},
	}}
	rpcLayout = layout{rpcServer, rpcClient, []label{
		{"error_type", valueErrType}, {"rpc_method", valueRoute}, {"rpc_response_status_code", valueCode}, {"rpc_system_name", valueProtocol},
		{"server_address", valueHost}, {"server_port", valuePort}, {"service_name", valueService},
	}}
	dbLayout = layout{dbServer, dbClient, []label{
		{"db_operation_name", valueMethod}, {"db_query_summary", valueRoute}, {"db_response_status_code", valueCode}, {"db_system_name", valueProtocol},
		{"error_type", valueErrType}, {"server_address", valueHost}, {"server_port", valuePort}, {"service_name", valueService},
	}}
	dnsLayout = layout{nil, dnsLookup, []label{
		{"dns_question_type", valueMethod}, {"error_type", valueErrType}, {"server_address", valueHost}, {"server_port", valuePort}, {"service_name", valueService},
	}}
	plainLayout = layout{otherDuration, otherDuration, []label{{"protocol", valueProtocol}, {"role", valueRole}, {"service_name", valueService}}}
)

// layoutOf finds the layout of a protocol.
func layoutOf(protocol string) *layout {
	switch protocol {
	case core.ProtoHTTP:
		return &httpLayout
	case "grpc":
		return &rpcLayout
	case "postgresql", "mysql", "redis", "memcached":
		return &dbLayout
	case "dns":
		return &dnsLayout
	}
	return &plainLayout
}

// keyOf gives the series that a row counts in: what its labels do not tell is
// left out.
func keyOf(r *core.RequestRow) seriesKey {
	l := layoutOf(r.Protocol)
	key := seriesKey{layout: l, service: r.Service, protocol: r.Protocol}
	switch r.Role {
	case core.RoleServer:
		key.family = l.server
	case core.RoleClient:
		key.family, key.address = l.client, r.Peer
	}
	if key.family == nil || l == &plainLayout {
		return seriesKey{layout: &plainLayout, family: otherDuration, service: r.Service, protocol: r.Protocol, role: r.Role.String()}
	}
	key.method = r.Method
	if r.Failed {
		key.errType = cmp.Or(r.Error, r.Code, status(r.Status))
	}
	switch l {
	case &httpLayout:
		key.route, key.status, key.scheme = r.Route, r.Status, "http"
		if r.TLS {
			key.scheme = "https"
		}
	case &rpcLayout:
		key.method, key.route, key.code = "", r.Route, r.Code
	case &dbLayout:
		key.route, key.code = r.Route, r.Code
	}
	return key
}

// labeler makes the labels of many series out of a few allocations: names are
// shared, values point into the sums, pairs come from a slab.
type labeler struct {
	pairs []dto.LabelPair
	refs  []*dto.LabelPair
}

// maxLabels is how many labels a series of requests has at most.
const maxLabels = 8

func newLabeler(n int) *labeler {
	return &labeler{pairs: make([]dto.LabelPair, n*maxLabels), refs: make([]*dto.LabelPair, n*maxLabels)}
}

// next gives the labels of g, in the order of their names.
func (l *labeler) next(g *sum) []*dto.LabelPair {
	g.status = status(g.key.status)
	g.host, g.port = splitAddress(g.key.address)
	refs, n := l.refs[:maxLabels:maxLabels], 0
	for i := range g.key.layout.labels {
		of := &g.key.layout.labels[i]
		if v := of.value(g); *v != "" {
			l.pairs[n].Name, l.pairs[n].Value = &of.name, v
			refs[n] = &l.pairs[n]
			n++
		}
	}
	l.pairs, l.refs = l.pairs[n:], l.refs[n:]
	return refs[:n:n]
}
