package expose

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/metric"
)

// The labels of a series are written in the order in which they stand here.
func TestLabelsAreSortedAndDescribed(t *testing.T) {
	for _, l := range []layout{httpLayout, rpcLayout, dbLayout, dnsLayout, plainLayout} {
		var names []string
		for _, of := range l.labels {
			names = append(names, of.name)
		}
		if !slices.IsSorted(names) || len(names) > maxLabels {
			t.Errorf("%q", names)
		}
		for _, d := range []*desc{l.server, l.client} {
			if d == nil {
				continue
			}
			for _, name := range names {
				isPeer := name == "server_address" || name == "server_port"
				if !slices.Contains(d.labels, name) && !(isPeer && d == l.server) {
					t.Errorf("%s does not describe its label %s", d.Name, name)
				}
			}
		}
	}
}

func TestEachProtocolHasItsMetrics(t *testing.T) {
	var d metric.Durations
	d.Observe(metric.Of(time.Millisecond), 3)
	timed := d.Snapshot()
	rows := []*core.RequestRow{
		{Service: "shop", Role: core.RoleClient, Protocol: "postgresql", Peer: "db:5432", Method: "SELECT", Route: "SELECT items", Code: "42P01", Failed: true},
		{Service: "cache", Role: core.RoleServer, Protocol: "redis", Method: "GET"},
		{Service: "shop", Role: core.RoleServer, Protocol: "grpc", Method: "Get", Route: "/shop.Items/Get", Code: "NOT_FOUND", Status: 200},
		{Service: "shop", Role: core.RoleClient, Protocol: "dns", Peer: "10.0.0.2:53", Method: "A", Route: "db.internal", Code: "NXDOMAIN", Failed: true},
		{Service: "dnsmasq", Role: core.RoleServer, Protocol: "dns", Method: "A", Route: "db.internal"},
		{Service: "shop", Role: core.RoleServer, Protocol: "tls"},
	}
	for _, r := range rows {
		r.Count, r.Duration = 3, timed
	}
	open := &core.RequestRow{Service: "shop", Role: core.RoleServer, Protocol: "websocket", Stream: true, Count: 2}
	s := &core.Snapshot{Requests: append(rows, open), Edges: []*core.EdgeRow{{From: "shop", To: "cache", Protocol: "redis", Count: 3, Errors: 1}},
		Services: []*core.ServiceRow{{Name: "shop", Coverage: core.Coverage{Exchanges: 10, Parsed: 6, Unknown: 1, Encrypted: 2, Unpaired: 1, BytesIn: 100, BytesParsed: 60, Connections: 4, Joined: 1}}}}
	var b strings.Builder
	if err := WriteText(&b, Families(s)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`db_client_operation_duration_seconds_count{db_operation_name="SELECT",db_query_summary="SELECT items",db_response_status_code="42P01",db_system_name="postgresql",error_type="42P01",server_address="db",server_port="5432",service_name="shop"} 3`,
		`db_server_operation_duration_seconds_count{db_operation_name="GET",db_system_name="redis",service_name="cache"} 3`,
		`rpc_server_call_duration_seconds_count{rpc_method="/shop.Items/Get",rpc_response_status_code="NOT_FOUND",rpc_system_name="grpc",service_name="shop"} 3`,
		`dns_lookup_duration_seconds_count{dns_question_type="A",error_type="NXDOMAIN",server_address="10.0.0.2",server_port="53",service_name="shop"} 3`,
		`vitals_exchange_duration_seconds_count{protocol="dns",role="server",service_name="dnsmasq"} 3`,
		`vitals_exchange_duration_seconds_count{protocol="tls",role="server",service_name="shop"} 3`,
		`vitals_streams_total{protocol="websocket",role="server",service_name="shop"} 2`,
		`vitals_edge_requests_total{client="shop",protocol="redis",server="cache"} 3`,
		`vitals_edge_errors_total{client="shop",protocol="redis",server="cache"} 1`,
		`vitals_exchanges_total{outcome="parsed",service_name="shop"} 6`,
		`vitals_exchanges_total{outcome="encrypted",service_name="shop"} 2`,
		`vitals_exchange_bytes_total{outcome="parsed",service_name="shop"} 60`,
		`vitals_exchange_bytes_total{outcome="not parsed",service_name="shop"} 40`,
		`vitals_connections_total{joined="true",service_name="shop"} 1`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}
