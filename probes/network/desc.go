package network

import "vitals/core"

const approximation = ". TCP payload, once however often it is sent; a connection that several processes hold is counted for one of them, a multipath one when it ends"

// The metrics of this probe.
var (
	descIO = &core.Desc{
		Name: "process_network_io_bytes_total", Unit: "bytes", Kind: core.Counter, Label: "network_io_direction",
		Help:  "Bytes that the process moved over TCP, by direction" + approximation,
		Short: "NET", Screen: true,
	}
	descConnections = &core.Desc{
		Name: "vitals_tcp_connections", Kind: core.Gauge, Label: "state",
		Help:  "TCP sockets that the process holds, by state, at the last look; those that wait for late packets after their end belong to no process",
		Short: "CONNS", Screen: true,
	}
	descRTT = &core.Desc{
		Name: "vitals_tcp_rtt_seconds", Unit: "seconds", Kind: core.Gauge,
		Help:  "Mean of the smoothed round-trip times of the process' established TCP connections, each weighted by what it moved since the last look",
		Short: "RTT", Screen: true,
	}
	descRetransmits = &core.Desc{
		Name: "vitals_tcp_retransmits_total", Kind: core.Counter,
		Help:  "TCP segments that were sent again on the process' connections",
		Short: "RETR", Screen: true,
	}
	descAcceptLength = &core.Desc{
		Name: "vitals_tcp_accept_queue_length", Kind: core.Gauge,
		Help:  "Connections that wait to be accepted, at the fullest listener of the process, at the last look; processes that share a listener all show it",
		Short: "ACCQ", Screen: true, Shared: true,
	}
	descAcceptLimit = &core.Desc{
		Name: "vitals_tcp_accept_queue_limit", Kind: core.Gauge,
		Help:  "Connections that may wait to be accepted at the same listener before the kernel drops more",
		Short: "ACCMAX", Shared: true,
	}
)

// Descs lists the metrics of this probe.
func Descs() []*core.Desc {
	return []*core.Desc{descIO, descConnections, descRTT, descRetransmits, descAcceptLength, descAcceptLimit}
}

// stateLabels are the values of the label state by the kernel's number.
func stateLabels() [numStates]string {
	return [numStates]string{
		1: "established", 2: "syn_sent", 3: "syn_recv", 4: "fin_wait1", 5: "fin_wait2", 6: "time_wait",
		7: "close", 8: "close_wait", 9: "last_ack", 10: "listen", 11: "closing", 12: "new_syn_recv",
	}
}

const numStates = len(networkRow{}.States)
