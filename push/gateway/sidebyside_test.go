package gateway

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientpush "github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"vitals/core"
	"vitals/push"
)

var sideBySide = flag.Bool("side-by-side", false, "print our figures beside Debian's Pushgateway and client_golang, and fail over a target")

// TestSideBySide is `make bench-push`: the figures of docs/performance.md, all of
// one run. What is over its target fails.
func TestSideBySide(t *testing.T) {
	if !*sideBySide {
		t.SkipNow() // a benchmark, not a test: it is asked for by its flag
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	out := &strings.Builder{}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s, Linux %s\n", time.Now().Format("2006-01-02"), unix.ByteSliceToString(u.Release[:]))
	fmt.Fprintln(w, "pusher, CPU of a push\tvitals\tclient_golang\t\ttarget")
	for _, c := range []struct{ series, pushes, most int }{{10_000, 60, 3}, {100_000, 15, 30}} {
		ours, theirs := pushCPU(t, c.series, c.pushes)
		fmt.Fprintf(w, "%d series\t%.1f ms\t%.1f ms\t\tat most %d ms\n", c.series, ours, theirs, c.most)
		over(t, ours, float64(c.most), "ms for %d series", c.series)
	}
	type figures struct{ line, pushes, memory, peak, scrape float64 }
	measure := func(cmd int, s *server) (f figures) {
		b := bench{s, cmd}
		for range 3 {
			s.fill(100_000)
			began := time.Now()
			s.want(200, "GET", "/metrics", nil)
			f.scrape = time.Since(began).Seconds() * 1000
		}
		f.memory, f.peak = b.memory(t, "VmRSS"), b.memory(t, "VmHWM")
		s.fill(200_000)
		f.line = oneLine(s)
		s.want(202, "DELETE", "/metrics/job/one", nil)
		for g := range 200 {
			s.want(202, "DELETE", fmt.Sprintf("/metrics/job/batch/instance/host-%d", g), nil)
		}
		f.pushes = smallPushes(s)
		return f
	}
	cmd, s := child(t, inMemory)
	memory := measure(cmd.Process.Pid, s)
	cmd, s = child(t, t.TempDir())
	disk := measure(cmd.Process.Pid, s)
	ref := reference(t)
	theirs := measure(ref.pid, ref)
	fmt.Fprintln(w, "\ngateway\tvitals, memory\tvitals, disk\tPushgateway, memory\ttarget")
	row := func(what, unit, target string, get func(figures) float64) {
		fmt.Fprintf(w, "%s\t%.4g %s\t%.4g %s\t%.4g %s\t%s\n", what, get(memory), unit, get(disk), unit, get(theirs), unit, target)
	}
	row("one line, 200,000 series stored", "ms", "under 2 ms", func(f figures) float64 { return f.line })
	row("ten lines to 1000 groups, 8 at a time", "/s", "2000/s", func(f figures) float64 { return f.pushes })
	row("resident, 100,000 series, scraped", "MB", "half", func(f figures) float64 { return f.memory })
	row("most of it", "MB", "", func(f figures) float64 { return f.peak })
	row("scrape of 100,000 series as text", "ms", "", func(f figures) float64 { return f.scrape })
	w.Flush()
	fmt.Print(out)
	over(t, memory.line, 2, "ms for one line")
	over(t, disk.line, 2, "ms for one line, on disk")
	over(t, memory.memory, theirs.memory/2, "MB of memory")
	over(t, disk.memory, theirs.memory/2, "MB of memory, on disk")
	// On disk every acknowledged push was synced: how many that are is the disk's.
	over(t, -memory.pushes, -2000, "pushes a second")
}

func over(t *testing.T, have, limit float64, format string, args ...any) {
	t.Helper()
	if have > limit {
		t.Errorf("%.4g "+format+": the target is %.4g", append(append([]any{max(have, -have)}, args...), max(limit, -limit))...)
	}
}

// oneLine is the median time of a push of one line, in milliseconds.
func oneLine(s *server) float64 {
	var times []time.Duration
	for n := range 41 {
		began := time.Now()
		s.want(200, "POST", "/metrics/job/one", fmt.Sprintf("backup_bytes %d\n", n))
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2].Seconds() * 1000
}

func smallPushes(s *server) float64 {
	body := []byte("a 1\nb 2\nc 3\nd 4\ne 5\nf 6\ng 7\nh 8\ni 9\nj 10\n")
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer c.CloseIdleConnections()
	var n, bad atomic.Int64
	began := time.Now()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for time.Since(began) < 4*time.Second {
				resp, err := c.Post(fmt.Sprintf("%s/metrics/job/j%d", s.url, n.Add(1)%1000), "text/plain", bytes.NewReader(body))
				if err != nil {
					bad.Add(1)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					bad.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if bad.Load() > 0 {
		s.t.Errorf("%s: %d pushes failed", s.name, bad.Load())
	}
	return float64(n.Load()) / time.Since(began).Seconds()
}

// pushCPU is the CPU of this process for one push, in milliseconds, to a server
// that discards; its share is in both figures.
func pushCPU(t *testing.T, series, pushes int) (ours, theirs float64) {
	f := &dto.MetricFamily{Name: proto.String("http_server_requests_total"), Help: proto.String("Requests"), Type: dto.MetricType_COUNTER.Enum()}
	for i := range series {
		m := &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(float64(i))}}
		for _, l := range [][2]string{{"http_response_status_code", "200"}, {"http_route", fmt.Sprintf("/items/%d", i)}, {"service_name", "shop"}} {
			m.Label = append(m.Label, &dto.LabelPair{Name: &l[0], Value: &l[1]})
		}
		f.Metric = append(f.Metric, m)
	}
	all := []*dto.MetricFamily{f}
	gw := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer gw.Close()

	now, done := make(chan struct{}), make(chan core.PushRow, 1)
	spec, err := push.NewSpec(push.Config{URL: gw.URL, Format: push.FormatAuto, Interval: time.Hour, Job: "j", Instance: "i", Source: still{}, Now: now,
		Families: func(*core.Snapshot) []*dto.MetricFamily { return all },
		Report: func(r core.PushRow) {
			if !r.LastAttempt.IsZero() {
				done <- r
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := spec.Make()
	if _, err := u.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	go u.Serve(context.Background(), func() {})
	<-done
	ours = cpuOf(t, pushes, func() {
		now <- struct{}{}
		if r := <-done; r.LastError != "" {
			t.Error(r.LastError)
		}
	})
	go func() { <-done }() // the final push
	_ = u.Detach(context.Background())

	gatherer := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return all, nil })
	theirs = cpuOf(t, pushes, func() {
		if err := clientpush.New(gw.URL, "j").Grouping("instance", "i").Gatherer(gatherer).Format(expfmt.NewFormat(expfmt.TypeProtoDelim)).Push(); err != nil {
			t.Error(err)
		}
	})
	return ours, theirs
}

func cpuOf(t *testing.T, n int, f func()) float64 {
	t.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	f()
	before := used()
	for range n {
		f()
	}
	return (used() - before).Seconds() * 1000 / float64(n)
}
