package usage

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// Who sleeps is left out by the kernel side and told all the same, as it was; who
// wakes is told at the next look.
func TestSleepersAreToldAsTheyWere(t *testing.T) {
	sink := start(t, 20*time.Millisecond)
	sh := exec.Command("/bin/sh", "-c", "while read n; do i=0; while [ $i -lt $n ]; do i=$((i+1)); done; done")
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	defer sh.Wait()
	defer in.Close()
	pid := int32(sh.Process.Pid)
	runtime := func() int64 {
		n, _ := strconv.ParseInt(strings.Fields(read(t, fmt.Sprintf("/proc/%d/schedstat", pid)))[0], 10, 64)
		return n
	}
	// It sleeps when it reads the next line: until then it runs, or may at any time.
	reading := fmt.Sprintf("%d 0x0 ", unix.SYS_READ)
	asleep := func() {
		kerntest.Until(t, "the shell reads", func() bool {
			return strings.HasPrefix(read(t, fmt.Sprintf("/proc/%d/syscall", pid)), reading)
		})
	}
	cpu := func(u core.Usage) int64 { return u.CPUUser + u.CPUSystem }
	for _, loops := range []int{0, 20000, 100, 50000} {
		fmt.Fprintln(in, loops)
		asleep()
		want := runtime()
		first := next(t, sink)[pid]
		if cpu(first) != want || first.Threads != 1 || first.RSS <= 0 || first.FDs < 3 {
			t.Errorf("after %d loops: %+v, want %d ns of CPU", loops, first, want)
		}
		for range 3 {
			if again := next(t, sink)[pid]; again != first {
				t.Errorf("asleep: %+v\nbefore: %+v", again, first)
			}
		}
	}
	in.Close()
	sh.Wait()
	kerntest.Until(t, "one that ended is told no more", func() bool { _, there := next(t, sink)[pid]; return !there })
}
