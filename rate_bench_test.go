package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkExchangesPerSecond has a process ask itself, observed at both ends, and
// tells how many exchanges a second were counted, how many of all, and how much of
// one processor that took: at 100,000 a second, and as fast as it goes.
func BenchmarkExchangesPerSecond(b *testing.B) {
	for _, rate := range []int{50000, 0} {
		b.Run(fmt.Sprintf("rate=%d", 2*rate), func(b *testing.B) {
			for b.Loop() {
				countRate(b, 500000, rate)
			}
		})
	}
}

func countRate(b *testing.B, n, rate int) {
	load := exec.Command(benchBinary(b, "rate", "./testdata/rate"), strconv.Itoa(n), strconv.Itoa(rate))
	in, _ := load.StdinPipe()
	out, _ := load.StdoutPipe()
	load.Stderr = os.Stderr
	if err := load.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { load.Process.Kill(); load.Wait() }()
	var ready string
	fmt.Fscan(out, &ready)
	v := exec.Command(benchBinary(b, "vitals", "."), "snapshot", "--for", "1h", "-o", "prometheus", "--include", fmt.Sprintf("pid=%d", load.Process.Pid))
	var told bytes.Buffer
	v.Stdout = &told
	if err := v.Start(); err != nil {
		b.Fatal(err)
	}
	defer v.Process.Kill() // when it has not ended
	time.Sleep(2 * time.Second)
	before := cpuSeconds(b, v.Process.Pid)
	fmt.Fprintln(in)
	var asked, took float64
	if _, err := fmt.Fscan(out, &asked, &took); err != nil {
		b.Fatal(err)
	}
	cpu := cpuSeconds(b, v.Process.Pid) - before
	v.Process.Signal(syscall.SIGINT)
	if err := v.Wait(); err != nil {
		b.Fatal(err)
	}
	counted := addUp(told.Bytes(), `(?m)^http_(?:server|client)_request_duration_seconds_count\{.* (\d+)$`)
	lost := addUp(told.Bytes(), `(?m)^vitals_lost_total\{.*stage="ring".* (\d+)$`)
	if counted+lost != 2*asked {
		b.Errorf("%.0f counted, %.0f lost, of %.0f", counted, lost, 2*asked)
	}
	b.ReportMetric(2*asked/took, "exchanges/s")
	b.ReportMetric(100*counted/(2*asked), "%-counted")
	b.ReportMetric(100*cpu/took, "%-of-a-cpu")
	b.ReportMetric(cpu/asked/2*1e6, "us-each")
}

// addUp adds up the first group of every match.
func addUp(text []byte, pattern string) (total float64) {
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		v, _ := strconv.ParseFloat(string(m[1]), 64)
		total += v
	}
	return total
}
