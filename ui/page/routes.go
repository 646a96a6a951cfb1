package page

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
	"vitals/ui/widget"
)

// Route is what equal requests of several processes add up to: a route, a
// statement, a command, with one outcome.
type Route struct {
	RouteKey
	Failed        bool
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
	RouteRole
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
	service := widget.Column{Title: "SERVICE", W: 14, Min: 12, Max: 20}
	if !whole {
		service.W, service.Min, service.Max, service.Leave = 0, 0, 0, 1
	}
	t.Table = widget.Table{Sort: RouteCount, Desc: true, Columns: []widget.Column{
		RouteService: service,
		RouteRole:    {Title: "ROLE", W: 6, Leave: 5},
		RouteProto:   {Title: "PROTO", W: 6, Max: 10, Leave: 3},
		RouteMethod:  {Title: "METHOD", W: 7, Min: 6, Max: 10},
		RouteRoute:   {Title: "ROUTE", W: 24, Min: 14, Max: 60},
		RoutePeer:    {Title: "PEER", W: 16, Min: 8, Max: 24, Leave: 2},
		RouteStatus:  {Title: "STATUS", W: 7, Min: 6},
		RouteCount:   {Title: "COUNT", W: 9, Right: true},
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
			"proto":  func(r *Route) string { return r.Protocol },
		},
		Text: map[string]func(*Route) string{
			"service": func(r *Route) string { return r.Service },
			"route":   func(r *Route) string { return r.Route },
			"peer":    func(r *Route) string { return r.Peer },
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
		r.Count, r.Partial, r.Rate, r.In, r.Out, r.Failed = 0, 0, 0, 0, 0, false
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

func (t *Routes) route(q *core.RequestRow) *Route {
	k := RouteKey{q.Service, q.Role, q.Protocol, q.Peer, q.Method, q.Route, q.Status, q.Code, q.Error}
	r := t.known[k]
	if r == nil {
		r = &Route{RouteKey: k}
		t.known[k] = r
	}
	return r
}

func (r *Route) add(q *core.RequestRow) {
	r.Failed = r.Failed || q.Failed
	r.Count += q.Count
	r.Partial += q.Partial
	r.Rate += q.Rate
	r.In += q.BytesIn
	r.Out += q.BytesOut
	r.fresh = append(r.fresh, q.Duration)
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
	case RouteRole:
		return cmp.Compare(a.Role, b.Role)
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
	t.Table.Draw(a, func(row, col int, cell canvas.Area) { drawRoute(t.Rows[row], col, cell) })
}

func drawRoute(r *Route, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case RouteService:
		cell.Fit(0, 0, cell.W, r.Service, canvas.Style{})
	case RouteRole:
		cell.Fit(0, 0, cell.W, r.Role.String(), canvas.Fg(canvas.Muted))
	case RouteProto:
		cell.Fit(0, 0, cell.W, r.Protocol, canvas.Fg(canvas.Muted))
	case RouteMethod:
		cell.Fit(0, 0, cell.W, r.Method, canvas.Strong(canvas.FG))
	case RouteRoute:
		cell.Fit(0, 0, cell.W, r.Route, canvas.Style{})
	case RoutePeer:
		cell.Fit(0, 0, cell.W, r.Peer, canvas.Fg(canvas.Muted))
	case RouteStatus:
		cell.Fit(0, 0, cell.W, r.outcome(), canvas.Fg(StatusToken(r.Status, r.Failed)))
	case RouteCount:
		Num(cell, format.Int(b[:0], r.Count), canvas.Style{})
	case RouteRate:
		Rate(cell, r.Rate, true)
	case RouteP50:
		Latency(cell, r.P50)
	case RouteP99:
		Latency(cell, r.P99)
	case RouteMax:
		Latency(cell, r.Max)
	case RouteBytes:
		Memory(cell, int64(min(r.Out, math.MaxInt64)))
	}
}

// outcome is how these requests ended, in a word or two.
func (r *Route) outcome() string { return Outcome(r.Status, r.Code, r.Err) }

// Outcome is how a request ended: its status, the name of its error, and what
// broke it off.
func Outcome(status int, code, err string) string {
	text := StatusText(status, code)
	switch {
	case err == "" || err == code:
		return text
	case text == "":
		return err
	}
	return text + " " + err
}

// StatusText is an outcome in a word: "200", "503 timeout", "reset", "".
func StatusText(status int, err string) string {
	if status == 0 {
		return err
	}
	text := strconv.Itoa(status)
	if err != "" {
		text += " " + err
	}
	return text
}

// StatusToken colours an outcome.
func StatusToken(status int, failed bool) canvas.Token {
	switch {
	case failed:
		return canvas.Crit
	case status >= 400 && status < 600:
		return canvas.Warn
	}
	return canvas.OK
}

// PromQL is the query for this route's request rate, for those who have the
// metrics in Prometheus.
func (r *Route) PromQL() string {
	name, labels := "http_server_request_duration_seconds", ""
	if r.Role == core.RoleClient {
		name = "http_client_request_duration_seconds"
		labels = fmt.Sprintf(",server_address=%q", r.Peer)
	}
	return fmt.Sprintf("sum(rate(%s_count{service_name=%q,http_request_method=%q,http_route=%q,http_response_status_code=\"%d\"%s}[1m]))",
		name, r.Service, r.Method, r.Route, r.Status, labels)
}
