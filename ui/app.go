package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"vitals/core"
	"vitals/themes"
	"vitals/ui/canvas"
	"vitals/ui/keys"
	"vitals/ui/page"
)

// app is the one model. Update decides, View draws; both run on one goroutine,
// Bubble Tea's event loop.
type app struct {
	ctx  context.Context
	cfg  Config
	keys *keys.Map

	pages  []page.Page
	at     int         // index of the page on the first level
	detail []page.Page // pages opened from it, the newest is shown
	pc     page.Context

	newest  *core.Snapshot
	past    history
	losses  page.Losses
	paused  bool
	refresh time.Duration
	began   time.Time
	looks   [4]time.Time // the last looks, to slow down when changes come in storms

	pending map[core.ToggleKey]pending
	undo    []step

	overlay overlay
	toast   toast
	toasts  []toast // waiting
	effects []tea.Cmd
	lastHit click

	cv         canvas.Canvas
	pal        *canvas.Palette
	theme      themes.Theme
	themeFixed bool // chosen: nothing found out about the terminal changes it
	dark       bool
	profile    colorprofile.Profile
	mouse      bool
	w, h       int
	frame      string
	cursor     *tea.Cursor
	dirty      bool
	draws      int // frames drawn, for tests
	pulse      pulse
	tabs       []canvas.Rect
	body       canvas.Rect
}

type pending struct {
	choice core.Choice
	until  time.Time
}

type (
	lookMsg   struct{} // time to pull a snapshot
	expireMsg struct{ n int }
	savedMsg  struct {
		what string
		err  error
	}
)

func newApp(ctx context.Context, cfg Config, t terminal) *app {
	a := &app{ctx: ctx, cfg: cfg, pages: pages(), refresh: cfg.Refresh, mouse: true, dark: true,
		profile: colorprofile.TrueColor, pending: map[core.ToggleKey]pending{}, w: cfg.Width, h: cfg.Height}
	a.keys = keys.New(len(a.pages))
	a.cv.ASCII = t.ascii
	if t.profile != nil {
		a.profile = *t.profile
	}
	if cfg.Theme != nil {
		a.themeFixed = true
		a.setTheme(*cfg.Theme)
	} else {
		a.autoTheme()
	}
	a.began = time.Now()
	a.newest = cfg.Source.Latest()
	a.past.most = cfg.Rewind
	a.past.add(a.newest)
	a.losses.Look(a.newest)
	a.pc = page.Context{App: a, Losses: &a.losses, Snap: a.newest, Events: a.newest.Events, Metrics: cfg.Metrics}
	a.loadState()
	for _, w := range cfg.Warnings {
		a.Toast(page.Bad, w)
	}
	a.resize()
	a.show()
	return a
}

// Init asks for the terminal's background and begins to look.
func (a *app) Init() tea.Cmd {
	cmds := []tea.Cmd{a.look(), a.expire()}
	if !a.themeFixed && a.profile > colorprofile.ASCII {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// Update takes one message. It never blocks and does no input or output.
func (a *app) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case lookMsg:
		return a, a.look()
	case tea.KeyPressMsg:
		return a, a.key(m)
	case tea.PasteMsg:
		if in, ok := a.overlay.(interface{ paste(*app, string) }); ok {
			in.paste(a, m.Content)
			a.dirty = true
		}
	case tea.MouseClickMsg:
		return a, a.click(m)
	case tea.MouseWheelMsg:
		a.wheel(m)
	case tea.WindowSizeMsg:
		a.w, a.h = m.Width, m.Height
		a.resize()
	case tea.ColorProfileMsg:
		a.profile = m.Profile
		a.setTheme(a.theme)
		a.autoTheme()
	case tea.BackgroundColorMsg:
		a.dark = m.IsDark()
		a.autoTheme()
	case tea.ResumeMsg:
		a.dirty = true
		return a, tea.ClearScreen
	case expireMsg:
		if m.n == a.toast.n {
			a.nextToast()
			return a, a.expire()
		}
	case savedMsg:
		if m.err != nil {
			a.Toast(page.Bad, m.what+": "+m.err.Error())
		} else {
			a.Toast(page.Good, m.what)
		}
		return a, a.expire()
	}
	return a, nil
}

// look pulls the newest snapshot and waits for the next.
func (a *app) look() tea.Cmd {
	changed := a.cfg.Source.Changed() // before Latest, so that nothing is missed in between
	if s := a.cfg.Source.Latest(); s.Seq != a.newest.Seq || s.Started != a.newest.Started {
		a.newest = s
		a.past.add(s)
		a.losses.Look(s)
		a.settle()
		if !a.paused {
			a.pc.Snap, a.pc.Events = s, s.Events
			a.page().Update(&a.pc)
		}
		a.dirty = true // while paused too: the header tells how long ago that is
	}
	a.focusPID()
	spacing := a.spacing(time.Now())
	ctx, refresh := a.ctx, max(a.refresh, time.Second)
	return func() tea.Msg {
		began := time.Now()
		idle := time.NewTimer(refresh)
		defer idle.Stop()
		select {
		case <-changed:
		case <-idle.C:
		case <-ctx.Done():
			return tea.QuitMsg{}
		}
		if rest := spacing - time.Since(began); rest > 0 {
			pause := time.NewTimer(rest)
			defer pause.Stop()
			select {
			case <-pause.C:
			case <-ctx.Done():
				return tea.QuitMsg{}
			}
		}
		return lookMsg{}
	}
}

// settling is the time after the start in which everything is shown as it comes.
const settling = 3 * time.Second

// spacing is the least time to the next look: a tenth of a second, so that a
// process that starts is seen at once; more while changes come without pause.
func (a *app) spacing(now time.Time) time.Duration {
	copy(a.looks[:], a.looks[1:])
	oldest := a.looks[0]
	a.looks[len(a.looks)-1] = now
	switch {
	case a.refresh > time.Second && now.Sub(a.began) > settling && len(a.pending) == 0:
		return a.refresh
	case now.Sub(oldest) < time.Second:
		return 300 * time.Millisecond
	}
	return 100 * time.Millisecond
}

// settle forgets wishes that the snapshot fulfils, or that took too long.
func (a *app) settle() {
	now := time.Now()
	for k, p := range a.pending {
		choice, known := core.Auto, false
		if a.newest.Toggles != nil {
			choice, known = a.newest.Toggles.Choices[k]
		}
		if known && choice == p.choice || !known && p.choice == core.Auto || now.After(p.until) {
			delete(a.pending, k)
		}
	}
}

// page is the page that is shown.
func (a *app) page() page.Page {
	if n := len(a.detail); n > 0 {
		return a.detail[n-1]
	}
	return a.pages[a.at]
}

// show prepares the page that is shown now.
func (a *app) show() {
	a.pc.Hinted = a.pc.Hinted || a.page().Scope() == keys.Integrations
	a.page().Update(&a.pc)
	a.dirty = true
}

func (a *app) resize() {
	if size := page.Class(a.w, a.h); size != a.pc.Size {
		a.pc.Size = size
		a.page().Update(&a.pc)
	}
	a.dirty = true
}

// View draws the frame, or returns the last one when nothing changed.
func (a *app) View() tea.View {
	if a.dirty && a.w > 0 && a.h > 0 {
		a.draw()
		a.dirty = false
		a.pulse.change()
	}
	v := tea.NewView(a.frame)
	v.AltScreen = true
	v.WindowTitle = a.title()
	v.Cursor = a.cursor
	v.KeyboardEnhancements.ReportAlternateKeys = true
	if a.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

func (a *app) title() string {
	if n := a.pc.Snap.Totals.Failed; n > 0 {
		return "vitals ✖"
	}
	return "vitals"
}

// coalesce drops what nobody looks at before it costs a frame.
func (a *app) coalesce(_ tea.Model, msg tea.Msg) tea.Msg {
	switch msg.(type) {
	case tea.MouseMotionMsg, tea.MouseReleaseMsg, tea.KeyReleaseMsg:
		return nil
	}
	return msg
}

func (a *app) setTheme(t themes.Theme) {
	a.theme, a.pal = t, palette(&t, a.profile)
	a.dirty = true
}

// autoTheme follows what is known of the terminal unless a theme was chosen.
func (a *app) autoTheme() {
	if a.themeFixed {
		return
	}
	name := themes.DefaultDark
	switch {
	case a.profile <= colorprofile.ASCII:
		name = themes.NoColor
	case a.profile == colorprofile.ANSI:
		name = "terminal" // the user's own sixteen are chosen to be readable
	case !a.dark:
		name = themes.DefaultLight
	}
	if name == a.theme.Name {
		return
	}
	if t, err := themes.Load(name); err == nil {
		a.setTheme(t)
	}
}
