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
func recent(rows []*core.Event, s *core.Snapshot, all []core.Event) []*core.Event {
	ended := map[core.ProcKey]time.Time{}
	for i := range all {
		if e := &all[i]; e.Kind == core.EventExit {
			ended[e.Proc] = e.At
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		switch e.Kind {
		case core.EventExit, core.EventExec, core.EventFork:
			end, over := ended[e.Proc]
			if !over {
				end = s.At
			}
			if e.Error == "" && end.Sub(born(s, e)) < brief {
				continue
			}
		}
		rows = append(rows, e)
	}
	return rows
}

// born is when the process of an event began: its key tells, in hundredths of a
// second since the machine did.
func born(s *core.Snapshot, e *core.Event) time.Time {
	return s.Host.BootTime.Add(time.Duration(e.Proc.Birth) * 10 * time.Millisecond)
}
