package expose

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"vitals/core"
)

func TestConvertedFamiliesAreWhatWasTold(t *testing.T) {
	families := []core.Family{
		{Name: "a_total", Help: "counts", Kind: core.Counter, Series: []core.Series{
			{Labels: []core.Label{{Name: "x", Value: "2"}}, V: 7, Created: time.Unix(100, 0)},
			{Labels: []core.Label{{Name: "instance", Value: "own"}, {Name: "x", Value: "1"}}, V: 3, At: time.Unix(5, 0)}}},
		{Name: "b", Help: "level", Kind: core.Gauge, Series: []core.Series{{V: math.Inf(1)}}},
		{Name: "c_seconds", Help: "both", Kind: core.Histogram, Series: []core.Series{{Buckets: &core.Buckets{Count: 6, Sum: 2.5,
			Classic: []core.Bucket{{Upper: 1, Count: 4}, {Upper: math.Inf(1), Count: 6}},
			Native: &core.NativeBuckets{Schema: 2, ZeroThreshold: 1e-9, ZeroCount: 1,
				Positive: []core.BucketSpan{{Offset: 1, Length: 2}}, PositiveCounts: []float64{3, 2}}}}}},
		{Name: "d", Kind: core.Summary, Series: []core.Series{{Ranks: &core.Ranks{Count: 2, Sum: 3, Quantiles: []core.Rank{{Q: 0.5, V: 1}}}}}},
		{Name: "e", Kind: core.Untyped, Series: []core.Series{{V: 1}}},
		{Name: "empty", Kind: core.Gauge},
	}
	out := Convert(families, "job", "integrations/test", "instance", "one", "zone", "")
	var b bytes.Buffer
	if err := WriteText(&b, out); err != nil {
		t.Fatal(err)
	}
	want := `# HELP a_total counts
# TYPE a_total counter
a_total{instance="one",job="integrations/test",x="2"} 7
a_total{instance="own",job="integrations/test",x="1"} 3 5000
# HELP b level
# TYPE b gauge
b{instance="one",job="integrations/test"} +Inf
# HELP c_seconds both
# TYPE c_seconds histogram
c_seconds_bucket{instance="one",job="integrations/test",le="1"} 4
c_seconds_bucket{instance="one",job="integrations/test",le="+Inf"} 6
c_seconds_sum{instance="one",job="integrations/test"} 2.5
c_seconds_count{instance="one",job="integrations/test"} 6
# HELP d 
# TYPE d summary
d{instance="one",job="integrations/test",quantile="0.5"} 1
d_sum{instance="one",job="integrations/test"} 3
d_count{instance="one",job="integrations/test"} 2
# HELP e 
# TYPE e untyped
e{instance="one",job="integrations/test"} 1
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	if err := WriteDelimited(&b, out); err != nil {
		t.Fatal(err)
	}
	dec := expfmt.NewDecoder(&b, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var f dto.MetricFamily
		if dec.Decode(&f) != nil {
			break
		}
		if f.GetName() == "c_seconds" {
			h := f.Metric[0].Histogram
			if h.GetSchema() != 2 || h.GetZeroCount() != 1 || len(h.PositiveDelta) != 2 || h.PositiveDelta[1] != -1 || h.PositiveSpan[0].GetOffset() != 1 {
				t.Errorf("%v", h)
			}
			return
		}
	}
	t.Error("no histogram came back")
}

func TestMergeKeepsOneOfEach(t *testing.T) {
	fam := func(name string, kind core.MetricKind, x string, v float64) core.Family {
		return core.Family{Name: name, Kind: kind, Series: []core.Series{{Labels: []core.Label{{Name: "x", Value: x}}, V: v}}}
	}
	out := Merge(Convert([]core.Family{fam("b", core.Gauge, "1", 1), fam("c", core.Gauge, "1", 1)}),
		Convert([]core.Family{fam("a", core.Gauge, "1", 1), fam("b", core.Gauge, "0", 2), fam("b2", core.Counter, "0", 2), fam("c", core.Counter, "9", 9)}),
		Convert([]core.Family{fam("b", core.Gauge, "1", 99)}))
	var names []string
	for _, f := range out {
		for _, m := range f.Metric {
			names = append(names, f.GetName()+m.Label[0].GetValue())
		}
	}
	if got := strings.Join(names, " "); got != "a1 b0 b1 b20 c1" || out[1].Metric[1].GetGauge().GetValue() != 1 {
		t.Error(got)
	}
}
