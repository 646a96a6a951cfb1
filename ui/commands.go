package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"vitals/core"
	"vitals/ui/page"
)

// This file is what the palette's commands and the less frequent keys do.

// showProcesses shows the processes that pass a filter.
func (a *app) showProcesses(filter string) {
	if a.goToTitle("Processes") {
		a.page().(page.Filterable).SetFilter(&a.pc, filter)
		a.show()
	}
}

func (a *app) openPID(arg string) tea.Cmd {
	pid, err := strconv.ParseInt(arg, 10, 32)
	if err != nil {
		a.Toast(page.Bad, "pid "+arg+": give a number")
		return nil
	}
	for _, r := range a.pc.Snap.Processes {
		if int64(r.PID) == pid {
			a.Open(page.Subject{Proc: r.ProcKey})
			return nil
		}
	}
	a.Toast(page.Bad, fmt.Sprintf("there is no process %d", pid))
	return nil
}

// switchAll switches all processes that pass a filter.
func (a *app) switchAll(filter string, choice core.Choice) tea.Cmd {
	f := page.ParseProcesses(&a.pc, filter)
	var rows []*core.ProcessRow
	for _, r := range a.newest.Processes {
		if r.Alive && r.Skip == "" && f.Match(r) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		a.Toast(page.Bad, "no process matches "+filter)
		return nil
	}
	who := fmt.Sprintf("%d processes", len(rows))
	do := func() { page.SetProcesses(&a.pc, rows, choice, who) }
	if len(rows) > page.Many {
		a.Confirm(fmt.Sprintf("switch %s %s?", who, choice), do)
	} else {
		do()
	}
	return nil
}

func (a *app) themeByName(arg string) tea.Cmd {
	for _, t := range a.cfg.Themes() {
		if t.Name == arg {
			a.themeFixed = true
			a.setTheme(t)
			return a.keepTheme(t.Name)
		}
	}
	a.Toast(page.Bad, "no theme "+arg+": T shows what there is")
	return nil
}

// pickTheme shows the themes; the screen follows the cursor.
func (a *app) pickTheme() {
	all := a.cfg.Themes()
	if len(all) == 0 {
		return
	}
	before, fixed := a.theme, a.themeFixed
	m := page.Menu{Title: "Theme", Moved: func(i int) { a.setTheme(all[i]) }}
	for i, t := range all {
		m.Items = append(m.Items, page.Item{Label: t.Name, Help: t.Description})
		if t.Name == a.theme.Name {
			m.At, m.Items[i].Checked = i, true
		}
	}
	a.themeFixed = true
	m.Chosen = func(i int) {
		a.setTheme(all[i])
		a.effects = append(a.effects, a.keepTheme(all[i].Name))
	}
	m.Closed = func(chosen bool) {
		if !chosen {
			a.setTheme(before)
			a.themeFixed = fixed
		}
	}
	a.Menu(m)
}

func (a *app) keepTheme(name string) tea.Cmd {
	if a.cfg.SaveTheme == nil {
		a.Toast(page.Note, "theme "+name+" for this run")
		return nil
	}
	save := a.cfg.SaveTheme
	return func() tea.Msg {
		return savedMsg{"theme " + name + " kept", save(name)}
	}
}

// save writes the screen to a new file, never over an old one.
func (a *app) save() tea.Cmd {
	if a.dirty {
		a.draw()
	}
	text := a.cv.Text()
	name := filepath.Join(a.cfg.SaveDir, "vitals-"+a.pc.Snap.At.Local().Format("20060102-150405")+".txt")
	as := a.cfg.As
	if as == nil {
		as = func(f func() error) error { return f() }
	}
	return func() tea.Msg {
		var f *os.File
		err := as(func() (err error) {
			f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			return err
		})
		if errors.Is(err, os.ErrExist) {
			return savedMsg{"screen", errors.New(name + " is there already")}
		}
		if err != nil {
			return savedMsg{"save the screen", err}
		}
		_, err = f.WriteString(text)
		return savedMsg{"screen saved as " + name, errors.Join(err, f.Close())}
	}
}

func (a *app) loadState() {
	a.pc.Kinds = a.cfg.State.Kinds
	for i, p := range a.pages {
		if p.Title() == a.cfg.State.Page {
			a.at = i
		}
		if s, ok := p.(page.Stateful); ok {
			s.LoadState(&a.pc, a.cfg.State.View, a.cfg.State.Sort)
		}
	}
}

func (a *app) saveState() error {
	if a.cfg.State.Save == nil {
		return nil
	}
	st := State{Page: a.pages[a.at].Title(), Kinds: a.pc.Kinds}
	for _, p := range a.pages {
		if s, ok := p.(page.Stateful); ok {
			st.View, st.Sort = s.State()
		}
	}
	if err := a.cfg.State.Save(st); err != nil {
		return fmt.Errorf("keep the state of the dashboard: %w", err)
	}
	return nil
}
