// Package requests sees what programs say to each other on stream sockets, TCP
// and Unix, whatever the language and the system call: the kernel pairs what
// goes in and out into exchanges, and what is HTTP/1 among them becomes requests.
//
// In the kernel (requests.bpf.c, machine.h) each socket has a small machine that
// ships one record per exchange. Here the probe reads them (probe.go), joins
// what belongs together and parses it (pair.go), and sweeps now and then for
// what has ended without a sign and for what is open (sweep.go).
package requests

import (
	"strconv"

	"vitals/core"
	"vitals/probes/kern"
)

// Kind is the name of this instrumentation.
const Kind = "requests"

// Metrics of the probe itself.
var (
	routesFolded = core.Desc{
		Name: "vitals_requests_routes_folded_total", Kind: core.Counter, Short: "folded",
		Help: "Requests whose route was counted as other because there are too many routes",
	}
	amendmentsLost = core.Desc{
		Name: "vitals_requests_amendments_lost_total", Kind: core.Counter, Short: "amendments",
		Help: "Requests counted with the figures of their first response bytes because the final ones did not fit into the ring",
	}
)

// Needs is what the probe cannot do without.
func Needs() kern.Needs {
	return kern.Needs{
		Since:       kern.Version{Major: 5, Minor: 9},
		Tracepoints: append([]string{"sys_exit", "inet_sock_set_state", "tcp_destroy_sock"}, births()...),
		Iterators:   []string{"bpf_map_elem", "task_file"},
	}
}

// births are the hooks of processes that come and go, on both paths.
func births() []string {
	return []string{"sched_process_fork", "sched_process_exec", "sched_process_exit"}
}

// NeedsFast is what the fast path needs, which costs other system calls nothing.
func NeedsFast() kern.Needs {
	return kern.Needs{
		Since:       kern.Version{Major: 6, Minor: 3},
		Tracepoints: append([]string{"sock_send_length", "sock_recv_length", "inet_sock_set_state", "tcp_destroy_sock"}, births()...),
		Iterators:   []string{"bpf_sk_storage_map", "task_file"},
		Helpers:     []string{"task_pt_regs", "sock_from_file", "skc_to_tcp_sock"},
	}
}

// Spec describes the probe as a unit.
func Spec(env kern.Env) core.Spec {
	return core.Spec{
		ID:          "instrumentation/" + Kind,
		Class:       core.ClassInstrumentation,
		Kind:        Kind,
		Title:       "Requests",
		Help:        "Counts HTTP requests with route, status and latency on every TCP and Unix socket; costs about a microsecond of CPU a request",
		Fingerprint: Kind + " ring=" + strconv.Itoa(env.RequestsRing),
		Make:        func() (core.Unit, error) { return &probe{env: env}, nil },
		Default:     true,
		PerProcess:  true,
	}
}
