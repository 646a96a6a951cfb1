package push

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"vitals/push/codec"
)

// A push of 10,000 series from rendered families to the read answer; cpu-ms/op
// is all CPU of this process, the discarding server's included.
func BenchmarkPush10000Series(b *testing.B)  { pushSeries(b, 10_000) }
func BenchmarkPush100000Series(b *testing.B) { pushSeries(b, 100_000) }

func pushSeries(b *testing.B, n int) {
	gw := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer gw.Close()
	c := testConfig(gw.URL)
	c.Families = wide(n)
	s, err := c.check()
	if err != nil {
		b.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	snap := c.Source.Latest()
	p.push(b.Context(), snap)
	before := cpu(b)
	b.ReportAllocs()
	var r result
	for b.Loop() {
		if r = p.push(b.Context(), snap); r.err != nil {
			b.Fatal(r.err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(r.bytes), "wire-B")
}

func BenchmarkPrepare10000Series(b *testing.B) {
	fs := wide(10_000)(nil)
	group := []Label{{"job", "vitals"}, {"instance", "web-1"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := prepare(fs, group, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode10000Series(b *testing.B) {
	fs := wide(10_000)(nil)
	for name, enc := range map[string]encoding{
		"gzip": {codec.Protobuf, Gzip}, "zstd": {codec.Protobuf, Zstd}, "plain": {codec.Protobuf, None}, "text": {codec.Text, None},
	} {
		b.Run(name, func(b *testing.B) {
			var e encoder
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := e.encode(fs, enc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
