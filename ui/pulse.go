package ui

import (
	"reflect"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// fps is how often the renderer looks for a new picture while there are changes:
// 25 ms from a key to the screen at most.
const fps = 40

// Times of the renderer's clock.
const (
	frameTime = time.Second / fps
	// linger is how long the clock keeps its pace after a change.
	linger = 4 * frameTime
	// restTime is its pace afterwards. What a slow terminal kept from being drawn
	// in time comes then.
	restTime = time.Second / 2
)

// pulse slows the renderer's clock down while the picture does not change. Bubble
// Tea looks for a new picture fps times a second for as long as it runs, at a
// quarter of a CPU second a minute, and has no option to look only when there is
// one. Its ticker is not exported; should it be gone one day, the clock keeps its
// pace.
type pulse struct {
	program *tea.Program // nil in tests without a renderer

	mu     sync.Mutex
	ticker *time.Ticker
	rest   *time.Timer
	until  time.Time
}

// change tells that View has a new picture. It is for Bubble Tea's event loop.
func (p *pulse) change() {
	if p.program == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ticker == nil {
		if p.ticker = tickerOf(p.program); p.ticker == nil {
			return
		}
		p.rest = time.AfterFunc(linger, p.slow)
	}
	p.until = time.Now().Add(linger)
	p.rest.Reset(linger)
	p.ticker.Reset(frameTime)
}

func (p *pulse) slow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return // a change came meanwhile
	}
	p.ticker.Reset(restTime)
}

// stop ends the clock's changes of pace.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest != nil {
		p.rest.Stop()
	}
}

// tickerOf is the clock of a running program's renderer, nil when there is none.
func tickerOf(p *tea.Program) *time.Ticker {
	f := reflect.ValueOf(p).Elem().FieldByName("ticker")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*time.Ticker]() {
		return nil
	}
	return (*time.Ticker)(f.UnsafePointer())
}
