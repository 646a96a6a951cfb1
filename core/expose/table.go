package expose

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"vitals/core"
	"vitals/core/metric"
)

// WriteTable writes for people: what there is to know of the run, then services
// with their requests, summed over processes, then what it runs on.
func WriteTable(w io.Writer, s *core.Snapshot) error {
	t := tabwriter.NewWriter(indentless{w}, 0, 0, 2, ' ', tabwriter.AlignRight)
	window := s.Window.Seconds()
	fmt.Fprintf(w, "%s: %d processes, %d services, %s watched, %s requests served, %s made\n",
		cmp.Or(s.Host.Name, "this host"), s.Totals.Processes, len(s.Services), brief(window), count(s.Totals.Server.Count), count(s.Totals.Client.Count))
	for _, line := range remarks(s) {
		fmt.Fprintln(w, line)
	}
	writeServices(t, s, window)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	groups := routes(s)
	if len(groups) == 0 {
		_, err := fmt.Fprintln(w, "\nno requests were seen")
		return err
	}
	fmt.Fprintln(w)
	// Text columns are on the left, which a table of one alignment cannot do:
	// they are padded here.
	names, peers := len("REQUEST"), len("SERVICE")
	for _, g := range groups {
		names, peers = max(names, width(g.name())), max(peers, width(g.service))
	}
	fmt.Fprintf(t, "%s\t%s\tSTATUS\tCOUNT\tREQ/S\tP50\tP90\tP99\tMAX\t\n", pad("SERVICE", peers), pad("REQUEST", names))
	for _, g := range groups {
		d := g.durations.Snapshot()
		slowest := math.NaN()
		if d != nil {
			slowest = d.Max
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", pad(g.service, peers), pad(g.name(), names), cmp.Or(status(g.status), g.err, "-"),
			count(g.count), rate(float64(g.count)/window), brief(d.Quantile(.5)), brief(d.Quantile(.9)), brief(d.Quantile(.99)), brief(slowest))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// indentless takes away the two spaces before the first column, which aligning
// to the right puts there, and spaces at the end of lines.
type indentless struct{ w io.Writer }

func (i indentless) Write(p []byte) (int, error) {
	lines := strings.SplitAfter(string(p), "\n")
	for n, l := range lines {
		lines[n] = strings.TrimPrefix(l, "  ")
	}
	_, err := io.WriteString(i.w, strings.Join(lines, ""))
	return len(p), err
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

func writeServices(t io.Writer, s *core.Snapshot, window float64) {
	shown := worthwhile(s)
	names := len("SERVICE")
	for _, svc := range s.Services {
		if shown[svc.Name] {
			names = max(names, width(svc.Name))
		}
	}
	header := false
	for _, svc := range s.Services {
		if !shown[svc.Name] {
			continue
		}
		if !header {
			header = true
			fmt.Fprintf(t, "\n%s\tPROCS\tCPU%%\tRSS\tSERVED\tREQ/S\tERRORS\tMADE\tREQ/S\tERRORS\t\n", pad("SERVICE", names))
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", pad(svc.Name, names), len(svc.PIDs), percent(svc.CPURatio), size(svc.RSSBytes),
			count(svc.Server.Count), rate(float64(svc.Server.Count)/window), share(svc.Server),
			count(svc.Client.Count), rate(float64(svc.Client.Count)/window), share(svc.Client))
	}
}

// route is one kind of request of a service, summed over processes.
type route struct {
	routeKey
	count     uint64
	durations metric.Durations
}

type routeKey struct {
	service, peer, method, route, protocol, err string
	role                                        core.Role
	status                                      int
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

func routes(s *core.Snapshot) []*route {
	byKey := map[routeKey]*route{}
	for _, rows := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range rows {
			key := routeKey{r.Service, r.Peer, r.Method, r.Route, r.Protocol, r.Error, r.Role, r.Status}
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
			strings.Compare(a.route, b.route), strings.Compare(a.method, b.method), cmp.Compare(a.status, b.status), strings.Compare(a.err, b.err), strings.Compare(a.protocol, b.protocol))
	})
}
