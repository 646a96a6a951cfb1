package ui

import (
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
)

type onlyText struct {
	seen chan bool
	p    *tea.Program
}

func (m onlyText) Init() tea.Cmd  { return func() tea.Msg { return lookMsg{} } }
func (m onlyText) View() tea.View { return tea.NewView("text") }
func (m onlyText) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(lookMsg); ok {
		m.seen <- tickerOf(m.p) != nil
		return m, tea.Quit
	}
	return m, nil
}

// A new Bubble Tea may hide its clock elsewhere: then idling costs more again.
func TestRendererClockIsFound(t *testing.T) {
	m := &onlyText{seen: make(chan bool, 1)}
	m.p = tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(newScreen(20, 5)), tea.WithWindowSize(20, 5))
	if tickerOf(m.p) != nil {
		t.Error("a program that does not run has a clock")
	}
	if _, err := m.p.Run(); err != nil {
		t.Fatal(err)
	}
	if !<-m.seen {
		t.Error("the renderer's ticker is not where it was: look at tickerOf")
	}
}

func TestClockRestsBetweenChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pulse{program: &tea.Program{}, ticker: time.NewTicker(time.Hour)}
		p.rest = time.AfterFunc(time.Hour, p.slow)
		defer p.stop()
		ticks := func(d time.Duration) (n int) {
			for end := time.After(d); ; {
				select {
				case <-p.ticker.C:
					n++
				case <-end:
					return n
				}
			}
		}
		p.change()
		if n := ticks(linger - frameTime/2); n != 3 {
			t.Errorf("%d looks while it lingers after a change, want 3", n)
		}
		time.Sleep(frameTime)
		if n := ticks(10 * restTime / 4); n < 2 || n > 3 {
			t.Errorf("%d looks in 1.25 s of rest, want 2 and one that was left", n)
		}
		p.change()
		if n := ticks(3 * frameTime / 2); n != 1 {
			t.Errorf("%d looks soon after the second change", n)
		}
	})
}
