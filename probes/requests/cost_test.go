package requests

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"vitals/core"
)

// BenchmarkNginxCPU tells the CPU of an nginx worker per request in nanoseconds:
// without the probe, with the probe observing others, and observed. The three
// are interleaved; medians are reported.
func BenchmarkNginxCPU(b *testing.B) {
	const requests = 20000
	workers, url := startNginx(b, 1)
	pid := int(workers[0].PID)
	ab := func() float64 {
		before := cpu(b, pid)
		if out, err := exec.Command("ab", "-q", "-k", "-c", "8", "-n", fmt.Sprint(requests), url).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return float64(cpu(b, pid)-before) / requests
	}
	ab()
	var off, others, on []float64
	for b.Loop() {
		off = append(off, ab())
		p := attach(b, 0, core.ProcKey{PID: 1, Birth: 1})
		p.keep = false
		others = append(others, ab())
		p.choose(workers...)
		on = append(on, ab())
		p.stop()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(off), "off-ns/request")
	b.ReportMetric(median(others), "others-ns/request")
	b.ReportMetric(median(on), "observed-ns/request")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func cpu(t testing.TB, pid int) (ns uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Sscan(string(text), &ns)
	return ns
}
