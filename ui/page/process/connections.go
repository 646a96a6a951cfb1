package process

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/page"
	"vitals/ui/widget"
)

// connLine is one line of the Connections tab.
type connLine struct {
	head              string
	name, value, rate string
	help              string
	to                string // service that enter opens
}

func (p *Page) updateConnections(c *page.Context) {
	p.conns = p.conns[:0]
	p.listeners()
	p.callers(c)
	if p.svc != nil {
		p.called(c)
	} else {
		p.peers(c)
	}
	for _, r := range p.rows {
		p.values(r)
	}
	p.connTable.N = len(p.conns)
}

// callers are those who ask the subject's service, and called those whom it asks.
func (p *Page) callers(c *page.Context) {
	name, head := p.about.Service, "Called by"
	if p.row != nil {
		name, head = p.row.Service, "Its service "+p.row.Service+" is called by"
	}
	if name != "" {
		p.edges(c, head, func(e *core.EdgeRow) (string, bool) { return e.From, e.To == name })
	}
}

func (p *Page) called(c *page.Context) {
	p.edges(c, "Calls", func(e *core.EdgeRow) (string, bool) { return e.To, e.From == p.svc.Name })
}

func (p *Page) edges(c *page.Context, head string, other func(*core.EdgeRow) (string, bool)) {
	var found []*core.EdgeRow
	for _, e := range c.Snap.Edges {
		if _, ok := other(e); ok {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return
	}
	p.conns = append(p.conns, connLine{}, connLine{head: head})
	for _, e := range page.TopEdges(found, len(found)) {
		name, _ := other(e)
		line := connLine{name: name, value: fmt.Sprintf("%d", e.Count), rate: format.Of(format.Count, e.Rate) + "/s",
			help: fmt.Sprintf("%s, p99 %s, %d failed", e.Protocol, format.Of(format.Seconds, e.P99), e.Errors)}
		if page.Service(c.Snap, name) != nil {
			line.to = name
		}
		p.conns = append(p.conns, line)
	}
}

func (p *Page) listeners() {
	p.conns = append(p.conns, connLine{head: "Listens on"})
	seen := map[string]bool{}
	for _, r := range p.rows {
		for _, l := range r.Listeners {
			if s := l.Address; r.Alive && !seen[l.String()] {
				seen[l.String()] = true
				p.conns = append(p.conns, connLine{name: l.Network, value: s})
			}
		}
	}
	if len(seen) == 0 {
		p.conns = append(p.conns, connLine{name: "nothing"})
	}
}

// peers are the other ends that the subject asks, by calls.
func (p *Page) peers(c *page.Context) {
	type peer struct {
		name          string
		count, failed uint64
		rate          float64
		parts         []*core.Distribution
	}
	index := map[string]*peer{}
	var peers []*peer
	for _, q := range c.Snap.Requests {
		if q.Role != core.RoleClient || !p.mine(q) {
			continue
		}
		x := index[q.Peer]
		if x == nil {
			x = &peer{name: q.Peer}
			index[q.Peer] = x
			peers = append(peers, x)
		}
		x.count += q.Count
		x.rate += q.Rate
		if q.Failed {
			x.failed += q.Count
		}
		x.parts = append(x.parts, q.Duration)
	}
	if len(peers) == 0 {
		return
	}
	slices.SortFunc(peers, func(a, b *peer) int { return cmp.Or(-cmp.Compare(a.count, b.count), cmp.Compare(a.name, b.name)) })
	p.conns = append(p.conns, connLine{}, connLine{head: "Calls"})
	for _, x := range peers {
		p.conns = append(p.conns, connLine{name: x.name, value: fmt.Sprintf("%d", x.count), rate: format.Of(format.Count, x.rate) + "/s",
			help: fmt.Sprintf("p99 %s, %d failed", format.Of(format.Seconds, page.Merge(x.parts).Quantile(0.99)), x.failed)})
	}
}

// values are what the probes measured at a process.
func (p *Page) values(r *core.ProcessRow) {
	first := true
	for i := range r.Values {
		v := &r.Values[i]
		if v.Desc == nil || !v.Desc.Screen {
			continue
		}
		if first {
			title := "Measured"
			if len(p.rows) > 1 {
				title = fmt.Sprintf("Measured at %d", r.PID)
			}
			p.conns = append(p.conns, connLine{}, connLine{head: title})
			first = false
		}
		name := cmp.Or(v.Desc.Short, v.Desc.Name)
		if v.Label != "" {
			name += " " + v.Label
		}
		rate := ""
		if v.Desc.Kind == core.Counter {
			rate = Unit(v.Rate, v.Desc.Unit) + "/s"
		}
		p.conns = append(p.conns, connLine{name: name, value: Unit(v.V, v.Desc.Unit), rate: rate, help: strings.TrimSuffix(v.Desc.Help, ".")})
	}
}

// Unit writes a value in its unit.
func Unit(v float64, unit string) string {
	switch unit {
	case "bytes":
		return format.Of(format.Bytes, v)
	case "seconds":
		return format.Of(format.Seconds, v)
	case "ratio":
		return page.Percent(v)
	}
	return format.Of(format.Count, v)
}

func (p *Page) drawConnections(c *page.Context, a canvas.Area) {
	in := widget.Panel(a, c.Boxed(), "Connections", "", true)
	p.connTable.Lines(in, func(row int, line canvas.Area) {
		l := &p.conns[row]
		if l.head != "" {
			line.Text(0, 0, l.head, canvas.Strong(canvas.Header))
			return
		}
		x := min(max(line.W*2/5, 24), 32)
		st := canvas.Fg(canvas.FG)
		if l.to != "" {
			st = canvas.Fg(canvas.Info)
		}
		line.Fit(2, 0, x-2, l.name, st)
		if l.rate == "" && l.help == "" {
			line.Fit(min(x, 9), 0, line.W-9, l.value, canvas.Fg(canvas.Info))
			return
		}
		line.Right(x, 0, 10, l.value, canvas.Fg(canvas.FG))
		line.Right(x+11, 0, 10, l.rate, canvas.Fg(canvas.Muted))
		line.Fit(x+24, 0, line.W-x-24, l.help, canvas.Fg(canvas.Muted))
	})
	widget.Remark(a, p.connTable.Span())
	c.At(p.connTable.CursorAt())
}
