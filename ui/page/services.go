package page

import (
	"cmp"
	"math"
	"slices"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/widget"
)

// Services is the table of services, used by more than one page.
type Services struct {
	widget.Table
	Rows []*core.ServiceRow
}

// Columns of the service table.
const (
	svcSign = iota
	svcName
	svcLang
	svcProcs
	svcRate
	svcErr
	svcP50
	svcP99
	svcTrend
	svcCPU
	svcRSS
)

// NewServices makes the table.
func NewServices() *Services {
	return &Services{Table: widget.Table{Sort: -1, Columns: []widget.Column{
		svcSign:  {Title: " ", W: 1, Fixed: true},
		svcName:  {Title: "SERVICE", W: 18, Min: 15, Max: 28},
		svcLang:  {Title: "LANG", W: 7, Leave: 4},
		svcProcs: {Title: "PROCS", W: 5, Right: true, Leave: 2},
		svcRate:  {Title: "RATE/s", W: 7, Right: true},
		svcErr:   {Title: "ERR%", W: 5, Right: true},
		svcP50:   {Title: "P50", W: 6, Right: true, Leave: 5},
		svcP99:   {Title: "P99", W: 6, Right: true},
		svcTrend: {Title: "P99 5m", W: 10, Min: 6, Max: 30, Leave: 3, Fixed: true},
		svcCPU:   {Title: "CPU%", W: 5, Right: true, Leave: 6},
		svcRSS:   {Title: "RSS", W: 5, Right: true, Leave: 1},
	}}}
}

// Update takes the services that keep accepts, sorted by the column of the
// table, or by what hurts when there is none.
func (t *Services) Update(rows []*core.ServiceRow, keep func(*core.ServiceRow) bool) {
	var at *core.ServiceRow
	if t.Cursor < len(t.Rows) && t.Cursor > 0 {
		at = t.Rows[t.Cursor]
	}
	t.Rows = t.Rows[:0]
	for _, r := range rows {
		if len(r.PIDs) == 0 && r.Server.Count == 0 && r.Client.Count == 0 {
			continue
		}
		if keep == nil || keep(r) {
			t.Rows = append(t.Rows, r)
		}
	}
	t.N = len(t.Rows)
	slices.SortStableFunc(t.Rows, func(a, b *core.ServiceRow) int {
		if t.Sort < 0 {
			return hurts(a, b)
		}
		n := compareService(a, b, t.Sort)
		if t.Desc {
			n = -n
		}
		return cmp.Or(cmp.Compare(over(a), over(b)), n, cmp.Compare(a.Name, b.Name))
	})
	if at != nil {
		for i, r := range t.Rows {
			if r.Name == at.Name {
				t.Cursor = i
			}
		}
	}
	t.Cursor = min(t.Cursor, max(t.N-1, 0))
}

// Selected is the service under the cursor, nil when there is none.
func (t *Services) Selected() *core.ServiceRow {
	if t.Cursor < len(t.Rows) {
		return t.Rows[t.Cursor]
	}
	return nil
}

// hurts orders by what needs a look: unwell, then failing, then slow, then busy.
// Figures count in steps of two, so that the order does not tremble.
func hurts(a, b *core.ServiceRow) int {
	ra, _ := RED(&a.Server, &a.Client)
	rb, _ := RED(&b.Server, &b.Client)
	return cmp.Or(
		cmp.Compare(over(a), over(b)),
		-cmp.Compare(severity(a), severity(b)),
		-cmp.Compare(log2(ra.ErrRatio*ra.Rate), log2(rb.ErrRatio*rb.Rate)),
		-cmp.Compare(log2(busy(ra)), log2(busy(rb))),
		-cmp.Compare(log2(ra.Rate), log2(rb.Rate)),
		-cmp.Compare(log2(100*a.CPURatio), log2(100*b.CPURatio)),
		cmp.Compare(a.Name, b.Name))
}

// over is 1 for services that are no more.
func over(s *core.ServiceRow) int {
	if Over(s) {
		return 1
	}
	return 0
}

// Over reports whether a service is no more: no process of it lives, and none
// spoke in the last seconds. Of a program that is started for every request
// there is often none at the moment.
func Over(s *core.ServiceRow) bool { return len(s.PIDs) == 0 && s.Server.Rate+s.Client.Rate == 0 }

func busy(r *core.RED) float64 {
	if r.Rate <= 0 {
		return 0
	}
	return r.P99 * 1000
}

func log2(v float64) int {
	if !(v > 0.1) {
		return -10
	}
	return int(math.Log2(v))
}

func severity(s *core.ServiceRow) int {
	switch s.Health {
	case core.HealthFatal, core.HealthPermanent:
		return 2
	case core.HealthDegraded, core.HealthRecovering:
		return 1
	}
	return 0
}

func compareService(a, b *core.ServiceRow, col int) int {
	ra, _ := RED(&a.Server, &a.Client)
	rb, _ := RED(&b.Server, &b.Client)
	switch col {
	case svcLang:
		return cmp.Compare(a.Language, b.Language)
	case svcProcs:
		return cmp.Compare(len(a.PIDs), len(b.PIDs))
	case svcRate:
		return Compare(ra.Rate, rb.Rate)
	case svcErr:
		return Compare(ra.ErrRatio, rb.ErrRatio)
	case svcP50:
		return Compare(ra.P50, rb.P50)
	case svcP99:
		return Compare(ra.P99, rb.P99)
	case svcCPU:
		return Compare(a.CPURatio, b.CPURatio)
	case svcRSS:
		return cmp.Compare(a.RSSBytes, b.RSSBytes)
	}
	return cmp.Compare(a.Name, b.Name)
}

// Compare orders numbers; what is not known comes before everything.
func Compare(a, b float64) int { return cmp.Compare(a, b) }

// Draw shows the table.
func (t *Services) Draw(a canvas.Area) {
	t.Table.Draw(a, func(row, col int, c canvas.Area) { drawService(t.Rows[row], col, c) })
}

func drawService(s *core.ServiceRow, col int, c canvas.Area) {
	red, _ := RED(&s.Server, &s.Client)
	known, name := s.On || red.Rate > 0, canvas.Style{}
	if Over(s) {
		name = canvas.Fg(canvas.Faint)
	}
	switch col {
	case svcSign:
		sign, tok := ServiceSign(s)
		c.Set(0, 0, sign, canvas.Fg(tok))
	case svcName:
		c.Fit(0, 0, c.W, s.Name, name)
	case svcLang:
		c.Fit(0, 0, c.W, Language(core.Runtime{Language: s.Language}), canvas.Fg(canvas.Muted))
	case svcProcs:
		var b [24]byte
		Num(c, format.Int(b[:0], len(s.PIDs)), canvas.Fg(canvas.Muted))
	case svcRate:
		Rate(c, red.Rate, known)
	case svcErr:
		Errors(c, red.ErrRatio)
	case svcP50:
		Latency(c, red.P50)
	case svcP99:
		Latency(c, red.P99)
	case svcTrend:
		Trend(c, s.P99Trend, 0.001, canvas.Graph2)
	case svcCPU:
		CPU(c, s.CPURatio)
	case svcRSS:
		Memory(c, s.RSSBytes)
	}
}
