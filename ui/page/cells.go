package page

import (
	"math"
	"strings"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/widget"
)

// Num draws a number that ends at the right edge of a cell.
func Num(c canvas.Area, b []byte, st canvas.Style) { c.Right(0, 0, c.W, string(b), st) }

// Rate, Errors, Latency, CPU and Memory draw the usual figures in a cell. What is
// not known, and zero, are faint: what is left is what happens.
func Rate(c canvas.Area, v float64, known bool) {
	var b [24]byte
	st := canvas.Style{}
	if !known {
		v = math.NaN()
	}
	if !(v > 0) {
		st = canvas.Fg(canvas.Faint)
	}
	Num(c, format.Count(b[:0], v), st)
}

// Errors draws an error ratio in percent.
func Errors(c canvas.Area, ratio float64) {
	var b [24]byte
	st := canvas.Fg(ErrorToken(ratio))
	if !(ratio > 0) {
		st = canvas.Fg(canvas.Faint)
	}
	Num(c, format.Percent(b[:0], ratio), st)
}

// Latency draws a duration in seconds.
func Latency(c canvas.Area, s float64) {
	var b [24]byte
	st := canvas.Style{}
	if math.IsNaN(s) {
		st = canvas.Fg(canvas.Faint)
	}
	Num(c, format.Seconds(b[:0], s), st)
}

// CPU draws a share of one core in percent.
func CPU(c canvas.Area, ratio float64) {
	var b [24]byte
	st := canvas.Style{}
	if !(ratio >= 0.0005) {
		st = canvas.Fg(canvas.Faint)
	}
	Num(c, format.Percent(b[:0], ratio), st)
}

// Percent writes a ratio with its sign: "2.1%"; what is not known has none.
func Percent(ratio float64) string {
	s := format.Of(format.Percent, ratio)
	if s == format.Unknown {
		return s
	}
	return s + "%"
}

// Memory draws bytes; negative is unknown.
func Memory(c canvas.Area, bytes int64) {
	var b [24]byte
	Num(c, format.Bytes(b[:0], float64(bytes)), canvas.Style{})
}

// Trend draws a history on its own scale, from zero to its peak.
func Trend(c canvas.Area, t *core.Trend, floor float64, tok canvas.Token) {
	if t != nil && len(t.Points) > 0 {
		widget.Spark(c, 0, 0, c.W, t.Points, widget.Top(t.Points, floor), canvas.Fg(tok))
	}
}

// kindRequests is the kind whose absence makes request figures unknown.
const kindRequests = "requests"

// Watched reports whether requests of a process are being counted now, so that
// none seen means none there.
func Watched(r *core.ProcessRow) bool {
	for i := range r.Instr {
		if in := &r.Instr[i]; in.Kind == kindRequests {
			return in.On && in.Phase == core.PhaseRunning
		}
	}
	return false
}

// EventLine draws an event: time, sign, who and what.
func EventLine(c canvas.Area, e *core.Event, wide bool) {
	sign, tok := EventSign(e)
	layout, w := "15:04:05", 8
	if wide {
		layout, w = "15:04:05.000", 12
	}
	c.Text(0, 0, e.At.Local().Format(layout), canvas.Fg(canvas.Muted))
	x := w + 1
	c.Set(x, 0, sign, canvas.Fg(tok))
	x += 2
	if c.W >= 60 {
		c.Fit(x, 0, 6, string(e.Kind), canvas.Fg(tok))
		x += 7
	}
	who := min(max(c.W/5, 14), 24)
	c.Fit(x, 0, who, EventWho(e), canvas.Fg(canvas.FG))
	x += who + 1
	text := EventText(e)
	st := canvas.Fg(canvas.Muted)
	if e.Error != "" {
		st = canvas.Fg(tok)
	}
	c.Fit(x, 0, c.W-x, text, st)
}

// EventSign is an event's glyph and colour.
func EventSign(e *core.Event) (rune, canvas.Token) {
	switch e.Kind {
	case core.EventExec, core.EventFork:
		return '+', canvas.Info
	case core.EventLost:
		return '▲', canvas.Crit
	case core.EventExit:
		if e.Error != "" {
			return '✖', canvas.Crit
		}
		return '-', canvas.Muted
	case core.EventUnit, core.EventPush:
		switch {
		case e.Error != "":
			return '✖', canvas.Crit
		case e.To == string(core.PhaseRunning) || e.To == "ok":
			return '●', canvas.OK
		}
		return '◌', canvas.Info
	case core.EventToggle:
		return '○', canvas.Accent
	}
	return '·', canvas.Muted
}

// EventWho is whom an event is about: service and pid, or a unit.
func EventWho(e *core.Event) string {
	switch {
	case e.Proc.PID != 0 && e.Service != "":
		return e.Service + "/" + format.Of(format.Int, e.Proc.PID)
	case e.Proc.PID != 0:
		return format.Of(format.Int, e.Proc.PID)
	case e.Unit != "":
		return e.Unit[strings.IndexByte(e.Unit, '/')+1:]
	}
	return e.Service
}

// EventText is what happened, in words.
func EventText(e *core.Event) string {
	text := e.Reason
	if text == "" && e.To != "" {
		text = e.To
		if e.From != "" {
			text = e.From + " → " + e.To
		}
	}
	if e.Error != "" && !strings.Contains(e.Reason, e.Error) {
		if text != "" {
			text += ": "
		}
		text += e.Error
	}
	return text
}
