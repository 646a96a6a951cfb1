package kerntest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// CallsEnded waits until every thread of the processes and of their children has
// ended the call that it was sending in. A peer may have an answer before the call
// is over with which it was sent, and probes see the end.
func CallsEnded(t testing.TB, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*") // the pattern is a good one
		for _, task := range tasks {
			Until(t, task+" waits for something to do", func() bool { return !sends(firstWord(task + "/syscall")) })
			children, _ := os.ReadFile(task + "/children") // none, or it has ended
			for _, child := range strings.Fields(string(children)) {
				if pid, err := strconv.Atoi(child); err == nil {
					CallsEnded(t, pid)
				}
			}
		}
	}
}

// sends reports whether a thread may be sending by what its syscall file says
// first: that it runs, or the number of the call that it sleeps in.
func sends(word string) bool {
	if word == "running" {
		return true
	}
	nr, err := strconv.Atoi(word)
	if err != nil {
		return false // it has ended
	}
	return slices.Contains([]int{unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_SENDFILE}, nr)
}

func firstWord(path string) string {
	text, _ := os.ReadFile(path)
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return word
}
