package expose

import (
	"slices"

	"vitals/core"
)

// desc is a metric of ours with all its labels.
type desc struct {
	core.Desc
	labels []string
}

func describe(kind core.MetricKind, name, unit, help string, labels ...string) *desc {
	return &desc{core.Desc{Name: name, Help: help, Unit: unit, Kind: kind}, labels}
}

// Metrics that this package renders by itself. What probes measure comes with
// the probes' own descriptions.
var (
	serverDuration = describe(core.Histogram, "http_server_request_duration_seconds", "seconds", "Duration of HTTP requests that a service answered, first request byte to last answer byte", "service_name", "http_request_method", "http_route", "http_response_status_code", "url_scheme", "error_type")
	clientDuration = describe(core.Histogram, "http_client_request_duration_seconds", "seconds", "Duration of HTTP requests that a service made, first request byte to last answer byte", "service_name", "server_address", "server_port", "http_request_method", "http_route", "http_response_status_code", "url_scheme", "error_type")
	rpcServer      = describe(core.Histogram, "rpc_server_call_duration_seconds", "seconds", "Duration of remote procedure calls that a service answered", "service_name", "rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type")
	rpcClient      = describe(core.Histogram, "rpc_client_call_duration_seconds", "seconds", "Duration of remote procedure calls that a service made", "service_name", "server_address", "server_port", "rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type")
	dbServer       = describe(core.Histogram, "db_server_operation_duration_seconds", "seconds", "Duration of operations that a database or cache carried out, as its sockets saw them", "service_name", "db_system_name", "db_operation_name", "db_query_summary", "db_response_status_code", "error_type")
	dbClient       = describe(core.Histogram, "db_client_operation_duration_seconds", "seconds", "Duration of operations that a service asked of a database or cache", "service_name", "server_address", "server_port", "db_system_name", "db_operation_name", "db_query_summary", "db_response_status_code", "error_type")
	dnsLookup      = describe(core.Histogram, "dns_lookup_duration_seconds", "seconds", "Duration of DNS queries that a service made", "service_name", "server_address", "server_port", "dns_question_type", "error_type")
	otherDuration  = describe(core.Histogram, "vitals_exchange_duration_seconds", "seconds", "Duration of exchanges of other protocols, of unknown and encrypted ones, or whose role is not known", "service_name", "role", "protocol")
	streams        = describe(core.Counter, "vitals_streams_total", "", "Streams that ended, and messages that nobody asked for: subscriptions, server-sent events, WebSockets; they have no latency", "service_name", "role", "protocol")
	exchanges      = describe(core.Counter, "vitals_exchanges_total", "", "Exchanges on the sockets of a service by what became of them: parsed ones are requests", "service_name", "outcome")
	socketBytes    = describe(core.Counter, "vitals_exchange_bytes_total", "bytes", "Bytes on the sockets of a service, and how many of them were understood", "service_name", "outcome")
	connections    = describe(core.Counter, "vitals_connections_total", "", "Connections on which something was said, and how many of them were older than the observation", "service_name", "joined")
	edgeRequests   = describe(core.Counter, "vitals_edge_requests_total", "", "Requests between services of this machine, and to outside peers", "client", "server", "protocol")
	edgeErrors     = describe(core.Counter, "vitals_edge_errors_total", "", "Requests between services that failed", "client", "server", "protocol")
	untimed        = describe(core.Counter, "vitals_requests_untimed_total", "", "Requests whose duration is not known, which the histograms leave out", "service_name", "role", "protocol")
	activeRequests = describe(core.Gauge, "http_server_active_requests", "", "Requests that have begun and not ended", "service_name")

	cpuTime         = describe(core.Counter, "process_cpu_time_seconds_total", "seconds", "CPU time of the processes of a service, ended ones included", "service_name", "cpu_mode")
	cpuUtilization  = describe(core.Gauge, "process_cpu_utilization_ratio", "ratio", "CPU time per second, 1 is one core", "service_name")
	memoryUsage     = describe(core.Gauge, "process_memory_usage_bytes", "bytes", "Resident memory", "service_name")
	memoryVirtual   = describe(core.Gauge, "process_memory_virtual_bytes", "bytes", "Virtual memory", "service_name")
	threadCount     = describe(core.Gauge, "process_threads", "", "Threads", "service_name")
	fileDescriptors = describe(core.Gauge, "process_open_file_descriptors", "", "Open file descriptors", "service_name")
	contextSwitches = describe(core.Counter, "process_context_switches_total", "", "Context switches, ended processes included", "service_name", "process_context_switch_type")
	pagingFaults    = describe(core.Counter, "process_paging_faults_total", "", "Page faults, ended processes included", "service_name", "process_paging_fault_type")
	diskIO          = describe(core.Counter, "process_disk_io_bytes_total", "bytes", "Bytes read from and written to storage, ended processes included", "service_name", "disk_io_direction")
	uptime          = describe(core.Gauge, "process_uptime_seconds", "seconds", "Age of the oldest process", "service_name")
	processCount    = describe(core.Gauge, "vitals_service_processes", "", "Processes of a service", "service_name")
	targetInfo      = describe(core.Gauge, "target_info", "", "What a service is", "service_name", "service_namespace", "host_name", "process_runtime_name")

	buildInfo     = describe(core.Gauge, "vitals_build_info", "", "The version of vitals that tells this", "version")
	lostEvents    = describe(core.Counter, "vitals_events_lost_total", "", "Facts that were lost, by where and why", "stage", "reason")
	facts         = describe(core.Counter, "vitals_events_total", "", "Facts received from probes")
	completeness  = describe(core.Gauge, "vitals_capture_completeness_ratio", "ratio", "Parsed exchanges of those that the kernel counted")
	folded        = describe(core.Counter, "vitals_series_folded_total", "", "Requests counted in an \"other\" series because of a cap")
	selfCPU       = describe(core.Gauge, "vitals_cpu_utilization_ratio", "ratio", "CPU time per second of vitals itself in user space and system calls, 1 is one core")
	selfBPF       = describe(core.Gauge, "vitals_bpf_utilization_ratio", "ratio", "Run time per second of all kernel programs of vitals, 1 is one core")
	selfMemory    = describe(core.Gauge, "vitals_memory_usage_bytes", "bytes", "Resident memory of vitals itself")
	bpfRunTime    = describe(core.Counter, "vitals_bpf_run_time_seconds_total", "seconds", "Run time of a kernel program in the seconds in which the kernel measured it", "prog", "unit")
	bpfMeasured   = describe(core.Counter, "vitals_bpf_measured_seconds_total", "seconds", "For how long the kernel measured a program: divide its run time by this", "prog", "unit")
	bpfRuns       = describe(core.Counter, "vitals_bpf_runs_total", "", "Runs of a kernel program in the seconds in which the kernel measured it", "prog", "unit")
	bpfMaps       = describe(core.Gauge, "vitals_bpf_map_bytes", "bytes", "Memory of a kernel program's maps", "prog", "unit")
	instrumented  = describe(core.Gauge, "vitals_instrumented_processes", "", "Processes that a kind of instrumentation observes", "kind")
	shed          = describe(core.Gauge, "vitals_budget_shed", "", "1 for a kind of instrumentation that is off at a service to keep the budget", "kind", "service_name")
	unitHealth    = describe(core.Gauge, "vitals_unit_health", "", "1 when the unit does its work, 0 when not; absent while nobody wants it or its state is not known", "unit", "class", "kind", "state")
	pushes        = describe(core.Counter, "vitals_push_attempts_total", "", "Pushes to a destination", "destination", "outcome")
	pushSkipped   = describe(core.Counter, "vitals_push_skipped_total", "", "Intervals that passed during a push or a back-off", "destination")
	pushBytes     = describe(core.Gauge, "vitals_push_size_bytes", "bytes", "Bytes on the wire of the last push", "destination")
	pushSeries    = describe(core.Gauge, "vitals_push_series", "", "Series in the last push", "destination")
	pushDuration  = describe(core.Gauge, "vitals_push_duration_seconds", "seconds", "Duration of the last push", "destination")
	callDuration  = describe(core.Histogram, "vitals_call_duration_seconds", "seconds", "Duration of the calls that vitals itself makes: attach, push, scrape and the like", "op")
	callsEnded    = describe(core.Counter, "vitals_calls_total", "", "Calls of vitals itself that ended, by outcome", "op", "outcome")
	callsInFlight = describe(core.Gauge, "vitals_calls_in_flight", "", "Calls of vitals itself that have begun and not ended", "op")
	callOldest    = describe(core.Gauge, "vitals_call_oldest_seconds", "seconds", "Age of the oldest call of vitals itself that has not ended; absent while there is none", "op")
	units         = describe(core.Gauge, "vitals_units", "", "Units by the phase of their life", "class", "phase")
	unitTries     = describe(core.Counter, "vitals_unit_attempts_total", "", "Attempts to attach a unit, retries included", "unit", "kind")
	unitFailures  = describe(core.Counter, "vitals_unit_failures_total", "", "Attempts to attach a unit that did not succeed, and runs that ended unasked", "unit", "kind")
	skipped       = describe(core.Gauge, "vitals_processes_skipped", "", "Processes that are never instrumented, by why", "reason")
	profiled      = describe(core.Gauge, "vitals_instrumented_by_language", "", "Processes with any instrumentation of their own, by what they are written in", "language")
	queueLength   = describe(core.Gauge, "vitals_queue_length", "", "Facts that wait to be taken in")
	pushSucceeded = describe(core.Gauge, "vitals_push_last_success_timestamp_seconds", "seconds", "When the last push succeeded", "destination")
)

// own lists all of the above.
func own() []*desc {
	return []*desc{
		serverDuration, clientDuration, rpcServer, rpcClient, dbServer, dbClient, dnsLookup, otherDuration, untimed, streams,
		exchanges, socketBytes, connections, edgeRequests, edgeErrors, activeRequests,
		cpuTime, cpuUtilization, memoryUsage, memoryVirtual, threadCount, fileDescriptors, contextSwitches, pagingFaults,
		diskIO, uptime, processCount, targetInfo,
		buildInfo, lostEvents, facts, completeness, folded, selfCPU, selfBPF, selfMemory, bpfRunTime, bpfMeasured, bpfRuns,
		bpfMaps, instrumented, shed, unitHealth, pushes, pushSkipped, pushBytes, pushSeries, pushDuration, pushSucceeded,
		callDuration, callsEnded, callsInFlight, callOldest, units, unitTries, unitFailures, skipped, profiled, queueLength,
	}
}

// Doc describes one metric for docs/metrics.md.
type Doc struct {
	core.Desc
	Labels []string
}

// Docs lists the metrics that are rendered from snapshots, by name, together
// with those of probes, whose values carry service_name and their own label.
func Docs(probes []*core.Desc) []Doc {
	var docs []Doc
	for _, d := range own() {
		docs = append(docs, Doc{d.Desc, d.labels})
	}
	for _, d := range probes {
		doc := Doc{*d, []string{"service_name"}}
		if d.Label != "" {
			doc.Labels = append(doc.Labels, d.Label)
		}
		docs = append(docs, doc)
	}
	slices.SortFunc(docs, func(a, b Doc) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return docs
}
