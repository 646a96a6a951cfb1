package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness is how vitals asks for its turn: it needs little, but on a machine
// that is short of processors it must have that little in time, or it loses what
// it was started to see.
const niceness = -10

// slack is how late a timer may be, in nanoseconds. The runtime's own monitor asks
// to be woken every 20 us for a while after each burst of work: as often as that
// it was a fifth of what vitals costs, with nothing to do.
const slack = "1000000"

// hurry raises the priority of every thread and lets their timers be late; those
// to come inherit both. Without the right to it nothing happens. Commands that are
// to run as usual must be started before.
func hurry() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, niceness)
			_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte(slack), 0)
		}
	}
}
