package expose

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/metric"
)

// WriteTable writes for people: what there is to know of the run, then services,
// then their requests, summed over processes.
func WriteTable(w io.Writer, s *core.Snapshot) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d processes, %d services; in %s ", cmp.Or(s.Host.Name, "this host"), s.Totals.Processes, len(s.Services), brief(s.Window.Seconds()))
	if blind(s) {
		b.WriteString("requests were not watched\n")
	} else {
		fmt.Fprintf(&b, "%s requests were served and %s made\n", count(s.Totals.Server.Count), count(s.Totals.Client.Count))
	}
	for _, line := range remarks(s) {
		b.WriteString(line + "\n")
	}
	writeServices(&b, s)
	writeRoutes(&b, s)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// blind reports whether requests could not be seen, so that none counted does
// not mean none there. What was counted before they were switched off is told.
func blind(s *core.Snapshot) bool {
	if s.Totals.Server.Count+s.Totals.Client.Count > 0 {
		return false
	}
	return slices.ContainsFunc(s.Units, func(u *core.UnitRow) bool {
		return u.Class == core.ClassInstrumentation && u.Kind == "requests" && u.Phase != core.PhaseRunning && u.Phase != core.PhaseTuning
	})
}

func writeRoutes(b *strings.Builder, s *core.Snapshot) {
	groups := routes(s)
	if len(groups) == 0 {
		if !blind(s) {
			b.WriteString("\nno requests were seen\n")
		}
		return
	}
	b.WriteString("\n")
	g := grid{left: 2}
	g.row("SERVICE", "REQUEST", "STATUS", "COUNT", "REQ/S", "P50", "P90", "P99", "MAX")
	for _, r := range groups {
		d := r.durations.Snapshot()
		slowest := math.NaN()
		if d != nil {
			slowest = d.Max
		}
		g.row(r.service, r.name(), cmp.Or(outcome(r.status, r.code), r.err, unknown), count(r.count), rate(float64(r.count)/s.Window.Seconds()),
			brief(d.Quantile(.5)), brief(d.Quantile(.9)), brief(d.Quantile(.99)), brief(slowest))
	}
	g.write(b)
}

// remarks are what a reader must know to judge the figures.
func remarks(s *core.Snapshot) []string {
	var lines []string
	if s.Self.Notice != "" {
		lines = append(lines, "note: "+s.Self.Notice)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Self.Lost)) {
		lines = append(lines, fmt.Sprintf("lost: %d (%s)", s.Self.Lost[key], key))
	}
	if c := s.Self.Completeness; c < 1 {
		lines = append(lines, fmt.Sprintf("completeness: %.2f%% of the exchanges were parsed", math.Floor(c*1e4)/1e2))
	}
	for _, svc := range s.Services {
		if svc.Health == core.HealthDegraded {
			lines = append(lines, fmt.Sprintf("%s: %s", svc.Name, svc.Message))
		}
	}
	return lines
}

func writeServices(b *strings.Builder, s *core.Snapshot) {
	shown := worthwhile(s)
	if len(shown) == 0 {
		return
	}
	window := s.Window.Seconds()
	g := grid{left: 1}
	none := blind(s)
	if none {
		g.row("SERVICE", "PROCS", "CPU%", "RSS")
	} else {
		g.row("SERVICE", "PROCS", "CPU%", "RSS", "SERVED", "REQ/S", "ERRORS", "MADE", "REQ/S", "ERRORS")
	}
	for _, svc := range s.Services {
		switch {
		case !shown[svc.Name]:
		case none:
			g.row(svc.Name, fmt.Sprint(len(svc.PIDs)), percent(svc.CPURatio), size(svc.RSSBytes))
		default:
			g.row(svc.Name, fmt.Sprint(len(svc.PIDs)), percent(svc.CPURatio), size(svc.RSSBytes),
				count(svc.Server.Count), rate(float64(svc.Server.Count)/window), share(svc.Server),
				count(svc.Client.Count), rate(float64(svc.Client.Count)/window), share(svc.Client))
		}
	}
	b.WriteString("\n")
	g.write(b)
}

// route is one kind of request of a service, summed over processes.
type route struct {
	routeKey
	count     uint64
	durations metric.Durations
}

type routeKey struct {
	service, peer, method, route, protocol, code, err string
	role                                              core.Role
	status                                            int
}

func (r *route) name() string {
	what := strings.TrimSpace(r.method + " " + r.route)
	if what == "" {
		what = r.protocol
	}
	switch {
	case r.role == core.RoleClient && r.peer != "":
		return "-> " + r.peer + "  " + what
	case r.role == core.RoleClient:
		return "-> " + what
	}
	return what
}

// outcome is how an answer is named: by its code where protocols have names for
// it, else by its number.
func outcome(number int, code string) string { return cmp.Or(code, status(number)) }

func routes(s *core.Snapshot) []*route {
	byKey := map[routeKey]*route{}
	for _, rows := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range rows {
			key := routeKey{r.Service, r.Peer, r.Method, r.Route, r.Protocol, r.Code, r.Error, r.Role, r.Status}
			g := byKey[key]
			if g == nil {
				g = &route{routeKey: key}
				byKey[key] = g
			}
			g.count += r.Count
			g.durations.Add(r.Duration)
		}
	}
	return slices.SortedFunc(maps.Values(byKey), func(a, b *route) int {
		return cmp.Or(strings.Compare(a.service, b.service), cmp.Compare(a.role, b.role), strings.Compare(a.peer, b.peer),
			strings.Compare(a.route, b.route), strings.Compare(a.method, b.method), cmp.Compare(a.status, b.status), strings.Compare(a.code, b.code), strings.Compare(a.err, b.err), strings.Compare(a.protocol, b.protocol))
	})
}
