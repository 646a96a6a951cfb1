package expose

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"vitals/core"
)

const unknown = "-"

// brief formats seconds.
func brief(v float64) string {
	switch {
	case math.IsNaN(v):
		return unknown
	case v == 0:
		return "0"
	case v < 1e-3:
		return fmt.Sprintf("%.0fus", v*1e6)
	case v < 10e-3:
		return fmt.Sprintf("%.2fms", v*1e3)
	case v < 1:
		return fmt.Sprintf("%.0fms", v*1e3)
	}
	return fmt.Sprintf("%.1fs", v)
}

// count formats a count exactly, with separators.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func rate(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func percent(ratio float64) string {
	if math.IsNaN(ratio) {
		return unknown
	}
	return fmt.Sprintf("%.1f", ratio*100)
}

// share is the part of the requests that failed.
func share(r core.RED) string {
	if r.Count == 0 {
		return unknown
	}
	if r.Errors == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2g%%", float64(r.Errors)/float64(r.Count)*100)
}

func size(n int64) string {
	switch {
	case n < 0:
		return unknown
	case n >= 1<<30:
		return fmt.Sprintf("%.1fG", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%dM", n>>20)
	}
	return fmt.Sprintf("%dK", n>>10)
}

func width(s string) int { return utf8.RuneCountInString(s) }

// grid is aligned text: the first columns to the left, the others, which are
// figures, to the right.
type grid struct {
	left   int
	rows   [][]string
	widths []int
}

func (g *grid) row(cells ...string) {
	for i, c := range cells {
		if i == len(g.widths) {
			g.widths = append(g.widths, 0)
		}
		g.widths[i] = max(g.widths[i], width(c))
	}
	g.rows = append(g.rows, cells)
}

func (g *grid) write(b *strings.Builder) {
	for _, cells := range g.rows {
		for i, c := range cells {
			if i > 0 {
				b.WriteString("  ")
			}
			gap := strings.Repeat(" ", g.widths[i]-width(c))
			if i < g.left {
				b.WriteString(c + gap)
			} else {
				b.WriteString(gap + c)
			}
		}
		b.WriteString("\n")
	}
}
