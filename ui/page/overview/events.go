package overview

import (
	"time"

	"vitals/core"
)

// brief is how long a process must live to be told of here: what a shell starts
// and ends all the time would hide the server that was killed.
const brief = time.Second

// recent lists the events worth a look, the newest first. What a process of less
// than brief did is left out unless it ended badly; the page of events has all.
func recent(rows []*core.Event, all []core.Event, now time.Time) []*core.Event {
	ended := map[core.ProcKey]time.Time{}
	short := map[core.ProcKey]bool{}
	for i := len(all) - 1; i >= 0; i-- {
		switch e := &all[i]; e.Kind {
		case core.EventExit:
			ended[e.Proc] = e.At
		case core.EventExec, core.EventFork:
			end, over := ended[e.Proc]
			if !over {
				end = now
			}
			if short[e.Proc] = end.Sub(e.At) < brief; !over {
				ended[e.Proc] = now
			}
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if e := &all[i]; e.Error != "" || !short[e.Proc] {
			rows = append(rows, e)
		}
	}
	return rows
}
