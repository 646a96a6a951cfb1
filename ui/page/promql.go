package page

import (
	"net"
	"strconv"
	"strings"

	"vitals/core"
)

// PromQL is the query for this route's request rate, for those who have the
// metrics in Prometheus. The names are those of docs/metrics.md.
func (r *Route) PromQL() string {
	var b strings.Builder
	label := func(name, value string) { b.WriteString("," + name + "=" + strconv.Quote(value)) }
	name, side := "", r.Role.String()
	switch {
	case r.Role == core.RoleUnknown:
	case r.Protocol == core.ProtoHTTP:
		name = "http_" + side + "_request_duration_seconds"
		label("http_request_method", r.Method)
		label("http_route", r.Route)
		if r.Status > 0 {
			label("http_response_status_code", strconv.Itoa(r.Status))
		}
	case r.Protocol == "grpc":
		name = "rpc_" + side + "_call_duration_seconds"
		label("rpc_method", r.Route)
		label("rpc_response_status_code", r.Code)
	case r.Protocol == "dns" && r.Role == core.RoleClient:
		name = "dns_lookup_duration_seconds"
		label("dns_question_type", r.Method)
	case database(r.Protocol):
		name = "db_" + side + "_operation_duration_seconds"
		label("db_system_name", r.Protocol)
		label("db_operation_name", r.Method)
		label("db_query_summary", r.Route)
	}
	if name == "" {
		name = "vitals_exchange_duration_seconds"
		label("role", side)
		label("protocol", r.Protocol)
	} else if r.Role == core.RoleClient && r.Peer != "" {
		host, _, err := net.SplitHostPort(r.Peer)
		if err != nil {
			host = strings.Trim(r.Peer, "[]")
		}
		label("server_address", host)
	}
	return "sum(rate(" + name + "_count{service_name=" + strconv.Quote(r.Service) + b.String() + "}[1m]))"
}

func database(protocol string) bool {
	switch protocol {
	case "postgresql", "mysql", "redis", "memcached":
		return true
	}
	return false
}
