package core

import "time"

// Snapshot is the whole picture at one moment. It is immutable once published:
// readers may keep it and share it, and must not modify anything it points to.
// Rows that did not change since the previous snapshot are the same pointers.
type Snapshot struct {
	Seq     uint64
	At      time.Time
	Started time.Time     // when counting began: all counts are since then
	Window  time.Duration // At minus Started, in which all probes that run were attached
	Host    Host
	Self    Self

	Processes []*ProcessRow // by pid; live ones, and those that ended in the last minutes while they have counts
	Services  []*ServiceRow // by name
	Requests  []*RequestRow // by service, role, protocol, method, route, status
	// Retired holds, by service, the sums of ended processes that are no longer
	// listed (Proc is zero), so that a service's counts never fall.
	Retired []*RequestRow
	Edges   []*EdgeRow
	// Exemplars are single requests worth a look, the newest MaxExemplars that
	// failed or were among the slowest of their service, by the end of the request.
	Exemplars []*Exemplar
	Units     []*UnitRow // by id
	Programs  []Program  // by unit and name
	Kinds     []KindRow  // every kind of instrumentation, in display order
	Events    []Event    // the newest MaxEvents, oldest first
	Push      []*PushRow // one for each destination
	Calls     []CallRow  // the calls that vitals itself makes, by operation
	Machine   []Value    // samples of the whole machine
	// Gateway is the one that runs in this process, nil when none does.
	Gateway *GatewayRow
	// Integrations are the servers that are asked for what they know of themselves,
	// and those that could be, by id.
	Integrations []*IntegrationRow

	Totals  Totals
	Toggles *Toggles
}

// MaxEvents is how many events a snapshot carries.
const MaxEvents = 1000

// Host is the machine.
type Host struct {
	Name        string
	Instance    string
	Kernel      string
	CPUs        int
	MemoryBytes uint64
	BootTime    time.Time
}

// Self is what vitals knows of itself: its cost and its losses.
type Self struct {
	PID          int32
	Version      string
	CPURatio     float64 // user space, of one core, over the last ticks
	BPFRatio     float64 // kernel programs, of one core; NaN while not measured
	RSSBytes     uint64
	Goroutines   int
	Queue        int               // facts that wait for the engine
	Events       uint64            // facts received since start
	Lost         map[string]uint64 // "<stage>/<reason>" -> count; nil when nothing was lost
	LostTotal    uint64
	Folded       uint64   // requests counted in an "other" series because of a cap
	Completeness float64  // parsed of counted exchanges, NaN when none
	Coverage     Coverage // of all processes
	Privileged   bool
	// Notice is the one thing that the user should know about this run: what
	// root would add, or what this kernel lacks. Empty when all is well.
	Notice string
	// Others are pids of other running instances of vitals.
	Others []int32
}

// Value is the newest value of one metric.
type Value struct {
	Desc  *Desc
	Label string
	// V is the total since Started for counters, the level for gauges.
	V float64
	// Rate is the change a second over the last ticks, for counters.
	Rate float64
}

// InstrState is one kind of instrumentation at one process.
type InstrState struct {
	Kind   string
	On     bool   // wanted, by Decision
	Phase  Phase  // the unit's phase when On, PhaseOff otherwise
	Reason string // which rule decided, or why it does not work
	Since  time.Time
}

// RED is rate, errors and duration over the recent past, of a process, a
// service or the machine.
type RED struct {
	Rate               float64 // requests a second over the last RateWindow
	ErrRatio           float64 // 0 to 1 over RateWindow, NaN without requests
	P50, P90, P99, Max float64 // seconds over the last LatencyWindow, NaN without requests
	InFlight           int
	Oldest             time.Duration // age of the oldest request in flight, 0 without
	Count, Errors      uint64        // since Started
}

// Windows over which recent figures are computed.
const (
	RateWindow    = 5 * time.Second
	LatencyWindow = 10 * time.Second
)

// Trend is a short history for a sparkline, oldest first; NaN is "no data".
type Trend struct {
	Step   time.Duration
	Points []float32
}

// HeatColumn is the request durations of one time step, counted in the coarse
// buckets of HeatBounds.
type HeatColumn [HeatRows]uint32

// HeatRows is how many latency bands a heat map has.
const HeatRows = 16

// HeatBound returns the lower bound of band i in seconds: band 0 starts at 0,
// band 1 at 0.25 ms, each following doubles, the last one holds all from 4.096 s.
func HeatBound(i int) float64 {
	if i <= 0 {
		return 0
	}
	return 0.00025 * float64(uint(1)<<(i-1))
}

// Heat is latency over time, oldest column first.
type Heat struct {
	Step    time.Duration
	Columns []HeatColumn
}

// ProcessRow is a process with everything known about it.
type ProcessRow struct {
	*Process
	Alive                         bool
	Ended                         time.Time // zero while alive
	Exit                          Exit
	CPURatio                      float64 // of one core, NaN unknown
	Usage                         Usage
	Server                        RED           // requests it answers
	Client                        RED           // requests it makes
	RateTrend, P99Trend, CPUTrend *Trend        // nil when there is nothing to show
	Heat                          *Heat         // of server requests, else client; nil without requests
	Latency                       *Distribution // the last LatencyWindow, of the same side; nil without
	Values                        []Value       // samples of probes, by Desc.Name
	Instr                         []InstrState  // by kind, in the order of Snapshot.Kinds
	Coverage                      Coverage      // totals since Started
}

// ServiceRow is a group of processes that belong together.
type ServiceRow struct {
	Name                string
	Group               string
	PIDs                []int32 // live ones
	Language            string  // of most of its processes, "" mixed or unknown
	Health              Health
	Message             string
	CPURatio            float64
	RSSBytes            int64
	Server, Client      RED
	RateTrend, P99Trend *Trend
	Heat                *Heat
	Latency             *Distribution
	On                  bool // any instrumentation is on
	// Exemplars are its slowest requests of the last minutes and its newest failed
	// ones, at most MaxServiceExemplars, the slowest first, failed ones after them.
	Exemplars []*Exemplar
	Coverage  Coverage // sums over its processes, ended ones included
	// Usage and Values are sums over its processes; what only grows includes
	// those that ended. Started is the oldest live one's.
	Usage   Usage
	Values  []Value
	Started time.Time
}

// RequestRow counts equal requests of one process. Counts are since Started.
type RequestRow struct {
	Proc     ProcKey
	Service  string
	Role     Role
	Protocol string
	Peer     string
	TLS      bool
	Method   string
	Route    string
	Status   int
	Code     string // of protocols whose errors have names
	Error    string
	Failed   bool
	Stream   bool // has no latency, see Request

	Count             uint64
	Partial           uint64 // of Count, those with incomplete figures
	InFlight          int    // -1: some are, of the process, but not known of which row
	BytesIn, BytesOut uint64
	Duration          *Distribution // first request byte to last answer byte
	FirstByte         *Distribution // first request byte to first answer byte
	Rate              float64       // over RateWindow
	Last              time.Time
}

// MaxExemplars is how many single requests a snapshot carries in one stream,
// MaxServiceExemplars how many each service keeps.
const (
	MaxExemplars        = 200
	MaxServiceExemplars = 16
)

// Exemplar is one request that was slow or failed. It holds no value of the
// request: no query, no literal, no body.
type Exemplar struct {
	Seq      uint64    // from 1, without gaps while none was dropped
	At       time.Time // when it ended
	Proc     ProcKey
	Service  string
	Role     Role
	Protocol string
	Peer     string
	TLS      bool
	Method   string
	Route    string
	Status   int
	Code     string // of protocols whose errors have names
	Error    string
	Failed   bool // else it was slow
	// FirstByte and Duration are as in Request; Typical is the median of its
	// service when it ended, 0 unknown.
	FirstByte, Duration, Typical time.Duration
	BytesIn, BytesOut            uint64
	Partial                      bool
}

// EdgeRow is who calls whom.
type EdgeRow struct {
	From, To      string // service, or outside peer
	Protocol      string
	Count, Errors uint64
	Rate          float64
	P50, P99      float64   // seconds over the last LatencyWindow, NaN without requests
	Last          time.Time // of the newest request; long ago means that nobody calls any more
	Outside       bool      // To (or From) is not a service of this machine
}

// UnitRow is the state of one unit.
type UnitRow struct {
	ID        string
	Class     Class
	Kind      string
	Title     string
	Phase     Phase
	Health    Health
	Message   string            // why it is not well, with the remedy
	Parts     map[string]string // component -> error text, only those that do not work
	Since     time.Time
	Attempts  int
	NextTry   time.Time
	Processes int // how many processes use it
	// Tries and Failures count over the unit's whole life: attempts to attach,
	// and those that did not succeed together with runs that ended unasked.
	Tries, Failures uint64
}

// KindRow is one kind of instrumentation.
type KindRow struct {
	Kind, Title, Help string
	Default           bool
	PerProcess        bool // observes process by process, see Spec.PerProcess
}

// PushRow is one destination.
type PushRow struct {
	Destination                           string // its name, else its address: unique
	Address                               string // redacted URL, path, or "stdout"
	Kind                                  string // "pushgateway", "textfile", "stdout"
	Unit                                  string // id of its unit
	State                                 string // "waiting", "ok", "retrying", "failed"
	LastSuccess, LastAttempt, NextAttempt time.Time
	Pushes, Failures                      uint64 // attempts that succeeded, that failed
	Skipped                               uint64 // intervals that passed during a push or a back-off
	Consecutive                           int    // failures since the last success
	Bytes, Series                         uint64 // of the last push; Bytes on the wire
	Duration                              time.Duration
	LastError                             string
	Interval                              time.Duration
}

// MaxGatewayGroups is how many groups a GatewayRow lists.
const MaxGatewayGroups = 500

// GatewayRow is the gateway that receives pushes in this process.
type GatewayRow struct {
	Unit            string // id of its unit
	Address         string // that it listens on
	Store           string // "memory", or the directory
	Groups, Series  int
	Bytes           uint64         // of all groups, as kept in memory
	Pushes, Refused uint64         // requests that were taken, that were not
	LastError       string         // of the newest push that failed
	LastFailed      time.Time      // when that was
	StoreError      string         // why groups cannot be stored; empty when they can
	Listed          []GatewayGroup // those pushed to last, at most MaxGatewayGroups, newest first
	At              time.Time      // of these figures
}

// GatewayGroup is what was pushed under one grouping key.
type GatewayGroup struct {
	ID             string    // for Intent.Group; not for people
	Labels         string    // {job="backup",instance="db-1"}
	Pushed, Failed time.Time // zero: never
	LastError      string    // of the push that failed last
	Families       int
	Series         int
	Bytes          uint64
	Expires        time.Time // zero: never
}

// Totals is the machine in a few numbers, with their recent past.
type Totals struct {
	Processes, Instrumented, Attaching, Failed int
	Server, Client                             RED
	CPURatio                                   float64 // of the machine, 0 to 1
	RateTrend, ErrTrend, P99Trend, CPUTrend    *Trend
	Heat                                       *Heat
	Latency                                    *Distribution
}

// Source is the door through which readers see the engine. Both methods may be
// called from any goroutine and never block.
type Source interface {
	// Latest returns the newest snapshot, never nil.
	Latest() *Snapshot
	// Changed returns a channel that is closed when a snapshot newer than the
	// one current at the call is published.
	Changed() <-chan struct{}
}

// Control is the door back.
type Control interface {
	// Submit queues an intent. It never blocks; false means busy, try again.
	Submit(Intent) bool
}
