package expose

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"vitals/core"
)

// number is a float that is null when it is not known.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

// moment is a time that is null when it has not been.
type moment time.Time

func (m moment) MarshalJSON() ([]byte, error) {
	t := time.Time(m)
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat([]byte{'"'}, time.RFC3339Nano+`"`), nil
}

// level is a count of which negative means unknown.
type level int64

func (l level) MarshalJSON() ([]byte, error) {
	if l < 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(l), 10), nil
}

// The stable interface. Add fields freely, never change one's meaning.
type (
	jsonSnapshot struct {
		Version      int               `json:"version"`
		Seq          uint64            `json:"seq"`
		At           moment            `json:"at"`
		Window       number            `json:"window_seconds"`
		Host         jsonHost          `json:"host"`
		Self         jsonSelf          `json:"self"`
		Processes    []jsonProcess     `json:"processes"`
		Services     []jsonService     `json:"services"`
		Requests     []jsonRequest     `json:"requests"`
		Edges        []jsonEdge        `json:"edges"`
		Exemplars    []jsonExemplar    `json:"exemplars"`
		Units        []jsonUnit        `json:"units"`
		Events       []jsonEvent       `json:"events"`
		Push         []jsonPush        `json:"push"`
		Integrations []jsonIntegration `json:"integrations"`
		Calls        []jsonCall        `json:"calls"`
		Gateway      *jsonGateway      `json:"gateway"`
	}
	jsonHost struct {
		Name   string `json:"name"`
		Kernel string `json:"kernel"`
		CPUs   int    `json:"cpus"`
		Memory uint64 `json:"memory_bytes"`
	}
	jsonSelf struct {
		Version      string            `json:"version"`
		CPU          number            `json:"cpu_ratio"`
		BPF          number            `json:"bpf_ratio"`
		RSS          uint64            `json:"rss_bytes"`
		Events       uint64            `json:"events"`
		Lost         map[string]uint64 `json:"lost"`
		Completeness number            `json:"completeness"`
		Folded       uint64            `json:"folded"`
		Privileged   bool              `json:"privileged"`
		Notice       string            `json:"notice"`
		Others       []int32           `json:"others"`
		Coverage     jsonCoverage      `json:"coverage"`
	}
	jsonRuntime struct {
		Language string `json:"language"`
		Version  string `json:"version"`
		SDK      string `json:"sdk"`
	}
	// jsonCoverage counts exchanges: what the kernel saw, what became requests,
	// what was lost on the way, what had no counterpart, and why the rest was not
	// understood; and bytes and connections.
	jsonCoverage struct {
		Exchanges   uint64 `json:"exchanges"`
		Parsed      uint64 `json:"parsed"`
		Lost        uint64 `json:"lost"`
		Unpaired    uint64 `json:"unpaired"`
		Unknown     uint64 `json:"unknown"`
		Encrypted   uint64 `json:"encrypted"`
		Blind       uint64 `json:"blind"`
		Why         string `json:"why"`
		Bytes       uint64 `json:"bytes"`
		BytesParsed uint64 `json:"bytes_parsed"`
		Connections uint64 `json:"connections"`
		Joined      uint64 `json:"joined"`
		Gaps        uint64 `json:"gaps"`
	}
	jsonInstr struct {
		Kind   string     `json:"kind"`
		State  core.Phase `json:"state"`
		Reason string     `json:"reason"`
		Since  moment     `json:"since"`
		Cost   number     `json:"cost_ratio"`
	}
	jsonMetric struct {
		Name  string `json:"name"`
		Label string `json:"label,omitempty"`
		Value number `json:"value"`
		Rate  number `json:"rate,omitempty"`
	}
	jsonProcess struct {
		PID        int32             `json:"pid"`
		Birth      uint64            `json:"birth"`
		PPID       int32             `json:"ppid"`
		Comm       string            `json:"comm"`
		Exe        string            `json:"exe"`
		Cmdline    string            `json:"cmdline"`
		User       string            `json:"user"`
		Service    string            `json:"service"`
		Group      string            `json:"group"`
		Skip       string            `json:"skip"`
		Runtime    jsonRuntime       `json:"runtime"`
		Container  string            `json:"container"`
		Pod        string            `json:"pod"`
		Unit       string            `json:"systemd_unit"`
		Attributes map[string]string `json:"attributes"`
		Listeners  []string          `json:"listeners"`
		CPU        number            `json:"cpu_ratio"`
		RSS        level             `json:"rss_bytes"`
		Alive      bool              `json:"alive"`
		Started    moment            `json:"started"`
		Ended      moment            `json:"ended"`
		InFlight   int               `json:"in_flight"`
		Instr      []jsonInstr       `json:"instrumentation"`
		Metrics    []jsonMetric      `json:"metrics"`
		Coverage   jsonCoverage      `json:"coverage"`
	}
	jsonService struct {
		Name    string      `json:"name"`
		Group   string      `json:"group"`
		PIDs    []int32     `json:"pids"`
		Health  core.Health `json:"health"`
		Message string      `json:"message"`

		Exemplars []jsonExemplar `json:"exemplars"`
		Coverage  jsonCoverage   `json:"coverage"`
	}
	jsonRequest struct {
		PID      int32  `json:"pid"`
		Service  string `json:"service"`
		Role     string `json:"role"`
		Protocol string `json:"protocol"`
		Peer     string `json:"peer"`
		TLS      bool   `json:"tls"`
		Method   string `json:"method"`
		Route    string `json:"route"`
		Status   int    `json:"status"`
		Code     string `json:"code"`
		Error    string `json:"error"`
		Failed   bool   `json:"failed"`
		Stream   bool   `json:"stream"`
		Count    uint64 `json:"count"`
		Partial  uint64 `json:"partial"`
		InFlight level  `json:"in_flight"`
		BytesIn  uint64 `json:"bytes_in"`
		BytesOut uint64 `json:"bytes_out"`
		Mean     number `json:"mean_seconds"`
		P50      number `json:"p50_seconds"`
		P90      number `json:"p90_seconds"`
		P99      number `json:"p99_seconds"`
		Max      number `json:"max_seconds"`
		First50  number `json:"first_byte_p50_seconds"`
		First99  number `json:"first_byte_p99_seconds"`
	}
	jsonEdge struct {
		From     string `json:"from"`
		To       string `json:"to"`
		Protocol string `json:"protocol"`
		Count    uint64 `json:"count"`
		Errors   uint64 `json:"errors"`
		P99      number `json:"p99_seconds"`
		P50      number `json:"p50_seconds"`
		Rate     number `json:"rate"`
		Last     moment `json:"last"`
		Outside  bool   `json:"outside"`
	}
	// jsonExemplar is one request that was slow or failed.
	jsonExemplar struct {
		At       moment `json:"at"`
		PID      int32  `json:"pid"`
		Service  string `json:"service"`
		Role     string `json:"role"`
		Protocol string `json:"protocol"`
		Peer     string `json:"peer"`
		Method   string `json:"method"`
		Route    string `json:"route"`
		Status   int    `json:"status"`
		Code     string `json:"code"`
		Error    string `json:"error"`
		Failed   bool   `json:"failed"`
		Duration number `json:"duration_seconds"`
		First    number `json:"first_byte_seconds"`
		Typical  number `json:"typical_seconds"`
		Partial  bool   `json:"partial"`
	}
	jsonUnit struct {
		ID       string            `json:"id"`
		Class    core.Class        `json:"class"`
		Kind     string            `json:"kind"`
		Phase    core.Phase        `json:"phase"`
		Health   core.Health       `json:"health"`
		Message  string            `json:"message"`
		Since    moment            `json:"since"`
		Attempts int               `json:"attempts"`
		NextTry  moment            `json:"next_try"`
		Parts    map[string]string `json:"parts,omitempty"`
		Tries    uint64            `json:"tries"`
		Failures uint64            `json:"failures"`
	}
	jsonEvent struct {
		Seq     uint64         `json:"seq"`
		At      moment         `json:"at"`
		Kind    core.EventKind `json:"kind"`
		Unit    string         `json:"unit"`
		PID     int32          `json:"pid"`
		Service string         `json:"service"`
		From    string         `json:"from"`
		To      string         `json:"to"`
		Error   string         `json:"error"`
		Reason  string         `json:"reason"`
	}
	jsonPush struct {
		Destination string `json:"destination"`
		State       string `json:"state"`
		LastSuccess moment `json:"last_success"`
		Pushes      uint64 `json:"pushes"`
		Failures    uint64 `json:"failures"`
		Bytes       uint64 `json:"bytes"`
		Error       string `json:"error"`
		Kind        string `json:"kind"`
		Address     string `json:"address"`
		Unit        string `json:"unit"`
		Skipped     uint64 `json:"skipped"`
		NextAttempt moment `json:"next_attempt"`
	}
	jsonCall struct {
		Op       string                  `json:"op"`
		Begun    uint64                  `json:"begun"`
		Ended    map[core.Outcome]uint64 `json:"ended"`
		InFlight int                     `json:"in_flight"`
		Oldest   number                  `json:"oldest_seconds"`
		Last     number                  `json:"last_seconds"`
		P50      number                  `json:"p50_seconds"`
		P99      number                  `json:"p99_seconds"`
	}
)

// WriteJSON writes s as the stable JSON interface, version 1. What is not known
// is null.
func WriteJSON(w io.Writer, s *core.Snapshot) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(jsonOf(s))
}

func jsonOf(s *core.Snapshot) *jsonSnapshot {
	h, m, costs := s.Host, s.Self, s.Costs()
	return &jsonSnapshot{
		Version: 1, Seq: s.Seq, At: moment(s.At), Window: number(s.Window.Seconds()),
		Host: jsonHost{h.Name, h.Kernel, h.CPUs, h.MemoryBytes},
		Self: jsonSelf{
			Version: m.Version, CPU: number(m.CPURatio), BPF: number(m.BPFRatio), RSS: m.RSSBytes, Events: m.Events,
			Lost: filled(m.Lost), Completeness: number(m.Completeness), Folded: m.Folded,
			Privileged: m.Privileged, Notice: m.Notice, Others: list(m.Others), Coverage: jsonCoverageOf(&m.Coverage),
		},
		Processes: each(s.Processes, func(r *core.ProcessRow) jsonProcess { return jsonProcessOf(r, costs) }),
		Services: each(s.Services, func(r *core.ServiceRow) jsonService {
			return jsonService{r.Name, r.Group, list(r.PIDs), r.Health, r.Message, each(r.Exemplars, jsonExemplarOf), jsonCoverageOf(&r.Coverage)}
		}),
		Requests: each(slices.Concat(s.Requests, s.Retired), jsonRequestOf),
		Edges: each(s.Edges, func(e *core.EdgeRow) jsonEdge {
			return jsonEdge{e.From, e.To, e.Protocol, e.Count, e.Errors, number(e.P99), number(e.P50), number(e.Rate), moment(e.Last), e.Outside}
		}),
		Exemplars: each(s.Exemplars, jsonExemplarOf),
		Units: each(s.Units, func(u *core.UnitRow) jsonUnit {
			return jsonUnit{u.ID, u.Class, u.Kind, u.Phase, u.Health, u.Message, moment(u.Since), u.Attempts, moment(u.NextTry), u.Parts, u.Tries, u.Failures}
		}),
		Calls: each(s.Calls, func(c core.CallRow) jsonCall {
			return jsonCall{c.Op, c.Begun, filled(c.Ended), c.InFlight, number(c.Oldest.Seconds()), number(c.Last.Seconds()),
				number(c.Duration.Quantile(.5)), number(c.Duration.Quantile(.99))}
		}),
		Events: each(s.Events, func(e core.Event) jsonEvent {
			return jsonEvent{e.Seq, moment(e.At), e.Kind, e.Unit, e.Proc.PID, e.Service, e.From, e.To, e.Error, e.Reason}
		}),
		Gateway: gatewayOf(s.Gateway), Integrations: each(s.Integrations, jsonIntegrationOf),
		Push: each(s.Push, func(p *core.PushRow) jsonPush {
			return jsonPush{p.Destination, p.State, moment(p.LastSuccess), p.Pushes, p.Failures, p.Bytes, p.LastError,
				p.Kind, p.Address, p.Unit, p.Skipped, moment(p.NextAttempt)}
		}),
	}
}

func jsonProcessOf(r *core.ProcessRow, costs *core.Costs) jsonProcess {
	return jsonProcess{
		PID: r.PID, Birth: r.Birth, PPID: r.PPID, Comm: r.Comm, Exe: r.Exe, Cmdline: r.Cmdline, User: r.User,
		Service: r.Service, Group: r.Group, Skip: r.Skip, Runtime: jsonRuntime{r.Runtime.Language, r.Runtime.Version, r.Runtime.SDK},
		Container: r.Container, Pod: r.Pod, Unit: r.Unit, Attributes: filled(r.Attributes),
		Listeners: each(r.Listeners, core.Listener.String),
		CPU:       number(r.CPURatio), RSS: level(r.Usage.RSS), Alive: r.Alive, Started: moment(r.Started), Ended: moment(r.Ended),
		InFlight: r.Server.InFlight + r.Client.InFlight,
		Coverage: jsonCoverageOf(&r.Coverage),
		Instr: each(r.Instr, func(i core.InstrState) jsonInstr {
			return jsonInstr{i.Kind, i.Phase, i.Reason, moment(i.Since), number(costs.Of(i.Kind, r.ProcKey))}
		}),
		Metrics: each(r.Values, func(v core.Value) jsonMetric {
			return jsonMetric{v.Desc.Name, v.Label, number(v.V), number(v.Rate)}
		}),
	}
}

func jsonRequestOf(r *core.RequestRow) jsonRequest {
	slowest := math.NaN()
	if r.Duration != nil {
		slowest = r.Duration.Max
	}
	return jsonRequest{
		PID: r.Proc.PID, Service: r.Service, Role: r.Role.String(), Protocol: r.Protocol, Peer: r.Peer, TLS: r.TLS,
		Method: r.Method, Route: r.Route, Status: r.Status, Code: r.Code, Error: r.Error, Failed: r.Failed, Stream: r.Stream, Count: r.Count, Partial: r.Partial,
		InFlight: level(r.InFlight), BytesIn: r.BytesIn, BytesOut: r.BytesOut,
		Mean: number(r.Duration.Mean()), P50: number(r.Duration.Quantile(.5)), P90: number(r.Duration.Quantile(.9)),
		P99: number(r.Duration.Quantile(.99)), Max: number(slowest),
		First50: number(r.FirstByte.Quantile(.5)), First99: number(r.FirstByte.Quantile(.99)),
	}
}

func jsonCoverageOf(c *core.Coverage) jsonCoverage {
	return jsonCoverage{
		c.Exchanges, c.Parsed, c.Lost, c.Unpaired, c.Unknown, c.Encrypted, c.Blind, c.Why,
		c.BytesIn + c.BytesOut, c.BytesParsed, c.Connections, c.Joined, c.Gaps,
	}
}

func jsonExemplarOf(x *core.Exemplar) jsonExemplar {
	typical := math.NaN()
	if x.Typical > 0 {
		typical = x.Typical.Seconds()
	}
	return jsonExemplar{
		moment(x.At), x.Proc.PID, x.Service, x.Role.String(), x.Protocol, x.Peer, x.Method, x.Route, x.Status, x.Code, x.Error,
		x.Failed, number(x.Duration.Seconds()), number(x.FirstByte.Seconds()), number(typical), x.Partial,
	}
}

// each maps a list; the result is never nil, so that JSON has [] and not null.
func each[A, B any](from []A, f func(A) B) []B {
	to := make([]B, len(from))
	for i, v := range from {
		to[i] = f(v)
	}
	return to
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func filled[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}
