package usage

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core"
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
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		return n
	}
	asleep := func() {
		for before := int64(-1); before != runtime(); time.Sleep(20 * time.Millisecond) {
			before = runtime()
		}
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
	for end := time.Now().Add(3 * wholeEvery); ; {
		if _, there := next(t, sink)[pid]; !there {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it ended and is told still")
		}
	}
}
