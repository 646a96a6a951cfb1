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

// hurrySession raises the weight of our session, where it is ours alone. Linux
// shares a processor first among sessions (sched_autogroup), so that niceness
// counts for little beside those of others; measured with ten busy ones, a reader
// had to wait for up to half a second. The leader is we, as a service or in a
// container, or the sudo that gave us a terminal of our own; a session begun by a
// shell has other commands too and stays as it is.
func hurrySession() {
	sid, err := unix.Getsid(0)
	if err != nil || sid != os.Getpid() && (sid != os.Getppid() || !isSudo(sid)) {
		return
	}
	_ = os.WriteFile("/proc/self/autogroup", strconv.AppendInt(nil, niceness, 10), 0)
}

func isSudo(pid int) bool {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return err == nil && string(name) == "sudo\n"
}
