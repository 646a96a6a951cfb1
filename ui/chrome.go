package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
	"vitals/ui/keys"
	"vitals/ui/page"
)

// draw fills the canvas and encodes it. It changes nothing of what is shown.
func (a *app) draw() {
	a.draws++
	a.cv.Reset(a.w, a.h)
	all := a.cv.All()
	a.pc.HasCursor = false
	if a.pc.Size == page.Tiny {
		a.drawTiny(all)
	} else {
		a.drawFull(all)
	}
	a.frame = a.cv.Encode(a.pal)
	a.cursor = nil
	if a.pc.HasCursor {
		a.cursor = tea.NewCursor(a.pc.CursorX, a.pc.CursorY)
		a.cursor.Blink = false
	}
}

func (a *app) drawFull(all canvas.Area) {
	head, rest := all.Top(1)
	a.drawHeader(head)
	tabs, rest := rest.Top(1)
	a.drawTabs(tabs)
	foot, rest := rest.Bottom(1)
	if notice := a.pc.Snap.Self.Notice; notice != "" {
		var line canvas.Area
		line, rest = rest.Top(1)
		line.Fit(1, 0, line.W-2, "! "+notice, canvas.Fg(canvas.Warn))
	}
	if line, ok := a.filterLine(); ok {
		var top canvas.Area
		top, rest = rest.Top(1)
		line(top)
	}
	a.body = rest.Rect()
	a.page().Draw(&a.pc, rest)
	a.drawFooter(foot)
	if a.overlay != nil {
		a.overlay.draw(a, all)
	}
}

// filterLine draws the filter that holds, unless it is being typed.
func (a *app) filterLine() (func(canvas.Area), bool) {
	if f, ok := a.overlay.(*filterLine); ok {
		return func(top canvas.Area) { f.drawLine(a, top) }, true
	}
	p, ok := a.page().(page.Filterable)
	if !ok || p.Filter() == "" {
		return nil, false
	}
	return func(top canvas.Area) {
		x := top.Text(1, 0, "/ ", canvas.Strong(canvas.Key))
		x = top.Fit(x, 0, top.W-x-14, p.Filter(), canvas.Fg(canvas.Match))
		top.Right(x+2, 0, top.W-x-3, "esc shows all", canvas.Fg(canvas.Faint))
	}, true
}

type segment struct {
	text  string
	style canvas.Style
	// leave is the order in which segments leave when there is no room; 0 stays.
	leave int
}

func (a *app) drawHeader(line canvas.Area) {
	line = line.On(canvas.Style{BG: canvas.Surface})
	line.Fill(' ', canvas.Style{})
	left, right := a.headerLeft(), a.headerRight()
	for width(left)+width(right)+3 > line.W {
		if !dropOne(&left, &right) {
			break
		}
	}
	x := 1
	for _, s := range left {
		x = line.Text(x, 0, s.text, s.style) + 2
	}
	x = line.W - width(right) - 1
	for _, s := range right {
		x = line.Text(x, 0, s.text, s.style) + 2
	}
}

func width(segs []segment) int {
	n := 0
	for _, s := range segs {
		n += canvas.Width(s.text) + 2
	}
	return max(n-2, 0)
}

// dropOne takes the first segment to leave out of whichever side it is on.
func dropOne(sides ...*[]segment) bool {
	best, side := -1, 0
	for i, segs := range sides {
		for j, s := range *segs {
			if s.leave > 0 && (best < 0 || s.leave < (*sides[side])[best].leave) {
				best, side = j, i
			}
		}
	}
	if best < 0 {
		return false
	}
	segs := *sides[side]
	*sides[side] = append(segs[:best:best], segs[best+1:]...)
	return true
}

func (a *app) headerLeft() []segment {
	s := a.pc.Snap
	muted := canvas.Fg(canvas.Muted)
	kernel, _, _ := strings.Cut(s.Host.Kernel, "-")
	segs := []segment{
		{"◆ vitals", canvas.Strong(canvas.Accent), 0},
		{s.Host.Name, canvas.Strong(canvas.FG), 6},
		{"linux " + kernel, muted, 1},
		{format.Plural(s.Totals.Processes, "process", "processes"), muted, 4},
	}
	for _, n := range []struct {
		sign, word string
		n          int
		tok        canvas.Token
	}{{"●", " on", s.Totals.Instrumented, canvas.OK}, {"◌", " attaching", s.Totals.Attaching, canvas.Info}, {"✖", " failed", s.Totals.Failed, canvas.Crit}} {
		if n.n == 0 && n.sign != "●" {
			continue
		}
		if a.pc.Size == page.Small {
			n.word = ""
		}
		segs = append(segs, segment{n.sign + strconv.Itoa(n.n) + n.word, canvas.Fg(n.tok), 0})
	}
	if s.Toggles != nil && s.Toggles.Suspended {
		segs = append(segs, segment{"all detached", canvas.Style{FG: canvas.Warn, Attr: canvas.Reverse}, 0})
	}
	return segs
}

func (a *app) headerRight() []segment {
	s := a.pc.Snap
	self := s.Self.CPURatio
	if s.Self.BPFRatio > 0 {
		self += s.Self.BPFRatio
	}
	segs := []segment{{"self " + page.Percent(self), canvas.Fg(canvas.Muted), 0}}
	if s.Self.RSSBytes > 0 {
		segs = append(segs, segment{format.Of(format.Bytes, float64(s.Self.RSSBytes)), canvas.Fg(canvas.Muted), 2})
	}
	switch lost := "lost " + a.losses.Text(s.Self.LostTotal, a.newest.At); {
	case s.Self.LostTotal == 0:
		segs = append(segs, segment{lost, canvas.Fg(canvas.Muted), 5})
	case a.losses.Growing(a.newest.At): // it cries only while it goes on
		segs = append(segs, segment{" " + lost + " ", canvas.Style{FG: canvas.Crit, Attr: canvas.Bold | canvas.Reverse}, 0})
	default:
		segs = append(segs, segment{lost, canvas.Fg(canvas.Warn), 0})
	}
	if a.paused {
		behind := a.newest.At.Sub(s.At).Round(time.Second)
		return append(segs, segment{fmt.Sprintf("‖ paused at %s, %v ago", s.At.Local().Format("15:04:05"), behind), canvas.Style{FG: canvas.Warn, Attr: canvas.Bold}, 0})
	}
	return append(segs, segment{"▶ live " + a.refresh.String(), canvas.Fg(canvas.OK), 0})
}

func (a *app) drawTabs(line canvas.Area) {
	a.tabs = a.tabs[:0]
	x, most := 1, a.tabWidth(line.W)
	for i, p := range a.pages {
		name, st := fmt.Sprintf(" %d %s ", i+1, p.Title()), canvas.Fg(canvas.Muted)
		if i != a.at && len(p.Title()) > most {
			name = fmt.Sprintf(" %d %s ", i+1, p.Title()[:most])
		}
		if i == a.at {
			name, st = fmt.Sprintf("[%d %s", i+1, p.Title()), canvas.Strong(canvas.Accent)
		}
		end := line.Text(x, 0, name, st)
		if i == a.at {
			end = a.drawTrail(line, end)
			end = line.Text(end, 0, "]", st)
		}
		a.tabs = append(a.tabs, canvas.Rect{X: line.X + x, Y: line.Y, W: end - x, H: 1})
		x = end
	}
	text, st := pushState(a.pc.Snap, a.pc.Snap.At)
	if n := canvas.Width(text); x+n+2 < line.W {
		line.Text(line.W-n-1, 0, text, st)
	}
}

// drawTrail writes how one came to the page that is shown: the way before it is
// told in dots, since it would push the other tabs off the screen.
func (a *app) drawTrail(line canvas.Area, x int) int {
	n := len(a.detail)
	if n == 0 {
		return x
	}
	if n > 1 {
		x = line.Text(x, 0, " › …", canvas.Fg(canvas.Faint))
	}
	x = line.Text(x, 0, " › ", canvas.Fg(canvas.Faint))
	return line.Fit(x, 0, max(line.W/5, 12), a.detail[n-1].Title(), canvas.Strong(canvas.FG))
}

// tabWidth is how many letters of the other pages' titles fit.
func (a *app) tabWidth(w int) int {
	trail := 0
	if n := len(a.detail); n > 0 {
		trail = 3 + min(canvas.Width(a.detail[n-1].Title()), max(w/5, 12))
		if n > 1 {
			trail += 4
		}
	}
	for most := 14; most > 3; most-- {
		sum := 1 + trail
		for i, p := range a.pages {
			n := len(p.Title())
			if i != a.at {
				n = min(n, most)
			}
			sum += n + 4
		}
		if sum <= w {
			return most
		}
	}
	return 3
}

// pushState is the state of the destinations in a few words: the worst of them.
func pushState(s *core.Snapshot, now time.Time) (string, canvas.Style) {
	if len(s.Push) == 0 {
		return "", canvas.Style{}
	}
	worst := s.Push[0]
	for _, p := range s.Push[1:] {
		if p.Consecutive > worst.Consecutive {
			worst = p
		}
	}
	switch {
	case worst.Consecutive > 0:
		return fmt.Sprintf("push ✖ %s, %s", worst.State, format.Plural(worst.Consecutive, "failure", "failures")), canvas.Strong(canvas.Crit)
	case worst.LastSuccess.IsZero():
		return "push ◌ " + worst.State, canvas.Fg(canvas.Info)
	}
	return "push ✓ " + format.Of(format.Age, now.Sub(worst.LastSuccess)) + " ago", canvas.Fg(canvas.OK)
}

func (a *app) drawFooter(line canvas.Area) {
	line = line.On(canvas.Style{BG: canvas.Surface})
	line.Fill(' ', canvas.Style{})
	if a.toast.text != "" {
		tok := [...]canvas.Token{canvas.Info, canvas.OK, canvas.Warn}[a.toast.level]
		line.Fit(1, 0, line.W-2, a.toast.text, canvas.Strong(tok))
		return
	}
	x := 1
	for _, b := range a.keys.Table(a.footerScopes()...) {
		if t := a.newest.Toggles; b.Action == keys.DetachAll && t != nil && t.Suspended {
			b.Label = "put back"
		}
		n := canvas.Width(b.Show) + 1 + canvas.Width(b.Label)
		if b.Label == "" || x+n > line.W-1 {
			continue
		}
		x = line.Text(x, 0, b.Show, canvas.Strong(canvas.Key))
		x = line.Text(x+1, 0, b.Label, canvas.Fg(canvas.Muted)) + 3
	}
}

// scopes are the ones that hold now, the nearest first.
func (a *app) scopes() []keys.Scope {
	var s []keys.Scope
	if a.paused {
		s = append(s, keys.Paused)
	}
	if own := a.page().Scope(); own != keys.Lists {
		s = append(s, own)
	}
	return append(s, keys.Lists)
}

func (a *app) footerScopes() []keys.Scope { return append(a.scopes(), keys.Global) }

// drawTiny is the health line for terminals that show nothing else.
func (a *app) drawTiny(all canvas.Area) {
	s := a.pc.Snap
	lines := []segment{
		{fmt.Sprintf("Terminal is %dx%d, vitals needs 60x14", a.w, a.h), canvas.Fg(canvas.Muted), 1},
		{fmt.Sprintf("●%d on ◌%d ✖%d   lost %s", s.Totals.Instrumented, s.Totals.Attaching, s.Totals.Failed,
			format.Of(format.Count, float64(s.Self.LostTotal))), canvas.Strong(canvas.FG), 0},
		{fmt.Sprintf("%s/s  %s%% err  p99 %s", format.Of(format.Count, s.Totals.Server.Rate),
			format.Of(format.Percent, s.Totals.Server.ErrRatio), format.Of(format.Seconds, s.Totals.Server.P99)), canvas.Strong(canvas.FG), 0},
	}
	if w := page.Worst(s); w != nil {
		lines = append(lines, segment{"▲ " + w.Name + " " + w.Message, canvas.Fg(canvas.Warn), 0})
	}
	lines = append(lines, segment{"resize, or q to quit", canvas.Fg(canvas.Faint), 1})
	for len(lines) > all.H && dropOne(&lines) {
	}
	y := max((all.H-len(lines))/2, 0)
	for i, l := range lines {
		all.Fit(2, y+i, all.W-2, l.text, l.style)
	}
}
