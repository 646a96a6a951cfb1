package requests

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"vitals/core"
)

// BenchmarkNginxCPU tells the CPU of an nginx worker per request in nanoseconds:
// without the probe, with the probe observing others, and observed. The three
// are interleaved; medians are reported. Run it alone, the differences are small.
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
	var off, others, on, programs []float64
	for b.Loop() {
		off = append(off, ab())
		p := attach(b, 0, core.ProcKey{PID: 1, Birth: 1})
		p.keep = false
		others = append(others, ab())
		p.choose(workers...)
		on = append(on, ab())
		programs = append(programs, p.runTime(b, func() { ab() })/requests)
		p.stop()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(off), "off-ns/request")
	b.ReportMetric(median(others), "others-ns/request")
	b.ReportMetric(median(on), "observed-ns/request")
	b.ReportMetric(median(programs), "programs-ns/request")
}

// runTime is what the kernel measures of the two socket programs during f. It
// includes the price of measuring, some 40 ns a run here.
func (r *running) runTime(t testing.TB, f func()) float64 {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	sum := func() (d time.Duration) {
		for _, h := range r.side.hooks {
			s, err := h.prog.Stats()
			if err != nil {
				t.Fatal(err)
			}
			d += s.Runtime
		}
		return d
	}
	before := sum()
	f()
	return float64(sum() - before)
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
