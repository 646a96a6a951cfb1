package requests

import (
	"fmt"
	"strconv"
	"time"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/filter"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// single is the list of single requests, the newest first.
type single struct {
	table  widget.Table
	rows   []*core.Exemplar
	filter filter.Filter[*core.Exemplar]
}

const (
	colAge = iota
	colService
	colPID
	colMethod
	colRoute
	colPeer
	colStatus
	colFirst
	colTotal
	colTypical
)

func newSingle() single {
	return single{filter: parse(""), table: widget.Table{Sort: -1, Columns: []widget.Column{
		colAge:     {Title: "AGO", W: 5, Right: true},
		colService: {Title: "SERVICE", W: 14, Min: 8, Max: 20},
		colPID:     {Title: "PID", W: 7, Right: true, Leave: 2},
		colMethod:  {Title: "METHOD", W: 7, Min: 4, Max: 10},
		colRoute:   {Title: "ROUTE", W: 24, Min: 14, Max: 60},
		colPeer:    {Title: "ASKS", W: 14, Min: 8, Max: 24, Leave: 1},
		colStatus:  {Title: "STATUS", W: 9, Min: 6, Max: 14},
		colFirst:   {Title: "FIRST", W: 6, Right: true, Leave: 3},
		colTotal:   {Title: "TOTAL", W: 6, Right: true},
		colTypical: {Title: "USUAL", W: 6, Right: true, Leave: 4},
	}}}
}

func parse(line string) filter.Filter[*core.Exemplar] {
	return filter.Fields[*core.Exemplar]{
		Words: func(x *core.Exemplar, w string) bool {
			return filter.Contains(x.Route, w) || filter.Contains(x.Service, w) || filter.Contains(x.Method, w)
		},
		Exact: map[string]func(*core.Exemplar) string{
			"method": func(x *core.Exemplar) string { return x.Method },
			"status": func(x *core.Exemplar) string { return strconv.Itoa(x.Status) },
			"role":   func(x *core.Exemplar) string { return x.Role.String() },
			"proto":  func(x *core.Exemplar) string { return x.Protocol },
			"pid":    func(x *core.Exemplar) string { return strconv.Itoa(int(x.Proc.PID)) },
		},
		Text: map[string]func(*core.Exemplar) string{
			"service": func(x *core.Exemplar) string { return x.Service },
			"route":   func(x *core.Exemplar) string { return x.Route },
			"peer":    func(x *core.Exemplar) string { return x.Peer },
			"error":   outcome,
		},
		Number: map[string]func(*core.Exemplar) float64{
			"p99":    func(x *core.Exemplar) float64 { return x.Duration.Seconds() },
			"status": func(x *core.Exemplar) float64 { return float64(x.Status) },
			"count":  func(*core.Exemplar) float64 { return 1 },
			"rate":   func(*core.Exemplar) float64 { return 0 },
		},
	}.Parse(line)
}

func (s *single) setFilter(line string) {
	s.filter = parse(line)
	s.table.Cursor = 0
}

// update lists what matches. The cursor stays on its request while others come.
func (s *single) update(all []*core.Exemplar, failed bool) {
	at := s.selected()
	s.rows = s.rows[:0]
	for i := len(all) - 1; i >= 0; i-- {
		if x := all[i]; (!failed || x.Failed) && s.filter.Match(x) {
			if at != nil && s.table.Cursor > 0 && x.Seq == at.Seq {
				s.table.Cursor = len(s.rows)
			}
			s.rows = append(s.rows, x)
		}
	}
	s.table.N = len(s.rows)
}

func (s *single) selected() *core.Exemplar {
	if s.table.Cursor < len(s.rows) {
		return s.rows[s.table.Cursor]
	}
	return nil
}

func (s *single) draw(c *page.Context, a canvas.Area) {
	s.table.Draw(a, func(row, col int, cell canvas.Area) { drawExemplar(c, s.rows[row], col, cell) })
}

func drawExemplar(c *page.Context, x *core.Exemplar, col int, cell canvas.Area) {
	var b [24]byte
	switch col {
	case colAge:
		page.Num(cell, format.Age(b[:0], c.Since(x.At)), canvas.Fg(canvas.Muted))
	case colService:
		cell.Fit(0, 0, cell.W, x.Service, canvas.Style{})
	case colPID:
		page.PID(cell, x.Proc.PID)
	case colMethod:
		cell.Fit(0, 0, cell.W, x.Method, canvas.Strong(canvas.FG))
	case colRoute:
		cell.Fit(0, 0, cell.W, x.Route, canvas.Style{})
	case colPeer:
		if x.Role == core.RoleClient {
			cell.Fit(0, 0, cell.W, x.Peer, canvas.Fg(canvas.Muted))
		}
	case colStatus:
		cell.Fit(0, 0, cell.W, outcome(x), canvas.Fg(page.StatusToken(x.Status, x.Failed)))
	case colFirst:
		duration(cell, x.FirstByte, canvas.Fg(canvas.Muted))
	case colTotal:
		duration(cell, x.Duration, canvas.Strong(canvas.FG))
	case colTypical:
		duration(cell, x.Typical, canvas.Fg(canvas.Faint))
	}
}

func duration(cell canvas.Area, d time.Duration, st canvas.Style) {
	if d <= 0 {
		cell.Right(0, 0, cell.W, format.Unknown, canvas.Fg(canvas.Faint))
		return
	}
	var b [24]byte
	page.Num(cell, format.Seconds(b[:0], d.Seconds()), st)
}

// outcome is how a request ended, in a word or two.
func outcome(x *core.Exemplar) string { return page.Outcome(x.Status, x.Code, x.Error) }

func openExemplar(c *page.Context, x *core.Exemplar) {
	switch {
	case page.Process(c.Snap, x.Proc) != nil:
		c.Open(page.Subject{Proc: x.Proc})
	case page.Service(c.Snap, x.Service) != nil:
		c.Open(page.Subject{Service: x.Service})
	default:
		c.Toast(page.Note, "that process is gone")
	}
}

func exemplarText(x *core.Exemplar) string {
	return fmt.Sprintf("%s %s/%d %s %s %s %s in %v", x.At.Format(time.RFC3339Nano), x.Service, x.Proc.PID, x.Protocol, x.Method, x.Route, outcome(x), x.Duration)
}
