package page

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/widget"
)

// Route is what equal requests of several processes add up to: a route, a
// statement, a command, with one outcome.
type Route struct {
	RouteKey
	Failed        bool
	Stream        bool // all of them have no latency, see core.Request
	Count         uint64
	Partial       uint64
	Rate          float64
	In, Out       uint64
	P50, P99, Max float64 // seconds, NaN unknown
	parts         []*core.Distribution
	fresh         []*core.Distribution // of the look that goes on
}

// RouteKey is what makes requests equal.
type RouteKey struct {
	Service                       string
	Role                          core.Role
	Protocol, Peer, Method, Route string
	Status                        int
	Code, Err                     string
}

// Columns of Routes.
const (
	RouteService = iota
	RouteProto
	RouteMethod
	RouteRoute
	RoutePeer
	RouteStatus
	RouteCount
	RouteRate
	RouteP50
	RouteP99
	RouteMax
	RouteBytes
)

// Routes is the table of routes, of one subject or of all services.
type Routes struct {
	widget.Table
	Rows   []*Route
	line   string
	filter filter.Filter[*Route]
	known  map[RouteKey]*Route
	whole  bool // of all services
}

// NewRoutes makes the table; whole says that it is about all services.
func NewRoutes(whole bool) *Routes {
	t := &Routes{known: map[RouteKey]*Route{}, whole: whole, filter: parseRoutes("")}
	service := widget.Column{Title: "SERVICE", W: 12, Min: 8, Max: 20}
	if !whole {
		service.W, service.Min, service.Max, service.Leave = 0, 0, 0, 1
	}
	t.Table = widget.Table{Sort: RouteCount, Desc: true, Columns: []widget.Column{
		RouteService: service,
		RouteProto:   {Title: "PROTO", W: 10, Min: 6, Leave: 3},
		RouteMethod:  {Title: "METHOD", W: 7, Min: 6, Max: 10},
		RouteRoute:   {Title: "ROUTE", W: 24, Min: 20, Max: 90},
		RoutePeer:    {Title: "ASKED OF", W: 14, Min: 8, Max: 26, Leave: 2},
		RouteStatus:  {Title: "STATUS", W: 7, Min: 6},
		RouteCount:   {Title: "COUNT", W: 9, Right: true, Leave: 7},
		RouteRate:    {Title: "RATE/s", W: 7, Right: true},
		RouteP50:     {Title: "P50", W: 6, Right: true, Leave: 4},
		RouteP99:     {Title: "P99", W: 6, Right: true},
		RouteMax:     {Title: "MAX", W: 6, Right: true, Leave: 6},
		RouteBytes:   {Title: "OUT", W: 5, Right: true, Leave: 1},
	}}
	if !whole {
		t.Columns[RouteService].Title = ""
	}
	return t
}

// Filter is the filter as it was typed.
func (t *Routes) Filter() string { return t.line }

// FilterHelp names the keys of the filter.
func (t *Routes) FilterHelp() string {
	help := "word in the route  method: status: proto: role: peer: error:  count> rate> p99>100ms"
	if t.whole {
		return help + " service:"
	}
	return help
}

// SetFilter shows the routes that match at the next Update.
func (t *Routes) SetFilter(line string) {
	t.line, t.filter = line, parseRoutes(line)
	t.Cursor = 0
}

func parseRoutes(line string) filter.Filter[*Route] {
	return filter.Fields[*Route]{
		Words: func(r *Route, w string) bool {
			return filter.Contains(r.Route, w) || filter.Contains(r.Service, w) || filter.Contains(r.Method, w)
		},
		Exact: map[string]func(*Route) string{
			"method": func(r *Route) string { return r.Method },
			"status": func(r *Route) string { return strconv.Itoa(r.Status) },
			"role":   func(r *Route) string { return r.Role.String() },
		},
		Text: map[string]func(*Route) string{
			"service": func(r *Route) string { return r.Service },
			"route":   func(r *Route) string { return r.Route },
			"peer":    func(r *Route) string { return r.Peer },
			"proto":   func(r *Route) string { return r.Protocol },
			"error":   (*Route).outcome,
		},
		Number: map[string]func(*Route) float64{
			"count":  func(r *Route) float64 { return float64(r.Count) },
			"rate":   func(r *Route) float64 { return r.Rate },
			"p99":    func(r *Route) float64 { return r.P99 },
			"status": func(r *Route) float64 { return float64(r.Status) },
		},
	}.Parse(line)
}

// Update adds up the rows that keep accepts.
func (t *Routes) Update(rows []*core.RequestRow, keep func(*core.RequestRow) bool) {
	for _, r := range t.known {
		r.fresh = r.fresh[:0]
		r.Count, r.Partial, r.Rate, r.In, r.Out, r.Failed, r.Stream = 0, 0, 0, 0, 0, false, true
	}
	for _, q := range rows {
		if keep == nil || keep(q) {
			t.route(q).add(q)
		}
	}
	t.Rows = t.Rows[:0]
	for key, r := range t.known {
		if len(r.fresh) == 0 {
			delete(t.known, key)
			continue
		}
		r.finish()
		if t.filter.Match(r) {
			t.Rows = append(t.Rows, r)
		}
	}
	t.sort()
	t.N = len(t.Rows)
}

// KeyOf is what makes a row equal to others.
func KeyOf(q *core.RequestRow) RouteKey {
	return RouteKey{q.Service, q.Role, q.Protocol, q.Peer, q.Method, q.Route, q.Status, q.Code, q.Error}
}

func (t *Routes) route(q *core.RequestRow) *Route {
	k := KeyOf(q)
	r := t.known[k]
	if r == nil {
		r = &Route{RouteKey: k, Stream: true}
		t.known[k] = r
	}
	return r
}

func (r *Route) add(q *core.RequestRow) {
	r.Failed = r.Failed || q.Failed
	r.Stream = r.Stream && q.Stream
	r.Count += q.Count
	r.Partial += q.Partial
	r.Rate += q.Rate
	r.In += q.BytesIn
	r.Out += q.BytesOut
	d := q.Duration
	if q.Stream {
		d = nil // how long it was open is no latency
	}
	r.fresh = append(r.fresh, d)
}

// finish computes quantiles anew only where something was counted: rows that
// rest carry the same distributions from one snapshot to the next.
func (r *Route) finish() {
	if slices.Equal(r.parts, r.fresh) {
		return
	}
	r.parts, r.fresh = r.fresh, r.parts
	d := Merge(r.parts)
	r.P50, r.P99, r.Max = d.Quantile(0.5), d.Quantile(0.99), math.NaN()
	if d != nil && d.Count > 0 {
		r.Max = d.Max
	}
}

// sort orders the rows by the chosen column; equal ones keep a stable place.
func (t *Routes) sort() {
	slices.SortFunc(t.Rows, func(a, b *Route) int {
		by := compareRoute(a, b, t.Sort)
		if t.Desc {
			by = -by
		}
		return cmp.Or(by, -cmp.Compare(a.Count, b.Count), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.Route, b.Route), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.outcome(), b.outcome()),
			cmp.Compare(a.Role, b.Role), cmp.Compare(a.Protocol, b.Protocol))
	})
}

func compareRoute(a, b *Route, col int) int {
	switch col {
	case RouteService:
		return cmp.Compare(a.Service, b.Service)
	case RouteProto:
		return cmp.Compare(a.Protocol, b.Protocol)
	case RouteMethod:
		return cmp.Compare(a.Method, b.Method)
	case RouteRoute:
		return cmp.Compare(a.Route, b.Route)
	case RoutePeer:
		return cmp.Compare(a.Peer, b.Peer)
	case RouteStatus:
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.outcome(), b.outcome()))
	case RouteRate:
		return cmp.Compare(a.Rate, b.Rate)
	case RouteP50:
		return cmp.Compare(a.P50, b.P50)
	case RouteP99:
		return cmp.Compare(a.P99, b.P99)
	case RouteMax:
		return cmp.Compare(a.Max, b.Max)
	case RouteBytes:
		return cmp.Compare(a.Out, b.Out)
	}
	return cmp.Compare(a.Count, b.Count)
}

// Selected is the route under the cursor, nil without.
func (t *Routes) Selected() *Route {
	if t.Cursor < len(t.Rows) {
		return t.Rows[t.Cursor]
	}
	return nil
}

// Draw shows the table.
func (t *Routes) Draw(a canvas.Area) {
	t.Table.Draw(a, func(row, col int, cell canvas.Area) { t.cell(t.Rows[row], col, cell) })
}

func (t *Routes) cell(r *Route, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case RouteService:
		cell.Fit(0, 0, cell.W, r.Service, canvas.Style{})
	case RouteProto:
		cell.Fit(0, 0, cell.W, r.Protocol, canvas.Fg(canvas.Muted))
	case RouteMethod:
		cell.Fit(0, 0, cell.W, r.Method, canvas.Strong(canvas.FG))
	case RouteRoute:
		t.drawName(cell, r)
	case RoutePeer:
		drawPeer(cell, r)
	case RouteStatus:
		cell.Fit(0, 0, cell.W, r.outcome(), canvas.Fg(StatusToken(r.Status, r.Failed)))
	case RouteCount:
		Num(cell, format.Int(b[:0], r.Count), canvas.Style{})
	case RouteRate:
		Rate(cell, r.Rate, true)
	case RouteP50:
		LatencyOf(cell, r.P50, r.Stream)
	case RouteP99:
		LatencyOf(cell, r.P99, r.Stream)
	case RouteMax:
		LatencyOf(cell, r.Max, r.Stream)
	case RouteBytes:
		Memory(cell, int64(min(r.Out, math.MaxInt64)))
	}
}

// drawName shows the route; of a client's without a name, of whom it is asked.
func (t *Routes) drawName(cell canvas.Area, r *Route) {
	name, x, st := Statement(r.Protocol, r.Method, r.Route), 0, canvas.Style{}
	if t.Hidden(RoutePeer) && r.Role == core.RoleClient {
		x = cell.Text(0, 0, "→ ", canvas.Fg(canvas.Accent))
		if name == "" {
			name, st = r.Peer, canvas.Fg(canvas.Muted)
		}
	}
	cell.Fit(x, 0, cell.W-x, name, st)
}

// drawPeer shows of whom a client asks; a server has no arrow.
func drawPeer(cell canvas.Area, r *Route) {
	x := 0
	switch r.Role {
	case core.RoleClient:
		x = cell.Text(0, 0, "→ ", canvas.Fg(canvas.Accent))
	case core.RoleUnknown:
		x = cell.Text(0, 0, "? ", canvas.Fg(canvas.Faint)) // which end it is cannot be told
	}
	cell.Fit(x, 0, cell.W-x, r.Peer, canvas.Fg(canvas.Muted))
}

// LatencyOf draws a latency; streams have none, and say so.
func LatencyOf(cell canvas.Area, s float64, stream bool) {
	if stream {
		cell.Right(0, 0, cell.W, "stream", canvas.Fg(canvas.Faint))
		return
	}
	Latency(cell, s)
}
