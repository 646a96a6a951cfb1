package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"vitals/push/codec"

	"vitals/core/porttest"
)

// Ours and Debian's Pushgateway, each in a process of its own, with the same requests.

type bench struct {
	*server
	pid int
}

func both(b *testing.B, f func(b *testing.B, g bench)) {
	b.Run("ours", func(b *testing.B) {
		cmd, s := child(b, inMemory)
		f(b, bench{s, cmd.Process.Pid})
	})
	b.Run("ours-disk", func(b *testing.B) {
		cmd, s := child(b, b.TempDir())
		f(b, bench{s, cmd.Process.Pid})
	})
	b.Run("reference", func(b *testing.B) {
		bin, addr := program(b, "prometheus-pushgateway"), porttest.Free(b)
		cmd := run(b, "http://"+addr+"/-/ready", bin, "--web.listen-address="+addr, "--persistence.file=", "--log.level=error")
		f(b, bench{&server{t: b, name: "reference", url: "http://" + addr}, cmd.Process.Pid})
	})
}

// fill pushes n series of four labels, a thousand to a group.
func (s *server) fill(n int) {
	s.t.Helper()
	for g := range n / 1000 {
		var text bytes.Buffer
		for f := range 100 {
			fmt.Fprintf(&text, "# HELP metric_%d_total What it counts.\n# TYPE metric_%d_total counter\n", f, f)
			for i := range 10 {
				fmt.Fprintf(&text, "metric_%d_total{method=\"GET\",route=\"/api/v1/items/%d\",status=\"200\"} %d\n", f, i, g*f+i)
			}
		}
		s.want(200, "PUT", fmt.Sprintf("/metrics/job/batch/instance/host-%d", g), text.Bytes())
	}
}

func post(b *testing.B, c *http.Client, url string, body []byte) {
	resp, err := c.Post(url, codec.Text.ContentType(), bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("%s", resp.Status)
	}
}

// BenchmarkOneLineInto200k is one push of one line with 200,000 series stored.
func BenchmarkOneLineInto200k(b *testing.B) {
	both(b, func(b *testing.B, g bench) {
		g.fill(200_000)
		n := 0
		for b.Loop() {
			n++
			post(b, client, g.url+"/metrics/job/one", fmt.Appendf(nil, "backup_bytes %d\n", n))
		}
	})
}

// BenchmarkSmallPushes is ten lines each to a thousand groups, eight at a time.
func BenchmarkSmallPushes(b *testing.B) {
	both(b, func(b *testing.B, g bench) {
		body := []byte(strings.Join(strings.Split("a 1,b 2,c 3,d 4,e 5,f 6,g 7,h 8,i 9,j 10,", ","), "\n"))
		c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
		defer c.CloseIdleConnections()
		var n atomic.Int64
		b.SetParallelism(4)
		b.ResetTimer()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				post(b, c, fmt.Sprintf("%s/metrics/job/j%d", g.url, n.Add(1)%1000), body)
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
	})
}

// BenchmarkMemory100k is the memory with 100,000 series, after scrapes.
func BenchmarkMemory100k(b *testing.B) {
	both(b, func(b *testing.B, g bench) {
		for b.Loop() {
			for range 3 {
				g.fill(100_000)
				g.want(200, "GET", "/metrics", nil)
			}
		}
		b.ReportMetric(g.memory(b, "VmRSS"), "MB-now")
		b.ReportMetric(g.memory(b, "VmHWM"), "MB-most")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkScrape100k is one scrape of 100,000 series as text.
func BenchmarkScrape100k(b *testing.B) {
	both(b, func(b *testing.B, g bench) {
		g.fill(100_000)
		for b.Loop() {
			g.want(200, "GET", "/metrics", nil)
		}
	})
}

func (g bench) memory(b testing.TB, field string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == field+":" {
			kb, _ := strconv.ParseFloat(words[1], 64)
			return kb / 1024
		}
	}
	b.Fatalf("no %s", field)
	return 0
}
