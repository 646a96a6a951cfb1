package integrations

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/dial"
	"vitals/core/integrations/kit"
)

// Bounds of what one server can claim.
const (
	maxEndpoints  = 16
	maxCandidates = 16
)

// server is one that was recognised: a process, or several that share a socket.
type server struct {
	kind       kit.Kind
	sockets    map[socketKey]bool
	procs      []*core.Process // the oldest first
	signs      []string
	evidence   string // the signs in words
	where      dial.Target
	candidates []candidate

	chosen  int // of candidates: the one that answered, else the first
	saw     string
	err     error // of the newest probe
	probed  bool
	probing bool
	due     time.Time // when to probe; zero for never
	pause   time.Duration
	lost    bool      // it was asked, and is gone for longer than the grace
	gone    time.Time // since when it does not listen, zero while it does
	shown   string    // what was told of it last
	fresh   bool      // what the row of its job says of it is to be told
}

// socketKey is one listening socket.
type socketKey struct {
	netns            uint64
	network, address string
}

// candidate is settings that may reach the server.
type candidate struct {
	name     string
	settings any
	other    bool // something else answers there
}

// id is that of the integration with it, as far as it is known.
func (s *server) id() string { return unitID(s.kind.Name, s.name()) }

func (s *server) name() string {
	if len(s.candidates) == 0 {
		return "pid " + strconv.Itoa(int(s.procs[0].PID))
	}
	return s.candidates[s.chosen].name
}

// signsOf are the kinds of evidence that a process shows of a kind of server, the
// strongest first, and the same in words.
func signsOf(k kit.Kind, p *core.Process, protocols map[string]bool) (signs []string, words string) {
	var said []string
	note := func(sign, text string) {
		if !slices.Contains(signs, sign) {
			signs = append(signs, sign)
			said = append(said, strings.TrimSpace(sign+" "+text))
		}
	}
	exe := path.Base(p.Exe)
	for _, e := range k.Signs.Executables {
		switch {
		case p.Exe == "":
		case glob(e, p.Comm): // which of several names of one program it was called by
			note("executable", p.Comm)
		case glob(e, exe):
			note("executable", exe)
		}
	}
	for _, a := range k.Signs.Arguments {
		if slices.ContainsFunc(strings.Fields(p.Cmdline), func(w string) bool { return w == a || path.Base(w) == a }) {
			note("arguments", a)
		}
	}
	for _, u := range k.Signs.Units {
		if p.Unit != "" && glob(u, p.Unit) {
			note("unit", p.Unit)
		}
	}
	for _, proto := range k.Signs.Protocols {
		if protocols[proto] {
			note("protocol", proto)
		}
	}
	for _, l := range p.Listeners {
		for _, s := range k.Signs.Sockets {
			if l.Network == "unix" && glob(s, l.Address) {
				note("socket", l.Address)
			}
		}
	}
	for _, l := range p.Listeners {
		if e := (kit.Endpoint{Network: l.Network, Address: l.Address}); e.Port() != 0 && slices.Contains(k.Signs.Ports, e.Port()) {
			note("port", strconv.Itoa(int(e.Port())))
		}
	}
	return signs, strings.Join(said, ", ")
}

// strong reports whether signs are worth a probe: a port alone never is.
func strong(signs []string) bool {
	return slices.ContainsFunc(signs, func(s string) bool { return s != "port" })
}

// endpoints are where to reach listeners, in the order in which to try them.
func endpoints(listeners []core.Listener, ports []uint16) []kit.Endpoint {
	type ranked struct {
		kit.Endpoint
		rank int
	}
	var all []ranked
	for _, l := range listeners {
		e, rank := reach(l)
		if rank < 0 {
			continue
		}
		if e.Port() != 0 && !slices.Contains(ports, e.Port()) {
			rank++
		}
		all = append(all, ranked{e, rank})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(a.rank-b.rank, cmp.Compare(a.Port(), b.Port()), cmp.Compare(a.Address, b.Address))
	})
	var out []kit.Endpoint
	for _, r := range all {
		if !slices.Contains(out, r.Endpoint) && len(out) < maxEndpoints {
			out = append(out, r.Endpoint)
		}
	}
	return out
}

// reach is how to connect to a listener, and how soon to try it; -1 is never.
func reach(l core.Listener) (kit.Endpoint, int) {
	e := kit.Endpoint{Network: l.Network, Address: l.Address}
	if l.Network == "unix" {
		if l.Address == "" || strings.Contains(l.Address, "…") {
			return e, -1 // without a name, or cut
		}
		return e, 0
	}
	at, err := netip.ParseAddrPort(l.Address)
	if err != nil {
		return e, -1
	}
	rank := 2
	switch ip := at.Addr(); {
	case ip.IsUnspecified() && ip.Is4():
		e.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	case ip.IsUnspecified():
		e.Address, rank = netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()).String(), 4
	case ip.IsLoopback() && ip.Is6():
		rank = 4
	case !ip.IsLoopback():
		rank = 6
	}
	if l.Network == "udp" {
		rank += 10
	}
	return e, rank
}

// plan works out how the server may be reached. What it says of itself never
// becomes a reference to a secret.
func (s *server) plan(shared kit.Shared) (err error) {
	defer contain(&err)
	first := s.procs[0]
	s.where = dial.At(first.ProcKey)
	suffix := ""
	if s.where != dial.Here() {
		suffix = "@" + cmp.Or(first.Container[:min(12, len(first.Container))], "netns-"+strconv.FormatUint(first.NetNS, 10))
	}
	var listeners []core.Listener
	for _, p := range s.procs {
		listeners = append(listeners, p.Listeners...)
	}
	old := s.candidates
	s.candidates = nil
	target := kit.Server{Process: first, Endpoints: endpoints(listeners, s.kind.Signs.Ports), Signs: slices.Clone(s.signs)}
	for _, settings := range s.kind.Candidates(target) {
		settings, name, err := s.kind.Prepare(settings, shared)
		if err != nil || len(s.candidates) == maxCandidates {
			continue
		}
		kit.EachSecret(settings, func(x kit.Secret) {
			if x.Reference() {
				err = errors.New("what was found names a secret")
			}
		})
		if err != nil {
			return fmt.Errorf("settings of a found %s: %w", s.kind.Name, err)
		}
		c := candidate{name: name + suffix, settings: settings}
		if i := slices.IndexFunc(old, func(o candidate) bool { return o.name == c.name }); i >= 0 {
			c = old[i] // with what its probe completed
		}
		s.candidates = append(s.candidates, c)
	}
	s.chosen = min(s.chosen, max(0, len(s.candidates)-1))
	if s.chosen < len(old) && len(s.candidates) > 0 {
		if i := slices.IndexFunc(s.candidates, func(c candidate) bool { return c.name == old[s.chosen].name }); i >= 0 {
			s.chosen = i
		}
	}
	return nil
}

// describe adds to a row what is known of the server behind it.
func (s *server) describe(r *core.IntegrationRow) {
	r.Procs = nil
	for _, p := range s.procs {
		r.Procs = append(r.Procs, p.ProcKey)
	}
	r.Service = s.procs[0].Service
	why := s.evidence
	if s.saw != "" {
		why += "; " + s.saw
	}
	if r.Origin == "configured" {
		why = "configured; " + why
	}
	r.Why = core.Clean(why, core.MaxCmdline)
	if !s.gone.IsZero() {
		text := "its server ended " + s.gone.Format(time.TimeOnly)
		if r.Message != "" {
			text += "; " + r.Message
		}
		r.Message = core.Clean(text, core.MaxCmdline)
	}
}
