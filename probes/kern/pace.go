package kern

import (
	"time"

	"golang.org/x/sys/unix"
)

// Pace says when to look again, so that looking stays cheap: every Every, or
// less often where one look takes more than Share of that. The caller's goroutine
// is locked to its thread.
type Pace struct {
	Every time.Duration
	Share float64 // of one core

	began time.Duration
}

// Begin starts the measuring of one look.
func (p *Pace) Begin() { p.began = threadCPU() }

// Next ends it and returns how long to wait.
func (p *Pace) Next() time.Duration { return p.after(threadCPU() - p.began) }

func (p *Pace) after(took time.Duration) time.Duration {
	return max(p.Every, time.Duration(float64(took)/p.Share))
}

// threadCPU is the processor time of this thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
