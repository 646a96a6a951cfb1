package process

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// route is what equal requests of the subject's processes add up to.
type route struct {
	key      routeKey
	failed   bool
	count    uint64
	partial  uint64
	rate     float64
	in, out  uint64
	duration *core.Distribution
	p50, p99 float64
	max      float64
	parts    []*core.Distribution
}

type routeKey struct {
	role                          core.Role
	protocol, peer, method, route string
	status                        int
	err                           string
}

const (
	routeRole = iota
	routeMethod
	routeRoute
	routePeer
	routeStatus
	routeCount
	routeRate
	routeP50
	routeP99
	routeMax
	routeBytes
)

func routeColumns() []widget.Column {
	return []widget.Column{
		routeRole:   {Title: "ROLE", W: 6, Leave: 4},
		routeMethod: {Title: "METHOD", W: 7, Min: 4},
		routeRoute:  {Title: "ROUTE", W: 24, Min: 14, Max: 60},
		routePeer:   {Title: "PEER", W: 16, Min: 8, Max: 24, Leave: 2},
		routeStatus: {Title: "STATUS", W: 7, Min: 6},
		routeCount:  {Title: "COUNT", W: 9, Right: true},
		routeRate:   {Title: "RATE/s", W: 7, Right: true},
		routeP50:    {Title: "P50", W: 6, Right: true, Leave: 3},
		routeP99:    {Title: "P99", W: 6, Right: true},
		routeMax:    {Title: "MAX", W: 6, Right: true, Leave: 5},
		routeBytes:  {Title: "OUT", W: 5, Right: true, Leave: 1},
	}
}

func (p *Page) updateRoutes(c *page.Context) {
	index := map[routeKey]int{}
	p.routes = p.routes[:0]
	for _, q := range c.Snap.Requests {
		if !p.mine(q) {
			continue
		}
		k := routeKey{q.Role, q.Protocol, q.Peer, q.Method, q.Route, q.Status, q.Error}
		i, ok := index[k]
		if !ok {
			i = len(p.routes)
			index[k] = i
			p.routes = append(p.routes, route{key: k})
		}
		r := &p.routes[i]
		r.failed = r.failed || q.Failed
		r.count += q.Count
		r.partial += q.Partial
		r.rate += q.Rate
		r.in += q.BytesIn
		r.out += q.BytesOut
		r.parts = append(r.parts, q.Duration)
	}
	for i := range p.routes {
		p.routes[i].finish()
	}
	p.routes = slices.DeleteFunc(p.routes, func(r route) bool { return !p.filter.Match(&r) })
	slices.SortFunc(p.routes, func(a, b route) int {
		return cmp.Or(-cmp.Compare(a.count, b.count), cmp.Compare(a.key.method, b.key.method), cmp.Compare(a.key.route, b.key.route),
			cmp.Compare(a.key.status, b.key.status), cmp.Compare(a.key.peer, b.key.peer))
	})
	p.routeTable.N = len(p.routes)
}

func (r *route) finish() {
	r.duration = page.Merge(r.parts)
	r.p50, r.p99, r.max = r.duration.Quantile(0.5), r.duration.Quantile(0.99), math.NaN()
	if r.duration != nil {
		r.max = r.duration.Max
	}
}

func (p *Page) mine(q *core.RequestRow) bool {
	if p.about.Service != "" {
		return q.Service == p.about.Service
	}
	return q.Proc == p.about.Proc
}

func parseRoutes(line string) filter.Filter[*route] {
	return filter.Fields[*route]{
		Words: func(r *route, w string) bool { return filter.Contains(r.key.route, w) },
		Exact: map[string]func(*route) string{
			"method": func(r *route) string { return r.key.method },
			"status": func(r *route) string { return strconv.Itoa(r.key.status) },
			"role":   func(r *route) string { return r.key.role.String() },
		},
		Text: map[string]func(*route) string{
			"route": func(r *route) string { return r.key.route },
			"peer":  func(r *route) string { return r.key.peer },
			"error": func(r *route) string { return r.key.err },
		},
		Number: map[string]func(*route) float64{
			"count":  func(r *route) float64 { return float64(r.count) },
			"rate":   func(r *route) float64 { return r.rate },
			"p99":    func(r *route) float64 { return r.p99 },
			"status": func(r *route) float64 { return float64(r.key.status) },
		},
	}.Parse(line)
}

func (p *Page) drawRoutes(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Routes", "", true)
	if len(p.routes) == 0 {
		in.Fit(2, 1, in.W-4, p.noRoutes(c), canvas.Fg(canvas.Muted))
		return
	}
	p.routeTable.Draw(in, func(row, col int, cell canvas.Area) { drawRoute(&p.routes[row], col, cell) })
	widget.Remark(a, cmp.Or(p.routeTable.Span(), "counts since vitals began to look"))
	c.At(p.routeTable.CursorAt())
}

func (p *Page) noRoutes(c *page.Context) string {
	switch {
	case p.line != "":
		return "no route matches; esc shows all"
	case p.row != nil && !page.Watched(p.row):
		_, reason := page.StateOf(c, p.row)
		return "requests are not watched: " + reason
	}
	return "no request was seen yet"
}

func drawRoute(r *route, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case routeRole:
		cell.Fit(0, 0, cell.W, r.key.role.String(), canvas.Fg(canvas.Muted))
	case routeMethod:
		cell.Fit(0, 0, cell.W, r.key.method, canvas.Strong(canvas.FG))
	case routeRoute:
		cell.Fit(0, 0, cell.W, r.key.route, canvas.Style{})
	case routePeer:
		cell.Fit(0, 0, cell.W, r.key.peer, canvas.Fg(canvas.Muted))
	case routeStatus:
		tok := canvas.OK
		if r.failed {
			tok = canvas.Crit
		} else if r.key.status >= 400 {
			tok = canvas.Warn
		}
		text := r.key.err
		if r.key.status != 0 {
			text = string(format.Int(b[:0], r.key.status))
			if r.key.err != "" {
				text += " " + r.key.err
			}
		}
		cell.Fit(0, 0, cell.W, text, canvas.Fg(tok))
	case routeCount:
		page.Num(cell, format.Int(b[:0], r.count), canvas.Style{})
	case routeRate:
		page.Rate(cell, r.rate, true)
	case routeP50:
		page.Latency(cell, r.p50)
	case routeP99:
		page.Latency(cell, r.p99)
	case routeMax:
		page.Latency(cell, r.max)
	case routeBytes:
		page.Memory(cell, int64(min(r.out, math.MaxInt64)))
	}
}

// promQL is the query for this route's request rate, for those who have the
// metrics in Prometheus.
func (r *route) promQL(service string) string {
	name, labels := "http_server_request_duration_seconds", ""
	if r.key.role == core.RoleClient {
		name = "http_client_request_duration_seconds"
		labels = fmt.Sprintf(",server_address=%q", r.key.peer)
	}
	return fmt.Sprintf("sum(rate(%s_count{service_name=%q,http_request_method=%q,http_route=%q,http_response_status_code=\"%d\"%s}[1m]))",
		name, service, r.key.method, r.key.route, r.key.status, labels)
}
