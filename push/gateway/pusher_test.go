package gateway

import (
	"context"
	"fmt"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"vitals/core"
	"vitals/push"
)

type still struct{}

func (still) Latest() *core.Snapshot   { return &core.Snapshot{Seq: 1} }
func (still) Changed() <-chan struct{} { return nil }

// What our pusher sends arrives here as it does at the reference, compressed and
// with native histograms.
func TestOurPusherPushes(t *testing.T) {
	native := &dto.MetricFamily{Name: proto.String("native_seconds"), Help: proto.String("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{
		Histogram: &dto.Histogram{SampleCount: proto.Uint64(3), SampleSum: proto.Float64(4), Schema: proto.Int32(1), ZeroThreshold: proto.Float64(0.001),
			PositiveSpan: []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(2)}}, PositiveDelta: []int64{1, 1}},
	}}}
	wide := gauge("wide", 0)
	wide.Metric = nil
	for i := range 10_000 {
		wide.Metric = append(wide.Metric, gauge("wide", float64(i), "i", fmt.Sprint(i)).Metric...)
	}
	for _, compression := range []push.Compression{push.Gzip, push.Zstd, push.None} {
		sides(t, func(s *server) { ourPush(t, s, compression, native, wide) })
	}
}

func ourPush(t *testing.T, s *server, compression push.Compression, native, wide *dto.MetricFamily) {
	t.Helper()
	c := push.Config{
		URL: s.url, Format: push.FormatAuto, Compression: compression, Interval: time.Second, Job: "my job", Instance: "a/b", Source: still{}, Grouping: []push.Label{{Name: "empty", Value: ""}},
		Families: func(*core.Snapshot) []*dto.MetricFamily { return []*dto.MetricFamily{native, wide} },
	}
	if err := push.Once(context.Background(), c); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	have := s.series()
	if v := have[`wide{empty="",i="9999",instance="a/b",job="my job"}`]; v != 9999 || len(have) != 10_003 {
		t.Errorf("%s: %d series, the last is %v", s.name, len(have), v)
	}
	r := s.want(200, "GET", "/metrics", nil, "Accept", contentProtobuf)
	families, err := collectFamilies(&body{data: []byte(r.text)}, false, (Limits{}).withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "native_seconds" && len(f.Metric[0].Histogram.PositiveDelta) != 2 && s.name == "ours" {
			t.Errorf("the native histogram arrived as %v", f)
		}
	}
}
