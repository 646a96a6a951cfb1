package engine

import (
	"testing"
	"time"
)

// A rare change is seen at once; changes without pause cost four snapshots a second.
func TestPacing(t *testing.T) {
	now := begin
	p := pacing{last: now, left: burst}
	now = now.Add(time.Second)
	if w := p.wait(now); w != gather {
		t.Errorf("a rare change waits %v", w)
	}
	count := func(d time.Duration) (n int) {
		for end := now.Add(d); now.Before(end); n++ {
			now = now.Add(p.wait(now))
			p.published(now, true)
		}
		return n
	}
	if n := count(time.Second); n < burst || n > burst+5 {
		t.Errorf("%d snapshots in the first second of a storm", n)
	}
	if n := count(10 * time.Second); n > 60 {
		t.Errorf("%d snapshots in ten seconds of a storm", n)
	}
	now = now.Add(3 * time.Second)
	p.published(now, false) // ticks go on meanwhile
	now = now.Add(500 * time.Millisecond)
	if w := p.wait(now); w != gather {
		t.Errorf("after the storm a change waits %v", w)
	}
}
