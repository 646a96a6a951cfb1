package page

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/widget"
)

// Scroll moves a table's cursor by an action; it reports whether it was one.
func Scroll(t *widget.Table, a keys.Action) bool {
	switch a {
	case keys.CursorUp:
		t.Move(-1)
	case keys.CursorDown:
		t.Move(1)
	case keys.PageUp:
		t.Move(-t.Page())
	case keys.PageDown:
		t.Move(t.Page())
	case keys.First:
		t.Move(-t.N)
	case keys.Last:
		t.Move(t.N)
	default:
		return false
	}
	return true
}

// PID draws a process id.
func PID(c canvas.Area, pid int32) {
	var b [24]byte
	Num(c, format.Int(b[:0], pid), canvas.Style{})
}

// Busiest appends the n processes that use most CPU, then memory. Kernel threads
// are not among them.
func Busiest(rows []*core.ProcessRow, s *core.Snapshot, n int) []*core.ProcessRow {
	for _, r := range s.Processes {
		if r.Alive && r.Skip != "kernel thread" {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *core.ProcessRow) int {
		return cmp.Or(-Compare(a.CPURatio, b.CPURatio), -cmp.Compare(a.Usage.RSS, b.Usage.RSS), cmp.Compare(a.PID, b.PID))
	})
	return rows[:min(len(rows), n)]
}

const heatLabel = 8 // columns left of a heat map

// DrawHeat draws latency over time with its scales: durations upwards, time to
// the right. Bands that nobody used at either end are left out when there is no
// room for all.
func DrawHeat(a canvas.Area, h *core.Heat) {
	if h == nil || len(h.Columns) == 0 || a.H < 3 {
		a.Text(1, 0, "no requests yet", canvas.Fg(canvas.Faint))
		return
	}
	axis, plot := a.Bottom(1)
	low, high := bands(h)
	low, high = max(low-1, 0), min(high+1, core.HeatRows-1)
	for high-low+1 > plot.H {
		low++ // the fast end is the one to fold: what is slow must be seen
	}
	n := high - low + 1
	per := plot.H / n // rows of a band
	_, plot = plot.Top(plot.H - n*per)
	labels, cells := plot.Left(heatLabel)
	var b [24]byte
	for band := range n {
		labels.Right(0, plot.H-1-band*per, heatLabel-1, string(format.Seconds(b[:0], core.HeatBound(low+band))), canvas.Fg(canvas.Muted))
	}
	cols := min(len(h.Columns), cells.W)
	columns := h.Columns[len(h.Columns)-cols:]
	widget.Heat(cells, cells.W, n*per, func(x, row int) uint32 {
		column := &columns[x*cols/cells.W]
		sum := column[low+row/per]
		if row < per {
			for i := range low {
				sum += column[i]
			}
		}
		return sum
	})
	axis.Right(0, 0, axis.W, "now", canvas.Fg(canvas.Muted))
	for part := range 3 {
		x := cells.W * part / 3
		ago := h.Step * time.Duration(cols-cols*part/3)
		axis.Text(heatLabel+x, 0, "-"+format.Of(format.Age, ago), canvas.Fg(canvas.Muted))
	}
}

// bands are the lowest and highest band that any request fell into.
func bands(h *core.Heat) (low, high int) {
	low, high = core.HeatRows-1, 0
	for i := range h.Columns {
		for r, n := range h.Columns[i] {
			if n > 0 {
				low, high = min(low, r), max(high, r)
			}
		}
	}
	if low > high {
		return 0, core.HeatRows - 1
	}
	return low, high
}

// SortedKeys are the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}
