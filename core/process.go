package core

import "time"

// ProcKey identifies one life of one process. A pid alone is reused; together
// with its birth it is not.
//
// Birth is the start time since boot in clock ticks (1/100 s), exactly the
// value of field 22 of /proc/PID/stat: BPF computes the same number from
// task->group_leader->start_boottime (nanoseconds / 10,000,000).
type ProcKey struct {
	PID   int32
	Birth uint64
}

// Runtime is what a process is written in, as far as it can be told from its
// executable and its mappings. Empty fields are unknown, never guessed.
type Runtime struct {
	Language string // "go", "java", "python", "node", "ruby", "php", "dotnet", "rust", "c" (C or C++)
	Version  string
	// SDK names an OpenTelemetry SDK or agent that is already inside; empty when none was seen.
	SDK string
}

// Listener is a socket on which a process accepts connections or datagrams.
type Listener struct {
	Network string // "tcp", "udp" or "unix"
	Address string // "127.0.0.1:8080", "[::]:80", or the socket's path
}

// String gives the form of the JSON interface: "tcp 127.0.0.1:8080".
func (l Listener) String() string { return l.Network + " " + l.Address }

// Process is what is known of one process. A published Process is immutable:
// discovery makes a new one when something changes, and whoever receives it
// may keep it and must not modify it. Every string has passed Clean.
type Process struct {
	ProcKey
	PPID    int32
	Comm    string
	Exe     string // the path in the process' own mount namespace
	Cmdline string // arguments joined by spaces, cut at MaxCmdline
	User    string
	UID     uint32
	Started time.Time

	Service string // the name that the process is grouped by, see DESIGN "service key"
	Group   string // configuration group, empty when none matches
	Runtime Runtime

	Container  string // container id, 12 characters or more; empty outside containers
	Pod        string
	Unit       string // systemd unit, only *.service
	Listeners  []Listener
	Attributes map[string]string // OTEL_RESOURCE_ATTRIBUTES and configured ones

	NSPID int32  // pid in its own pid namespace; equal to PID outside containers
	NetNS uint64 // inode of the network namespace; 0 is unknown

	// Skip is why this process is never instrumented ("kernel thread", "vitals
	// itself", "excluded by rule user=root"); empty when it may be.
	Skip string
}

// Exit is how a process ended.
type Exit struct {
	Code   int // exit status, 0 to 255; meaningless when Signal is set
	Signal int // the signal that killed it, 0 when it ended by itself
	Core   bool
	Known  bool // false when the end was noticed by looking, not by being told
}

// ProcessEventKind says what happened to a process.
type ProcessEventKind uint8

// The kinds of process events, as the kernel tells them.
const (
	ProcessFork ProcessEventKind = iota + 1
	ProcessExec
	ProcessExit
	// ProcessLost says that N records were lost in the kernel: a rescan is due.
	ProcessLost
)

// ProcessEvent is one raw fact about a process, from the kernel or from a look
// at /proc. Discovery turns facts into Processes.
type ProcessEvent struct {
	Kind ProcessEventKind
	ProcKey
	PPID int32
	Comm string
	Exit Exit
	At   int64  // CLOCK_MONOTONIC nanoseconds of the event
	N    uint64 // ProcessLost: how many
}

// Usage is what a process consumed, read at one moment. CPU counts up for the
// life of the process; the rest are levels. Fields that could not be read are -1.
type Usage struct {
	ProcKey
	CPUUser, CPUSystem         int64 // nanoseconds, all threads, ended ones included
	RSS, VSize                 int64 // bytes
	Threads                    int64
	MinorFaults, MajorFaults   int64 // counts, since birth
	VoluntarySw, InvoluntarySw int64 // context switches, since birth
	ReadBytes, WriteBytes      int64 // storage, since birth
	FDs                        int64
}
