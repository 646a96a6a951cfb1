package page

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/widget"
)

// Singles is the table of single requests, used by more than one page.
type Singles struct {
	widget.Table
	Rows    []*core.Exemplar
	filter  filter.Filter[*core.Exemplar]
	longest time.Duration // of those shown, the scale of the bars
}

// Columns of single requests.
const (
	singleAge = iota
	singleService
	singlePID
	singleMethod
	singleRoute
	singlePeer
	singleStatus
	singleTotal
	singleTypical
	singleWhere
)

// NewSingles makes the table; whole says that it is about all services.
func NewSingles(whole bool) *Singles {
	t := &Singles{filter: parseSingles(""), Table: widget.Table{Sort: -1, Columns: []widget.Column{
		singleAge:     {Title: "AGO", W: 5, Right: true},
		singleService: {Title: "SERVICE", W: 14, Min: 8, Max: 20},
		singlePID:     {Title: "PID", W: 7, Right: true, Leave: 2},
		singleMethod:  {Title: "METHOD", W: 7, Min: 4, Max: 10},
		singleRoute:   {Title: "ROUTE", W: 24, Min: 14, Max: 50},
		singlePeer:    {Title: "ASKS", W: 14, Min: 8, Max: 24, Leave: 1},
		singleStatus:  {Title: "STATUS", W: 9, Min: 6, Max: 14},
		singleTotal:   {Title: "TOTAL", W: 6, Right: true},
		singleTypical: {Title: "USUAL", W: 6, Right: true, Leave: 4},
		singleWhere:   {Title: "FIRST █ REST ░", W: 14, Max: 30, Leave: 3, Fixed: true},
	}}}
	if !whole {
		t.Columns[singleService] = widget.Column{Leave: 1}
	}
	return t
}

// OfOne leaves out the pid: all are of one process.
func (t *Singles) OfOne() { t.Columns[singlePID] = widget.Column{Leave: 1} }

func parseSingles(line string) filter.Filter[*core.Exemplar] {
	return filter.Fields[*core.Exemplar]{
		Words: func(x *core.Exemplar, w string) bool {
			return filter.Contains(x.Route, w) || filter.Contains(x.Service, w) || filter.Contains(x.Method, w)
		},
		Exact: map[string]func(*core.Exemplar) string{
			"method": func(x *core.Exemplar) string { return x.Method },
			"status": func(x *core.Exemplar) string { return strconv.Itoa(x.Status) },
			"role":   func(x *core.Exemplar) string { return x.Role.String() },
			"pid":    func(x *core.Exemplar) string { return strconv.Itoa(int(x.Proc.PID)) },
		},
		Text: map[string]func(*core.Exemplar) string{
			"service": func(x *core.Exemplar) string { return x.Service },
			"route":   func(x *core.Exemplar) string { return x.Route },
			"peer":    func(x *core.Exemplar) string { return x.Peer },
			"proto":   func(x *core.Exemplar) string { return x.Protocol },
			"error":   ExemplarOutcome,
		},
		Number: map[string]func(*core.Exemplar) float64{
			"p99":    func(x *core.Exemplar) float64 { return x.Duration.Seconds() },
			"status": func(x *core.Exemplar) float64 { return float64(x.Status) },
			"count":  func(*core.Exemplar) float64 { return 1 },
			"rate":   func(*core.Exemplar) float64 { return 0 },
		},
	}.Parse(line)
}

// SetFilter shows the requests that match at the next Update.
func (t *Singles) SetFilter(line string) {
	t.filter = parseSingles(line)
	t.Cursor = 0
}

// Update lists those of all that keep accepts, the last of all first. The cursor
// stays on its request while others come.
func (t *Singles) Update(all []*core.Exemplar, keep func(*core.Exemplar) bool) {
	at := t.Selected()
	t.Rows, t.longest = t.Rows[:0], 0
	for i := len(all) - 1; i >= 0; i-- {
		if x := all[i]; (keep == nil || keep(x)) && t.filter.Match(x) {
			if at != nil && t.Cursor > 0 && (x == at || x.Seq != 0 && x.Seq == at.Seq) {
				t.Cursor = len(t.Rows)
			}
			t.Rows = append(t.Rows, x)
			t.longest = max(t.longest, x.Duration)
		}
	}
	t.N = len(t.Rows)
}

// Selected is the request under the cursor, nil without.
func (t *Singles) Selected() *core.Exemplar {
	if t.Cursor < len(t.Rows) {
		return t.Rows[t.Cursor]
	}
	return nil
}

// Draw shows the table.
func (t *Singles) Draw(c *Context, a canvas.Area) {
	t.Table.Draw(a, func(row, col int, cell canvas.Area) { t.cell(c, t.Rows[row], col, cell) })
}

func (t *Singles) cell(c *Context, x *core.Exemplar, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case singleAge:
		Num(cell, format.Age(b[:0], c.Since(x.At)), canvas.Fg(canvas.Muted))
	case singleService:
		cell.Fit(0, 0, cell.W, x.Service, canvas.Style{})
	case singlePID:
		PID(cell, x.Proc.PID)
	case singleMethod:
		cell.Fit(0, 0, cell.W, x.Method, canvas.Strong(canvas.FG))
	case singleRoute:
		cell.Fit(0, 0, cell.W, Statement(x.Protocol, x.Method, x.Route), canvas.Style{})
	case singlePeer:
		if x.Role == core.RoleClient {
			cell.Fit(0, 0, cell.W, x.Peer, canvas.Fg(canvas.Muted))
		}
	case singleStatus:
		cell.Fit(0, 0, cell.W, ExemplarOutcome(x), canvas.Fg(StatusToken(x.Status, x.Failed)))
	case singleTotal:
		duration(cell, x.Duration, canvas.Strong(canvas.FG))
	case singleTypical:
		duration(cell, x.Typical, canvas.Fg(canvas.Faint))
	case singleWhere:
		t.where(x, cell)
	}
}

// where draws how long the first byte of the answer took, and the rest, on the
// scale of the longest request shown.
func (t *Singles) where(x *core.Exemplar, cell canvas.Area) {
	if t.longest <= 0 || x.Duration <= 0 {
		return
	}
	n := max(int(float64(cell.W)*float64(x.Duration)/float64(t.longest)+0.5), 1)
	first := int(float64(n)*float64(x.FirstByte)/float64(x.Duration) + 0.5)
	for i := range n {
		switch {
		case x.FirstByte <= 0:
			cell.Set(i, 0, '·', canvas.Fg(canvas.Faint)) // not known how it was spent
		case i < first:
			cell.Set(i, 0, '█', canvas.Fg(canvas.Graph2))
		default:
			cell.Set(i, 0, '░', canvas.Fg(canvas.Graph1))
		}
	}
}

func duration(cell canvas.Area, d time.Duration, st canvas.Style) {
	if d <= 0 {
		cell.Right(0, 0, cell.W, format.Unknown, canvas.Fg(canvas.Faint))
		return
	}
	var b [24]byte
	Num(cell, format.Seconds(b[:0], d.Seconds()), st)
}

// ExemplarOutcome is how a request ended, in a word or two.
func ExemplarOutcome(x *core.Exemplar) string { return Outcome(x.Status, x.Code, x.Error) }

// ExemplarLines tell all of one request: what it was, and where its time went as
// far as that can be told from outside.
func ExemplarLines(c *Context, x *core.Exemplar) []Line {
	who := fmt.Sprintf("%s/%d answered", x.Service, x.Proc.PID)
	if x.Role == core.RoleClient {
		who = fmt.Sprintf("%s/%d asked %s", x.Service, x.Proc.PID, x.Peer)
	}
	if x.TLS {
		who += ", encrypted"
	}
	lines := []Line{
		{"what", x.Protocol + " " + x.Method + " " + x.Route, canvas.FG},
		{"who", who + ", " + format.Of(format.Age, c.Since(x.At)) + " ago", canvas.FG},
		{"how", exemplarEnd(x), StatusToken(x.Status, x.Failed)},
		{"where", exemplarWhere(x), canvas.FG},
	}
	size := size(x.BytesIn) + " in, " + size(x.BytesOut) + " out"
	if x.Partial {
		size += "; not all of it was seen"
	}
	return append(lines, Line{"size", size, canvas.Muted})
}

func exemplarEnd(x *core.Exemplar) string {
	end := ExemplarOutcome(x)
	if end == "" {
		end = "answered"
	}
	end += " after " + format.Of(format.Seconds, x.Duration.Seconds())
	if x.Typical > 0 && x.Duration > x.Typical {
		end += fmt.Sprintf(", %s times the usual %s", format.Of(format.Count, float64(x.Duration)/float64(x.Typical)), format.Of(format.Seconds, x.Typical.Seconds()))
	}
	return end
}

func exemplarWhere(x *core.Exemplar) string {
	if x.FirstByte <= 0 || x.Duration <= 0 {
		return "no byte of an answer was seen"
	}
	rest := x.Duration - x.FirstByte
	if rest <= 0 && x.Role == core.RoleClient {
		return format.Of(format.Seconds, x.Duration.Seconds()) + " waiting for the answer, which came in one piece"
	} else if rest <= 0 {
		return format.Of(format.Seconds, x.Duration.Seconds()) + " until the answer, which went out in one piece"
	}
	text := "until the first byte of the answer %s (%s), then %s to the last"
	if x.Role == core.RoleClient {
		text = "%s (%s) waiting for the first byte of the answer, then %s to the last"
	}
	return fmt.Sprintf(text, format.Of(format.Seconds, x.FirstByte.Seconds()), Percent(float64(x.FirstByte)/float64(x.Duration)),
		format.Of(format.Seconds, rest.Seconds()))
}

// OpenExemplar goes to the process of a request, else to its service.
func OpenExemplar(c *Context, x *core.Exemplar) {
	switch {
	case Process(c.Snap, x.Proc) != nil:
		c.Open(Subject{Proc: x.Proc})
	case Service(c.Snap, x.Service) != nil:
		c.Open(Subject{Service: x.Service})
	default:
		c.Toast(Note, "that process is gone")
	}
}

// ExemplarText is a request in a line, for the clipboard.
func ExemplarText(x *core.Exemplar) string {
	return fmt.Sprintf("%s %s/%d %s %s %s %s in %v", x.At.Format(time.RFC3339Nano), x.Service, x.Proc.PID, x.Protocol, x.Method, x.Route, ExemplarOutcome(x), x.Duration)
}

// Exemplars are the single requests of all services and those that one service
// keeps, each once, by the end of the request.
func Exemplars(all, own []*core.Exemplar) []*core.Exemplar {
	if len(own) == 0 {
		return all
	}
	out := append(append([]*core.Exemplar(nil), all...), own...)
	slices.SortStableFunc(out, func(a, b *core.Exemplar) int { return a.At.Compare(b.At) })
	seen := make(map[*core.Exemplar]bool, len(out))
	return slices.DeleteFunc(out, func(x *core.Exemplar) bool {
		again := seen[x]
		seen[x] = true
		return again
	})
}
