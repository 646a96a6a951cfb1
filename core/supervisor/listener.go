package supervisor

import (
	"log/slog"
	"sync/atomic"

	"vitals/core"
)

// Listener is told of the four moments of each attempt to have a unit running,
// in this order, each at most once, and Exit always. It is called from one
// goroutine and may be slow: when too much waits, callbacks are dropped and
// counted, and no unit is delayed. A panic in it alters nothing.
type Listener interface {
	Init(unit string, err error)                   // it was made, or why not
	Load(unit string, parts core.Parts, err error) // it was attached, or why not
	Run(unit string, err error)                    // Serve ended; nil when it was asked to
	Exit(unit string, reason string)               // everything is released again, or was never acquired
}

// post carries callbacks to a Listener, which may be nil.
type post struct {
	to      Listener
	log     *slog.Logger
	queue   chan func(Listener)
	dropped atomic.Uint64
}

func newPost(to Listener, log *slog.Logger, limit int) *post {
	return &post{to: to, log: log, queue: make(chan func(Listener), limit)}
}

func (p *post) put(f func(Listener)) {
	if p.to == nil {
		return
	}
	select {
	case p.queue <- f:
	default:
		p.dropped.Add(1)
	}
}

func (p *post) init(id string, err error) { p.put(func(l Listener) { l.Init(id, err) }) }
func (p *post) load(id string, parts core.Parts, err error) {
	p.put(func(l Listener) { l.Load(id, parts, err) })
}
func (p *post) run(id string, err error)      { p.put(func(l Listener) { l.Run(id, err) }) }
func (p *post) exit(id string, reason string) { p.put(func(l Listener) { l.Exit(id, reason) }) }

// deliver calls the listener until stop is closed, then with what still waits.
func (p *post) deliver(stop <-chan struct{}) {
	for {
		select {
		case f := <-p.queue:
			p.call(f)
		case <-stop:
			for {
				select {
				case f := <-p.queue:
					p.call(f)
				default:
					return
				}
			}
		}
	}
}

func (p *post) call(f func(Listener)) {
	if err := guarded(func() error { f(p.to); return nil }); err != nil {
		p.log.Error("tell a listener", "error", errorText(err))
	}
}
