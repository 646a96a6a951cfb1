package widget

import "vitals/ui/canvas"

// Panel draws a frame with a title on its left and a remark on its right, and
// returns the area inside. Boxed panels have a border on all sides, others a
// rule above: on small screens a border is wasted space.
func Panel(a canvas.Area, boxed bool, title, remark string, focus bool) canvas.Area {
	border, head := canvas.Fg(canvas.Border), canvas.Strong(canvas.Header)
	if focus {
		border = canvas.Fg(canvas.BorderFocus)
	}
	if a.W < 4 || a.H < 1 {
		return a
	}
	a.HLine(0, border)
	if boxed && a.H > 1 {
		a.HLine(a.H-1, border)
		for y := 1; y < a.H-1; y++ {
			a.Set(0, y, '│', border)
			a.Set(a.W-1, y, '│', border)
		}
		a.Set(0, 0, '╭', border)
		a.Set(a.W-1, 0, '╮', border)
		a.Set(0, a.H-1, '╰', border)
		a.Set(a.W-1, a.H-1, '╯', border)
	}
	end := 2
	if title != "" {
		end = a.Fit(2, 0, a.W-4, " "+title+" ", head)
	}
	if end+canvas.Width(remark)+2 < a.W-2 {
		Remark(a, remark)
	}
	if boxed {
		return a.Sub(1, 1, a.W-2, a.H-2)
	}
	return a.Sub(0, 1, a.W, a.H-1)
}

// Remark writes on the right of a panel's first line; for what is only known
// after the panel was filled.
func Remark(a canvas.Area, text string) {
	if text != "" {
		a.Right(0, 0, a.W-2, " "+text+" ", canvas.Fg(canvas.Muted))
	}
}

// Clear blanks the area, for dialogs that lie over a page.
func Clear(a canvas.Area) canvas.Area {
	a = a.On(canvas.Style{FG: canvas.FG, BG: canvas.Surface})
	a.Fill(' ', canvas.Style{})
	return a
}

// Dialog blanks a rectangle in the middle of a and frames it.
func Dialog(a canvas.Area, w, h int, title string) canvas.Area {
	w, h = min(w+4, a.W), min(h+2, a.H)
	box := Clear(a.Sub((a.W-w)/2, max((a.H-h)/2, 0), w, h))
	inner := Panel(box, true, title, "", true)
	return inner.Sub(1, 0, inner.W-2, inner.H)
}
