package discover

import (
	"sync"

	"vitals/core"
)

// maxQueue bounds what Feed holds for Run: about 2.5 MB. At 15,000 events a
// second (5,000 short-lived processes) that is two seconds of a stalled Run.
const maxQueue = 32768

// keepQueue is the capacity that is kept after a burst.
const keepQueue = 2048

// queue carries events from any goroutine to Run's. It grows with a burst and
// shrinks after it.
type queue struct {
	mu   sync.Mutex
	buf  []core.ProcessEvent
	lost bool // something did not fit since the last take
	wake chan struct{}
}

func (q *queue) push(events []core.ProcessEvent) (dropped int) {
	q.mu.Lock()
	n := min(len(events), maxQueue-len(q.buf))
	q.buf = append(q.buf, events[:n]...)
	dropped = len(events) - n
	q.lost = q.lost || dropped > 0
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// take gives all that waits and keeps empty in its place.
func (q *queue) take(empty []core.ProcessEvent) (events []core.ProcessEvent, lost bool) {
	if cap(empty) > keepQueue {
		empty = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	events, lost = q.buf, q.lost
	q.buf, q.lost = empty[:0], false
	return events, lost
}
