package push

import (
	"math"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func TestP34_BodyLabelThatIsAGroupingLabelIsRefused(t *testing.T) {
	group := []Label{{"job", "v"}, {"instance", "i"}, {"zone", "z"}}
	for _, l := range []string{"job", "instance", "zone"} {
		_, err := prepare([]*dto.MetricFamily{counter("a_total", "A", 1, "x", "y", l, "q")}, group, true)
		if err == nil {
			t.Errorf("label %s was accepted", l)
			continue
		}
		mustContain(t, err.Error(), l, "a_total", "--group")
	}
	if _, err := prepare([]*dto.MetricFamily{counter("a_total", "A", 1, "x", "y")}, group, true); err != nil {
		t.Error(err)
	}
}

func TestPrepareWithholdsWhatAGatewayRefuses(t *testing.T) {
	stamped := counter("a_total", "A", 1, "x", "y")
	stamped.Metric[0].TimestampMs = proto.Int64(5)
	hostile := counter("b_total", "B", 1, "x", "\xff")
	hostile.Metric = append(hostile.Metric, counter("b_total", "B", 2, "x", "good").Metric...)
	onlyHostile := counter("c_total", "C", 1, "x", "\xff")
	in := []*dto.MetricFamily{
		stamped, hostile, onlyHostile,
		counter("push_time_seconds", "P", 1), counter("go_goroutines", "G", 1), counter("pushgateway_build_info", "G", 1),
		counter("go_memory_used_bytes", "ours", 1), counter("process_cpu_time_seconds_total", "ours", 1),
		{Name: proto.String("empty")},
	}
	before := make([]proto.Message, len(in))
	for i := range in {
		before[i] = proto.Clone(in[i])
	}
	p, err := prepare(in, []Label{{"job", "v"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		if !proto.Equal(in[i], before[i]) {
			t.Errorf("%s was modified", in[i].GetName())
		}
	}
	var names []string
	for _, f := range p.families {
		names = append(names, f.GetName())
		for _, m := range f.Metric {
			if m.TimestampMs != nil {
				t.Errorf("%s has a timestamp", f.GetName())
			}
		}
	}
	if got, want := strings.Join(names, " "), "a_total b_total go_memory_used_bytes process_cpu_time_seconds_total"; got != want {
		t.Errorf("families %s, want %s", got, want)
	}
	// Two metrics that are not UTF-8 and three families that are the gateway's.
	if p.withheld != 5 || p.series != 4 {
		t.Errorf("withheld %d, series %d, want 5 and 4", p.withheld, p.series)
	}
}

func TestPrepareRefusesAFamilyTwice(t *testing.T) {
	_, err := prepare([]*dto.MetricFamily{counter("a_total", "A", 1), counter("b_total", "B", 1), counter("a_total", "A", 1, "x", "y")}, nil, true)
	if err == nil {
		t.Fatal("accepted")
	}
	mustContain(t, err.Error(), `"a_total" is there twice`)
}

func TestSeriesAreCountedAsPrometheusStoresThem(t *testing.T) {
	bucket := func(le float64) *dto.Bucket { return &dto.Bucket{UpperBound: proto.Float64(le)} }
	for _, c := range []struct {
		m    *dto.Metric
		want uint64
	}{
		{&dto.Metric{Gauge: &dto.Gauge{}}, 1},
		{&dto.Metric{Histogram: &dto.Histogram{Bucket: []*dto.Bucket{bucket(1), bucket(2)}}}, 5},
		{&dto.Metric{Histogram: &dto.Histogram{Bucket: []*dto.Bucket{bucket(1), bucket(math.Inf(1))}}}, 4},
		{&dto.Metric{Summary: &dto.Summary{Quantile: []*dto.Quantile{{}, {}}}}, 4},
	} {
		if got := seriesOf(c.m); got != c.want {
			t.Errorf("%v: %d, want %d", c.m, got, c.want)
		}
	}
}
