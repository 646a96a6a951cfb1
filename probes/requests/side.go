package requests

import (
	"io"

	"github.com/cilium/ebpf"
)

// side is what the kernel side has, on either path (requests.bpf.c, floor.bpf.c).
type side struct {
	io.Closer

	ring, conns, exceptions, tuned, places, datagrams, troubles, endings *ebpf.Map

	speakers *ebpf.Map // shared with the probe of TLS libraries

	observeDefault, defaultSince, exceptionsUsed, generation, tunings, final, sleeping, dirty *ebpf.Variable
	lostExchanges, lostChunks, lostAmendments, lateEnds, unpaired, contended                  *ebpf.Variable

	sweep, findSockets *ebpf.Program
	sweepOver          string // the kind of iterator
	hooks              []hook
}

type hook struct {
	prog       *ebpf.Program
	tracepoint string
}

func (o *requestsObjects) side() *side {
	return &side{
		Closer: o,
		ring:   o.Ring, conns: o.Conns, exceptions: o.Exceptions, tuned: o.Tuned, places: o.Places, datagrams: o.Datagrams, troubles: o.Troubles, endings: o.Endings, speakers: o.Speakers,
		observeDefault: o.ObserveDefault, defaultSince: o.DefaultSince, exceptionsUsed: o.ExceptionsUsed, generation: o.Generation, tunings: o.Tunings,
		final: o.Final, sleeping: o.Sleeping, dirty: o.Dirty,
		lostExchanges: o.LostExchanges, lostChunks: o.LostChunks, lostAmendments: o.LostAmendments, lateEnds: o.LateEnds, unpaired: o.UnpairedChunks, contended: o.Contended,
		sweep: o.Sweep, findSockets: o.FindSockets, sweepOver: "bpf_sk_storage_map",
		hooks: []hook{
			{o.SetState, "inet_sock_set_state"},
			{o.Forked, "sched_process_fork"},
			{o.Executed, "sched_process_exec"},
			{o.Exited, "sched_process_exit"},
			{o.Destroyed, "tcp_destroy_sock"},
			{o.SockRecv, "sock_recv_length"},
			{o.SockSend, "sock_send_length"},
		},
	}
}

func (o *floorObjects) side() *side {
	return &side{
		Closer: o,
		ring:   o.Ring, conns: o.Conns, exceptions: o.Exceptions, tuned: o.Tuned, places: o.Places, datagrams: o.Datagrams, troubles: o.Troubles, endings: o.Endings, speakers: o.Speakers,
		observeDefault: o.ObserveDefault, defaultSince: o.DefaultSince, exceptionsUsed: o.ExceptionsUsed, generation: o.Generation, tunings: o.Tunings,
		final: o.Final, sleeping: o.Sleeping, dirty: o.Dirty,
		lostExchanges: o.LostExchanges, lostChunks: o.LostChunks, lostAmendments: o.LostAmendments, lateEnds: o.LateEnds, unpaired: o.UnpairedChunks, contended: o.Contended,
		sweep: o.Sweep, findSockets: o.FindSockets, sweepOver: "bpf_map_elem",
		hooks: []hook{
			{o.SetState, "inet_sock_set_state"},
			{o.Forked, "sched_process_fork"},
			{o.Executed, "sched_process_exec"},
			{o.Exited, "sched_process_exit"},
			{o.Destroyed, "tcp_destroy_sock"},
			{o.SysExited, "sys_exit"},
		},
	}
}
