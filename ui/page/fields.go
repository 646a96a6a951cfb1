package page

import (
	"strconv"
	"strings"

	"vitals/core"
	"vitals/ui/filter"
)

// ProcessHelp names the keys of a filter on processes.
const ProcessHelp = "pid: name: service: lang: user: container: unit: port: state:on|off|failed proto:  rate> err> p99>100ms cpu> rss>1G  !not  a|b"

// ParseProcesses reads a filter on processes; c must live as long as the filter.
func ParseProcesses(c *Context, line string) filter.Filter[*core.ProcessRow] {
	return filter.Fields[*core.ProcessRow]{
		Words: func(r *core.ProcessRow, w string) bool {
			return filter.Contains(r.Service, w) || filter.Contains(r.Comm, w) || filter.Contains(r.Cmdline, w)
		},
		Exact: map[string]func(*core.ProcessRow) string{
			"pid":  func(r *core.ProcessRow) string { return strconv.Itoa(int(r.PID)) },
			"ppid": func(r *core.ProcessRow) string { return strconv.Itoa(int(r.PPID)) },
			"lang": func(r *core.ProcessRow) string { return r.Runtime.Language },
			"user": func(r *core.ProcessRow) string { return r.User },
			"state": func(r *core.ProcessRow) string {
				s, _ := StateOf(c, r)
				return s.String()
			},
		},
		Text: map[string]func(*core.ProcessRow) string{
			"service":   func(r *core.ProcessRow) string { return r.Service },
			"exe":       func(r *core.ProcessRow) string { return r.Exe },
			"cmd":       func(r *core.ProcessRow) string { return r.Cmdline },
			"container": func(r *core.ProcessRow) string { return r.Container },
			"pod":       func(r *core.ProcessRow) string { return r.Pod },
			"unit":      func(r *core.ProcessRow) string { return r.Unit },
			"proto":     func(r *core.ProcessRow) string { return c.Protocols(r.ProcKey) },
			"group":     func(r *core.ProcessRow) string { return r.Group },
		},
		Is: map[string]func(*core.ProcessRow, string) bool{
			"name": func(r *core.ProcessRow, part string) bool { // as the column NAME shows it, or as ps does
				return filter.Contains(Name(r.Process), part) || filter.Contains(r.Comm, part)
			},
			"port": func(r *core.ProcessRow, port string) bool {
				for _, l := range r.Listeners {
					if i := strings.LastIndexByte(l.Address, ':'); i >= 0 && l.Address[i+1:] == port {
						return true
					}
				}
				return false
			},
		},
		Number: map[string]func(*core.ProcessRow) float64{
			"rate": func(r *core.ProcessRow) float64 { red, _ := RED(&r.Server, &r.Client); return red.Rate },
			"err":  func(r *core.ProcessRow) float64 { red, _ := RED(&r.Server, &r.Client); return red.ErrRatio * 100 },
			"p99":  func(r *core.ProcessRow) float64 { red, _ := RED(&r.Server, &r.Client); return red.P99 },
			"cpu":  func(r *core.ProcessRow) float64 { return r.CPURatio * 100 },
			"rss":  func(r *core.ProcessRow) float64 { return float64(r.Usage.RSS) },
		},
	}.Parse(line)
}

// Port is the part of an address that matters in little room.
func Port(l core.Listener) string {
	if i := strings.LastIndexByte(l.Address, ':'); i >= 0 && l.Network != "unix" {
		return l.Address[i:]
	}
	return l.Address
}

// Worst is the service with something to say about itself: unwell, and of those
// the one with most requests. Nil when all is well.
func Worst(s *core.Snapshot) *core.ServiceRow {
	var worst *core.ServiceRow
	for _, r := range s.Services {
		if r.Message == "" || Over(r) || r.Health != core.HealthDegraded && r.Health != core.HealthFatal && r.Health != core.HealthPermanent {
			continue
		}
		if worst == nil || r.Server.Rate+r.Client.Rate > worst.Server.Rate+worst.Client.Rate {
			worst = r
		}
	}
	return worst
}
