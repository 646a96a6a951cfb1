package transform

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func gauge(name string, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: proto.String(name), Help: proto.String("help of " + name), Unit: proto.String("seconds"),
		Type: dto.MetricType_GAUGE.Enum(), Metric: metrics}
}

func metric(value float64, labels ...string) *dto.Metric {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(value)}}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(labels[i]), Value: proto.String(labels[i+1])})
	}
	return m
}

type families = []*dto.MetricFamily

// check applies f and fails when the input changed, whatever the result.
func check(t *testing.T, f Func, in, want families) {
	t.Helper()
	before := make(families, len(in))
	for i := range in {
		before[i] = proto.CloneOf(in[i])
	}
	got, err := f(in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("result differs (-want +got):\n%s", d)
	}
	if d := cmp.Diff(before, in, protocmp.Transform()); d != "" {
		t.Errorf("the input was changed:\n%s", d)
	}
}

func TestT10_AddLabelsReplacesALabel(t *testing.T) {
	check(t, AddLabels(map[string]string{"b": "new"}),
		families{gauge("x", metric(1, "a", "1", "b", "old", "c", "3"))},
		families{gauge("x", metric(1, "a", "1", "b", "new", "c", "3"))})
}

func TestT11_AddLabelsInsertsInOrder(t *testing.T) {
	check(t, AddLabels(map[string]string{"b": "2", "d": "4", "0": "0"}),
		families{gauge("x", metric(1, "a", "1", "c", "3")), gauge("y", metric(2))},
		families{gauge("x", metric(1, "0", "0", "a", "1", "b", "2", "c", "3", "d", "4")), gauge("y", metric(2, "0", "0", "b", "2", "d", "4"))})
}

func TestT12_RemoveLabelsRemoves(t *testing.T) {
	check(t, RemoveLabels("a", "c"), families{gauge("x", metric(1, "a", "1", "b", "2", "c", "3"))}, families{gauge("x", metric(1, "b", "2"))})
}

func TestT13_RemoveLabelsLeavesOthers(t *testing.T) {
	check(t, RemoveLabels("z"), families{gauge("x", metric(1, "a", "1"))}, families{gauge("x", metric(1, "a", "1"))})
}

func TestT14_RenameFamiliesRenamesAndSorts(t *testing.T) {
	a := gauge("z", metric(1))
	a.Help = proto.String("help of a")
	check(t, RenameFamilies(map[string]string{"a": "z"}), families{gauge("a", metric(1)), gauge("m", metric(2))}, families{gauge("m", metric(2)), a})
}

func TestT15_RenameIgnoresUnknown(t *testing.T) {
	check(t, RenameFamilies(map[string]string{"nope": "z"}), families{gauge("a", metric(1))}, families{gauge("a", metric(1))})
}

func TestT16_RenameOntoAnExistingNameMergesOrFails(t *testing.T) {
	onto := RenameFamilies(map[string]string{"b": "a"})
	check(t, onto, families{gauge("a", metric(1, "x", "1")), gauge("b", metric(2, "x", "2"))},
		families{gauge("a", metric(1, "x", "1"), metric(2, "x", "2"))})
	if _, err := onto(families{gauge("a", metric(1, "x", "1")), gauge("b", metric(2, "x", "1"))}); err == nil {
		t.Error("the same series twice was merged")
	}
	counter := gauge("b", metric(2))
	counter.Type = dto.MetricType_COUNTER.Enum()
	if _, err := onto(families{gauge("a", metric(1, "x", "1")), counter}); err == nil {
		t.Error("a counter was merged into a gauge")
	}
}

// Two at once swap; a chain in a map is not followed.
func TestT16_RenameSwaps(t *testing.T) {
	got, err := RenameFamilies(map[string]string{"a": "b", "b": "a"})(families{gauge("a", metric(1)), gauge("b", metric(2))})
	if err != nil || len(got) != 2 || got[0].GetName() != "a" || got[0].Metric[0].Gauge.GetValue() != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestT17_AddTimestampsSetsOneTime(t *testing.T) {
	at := time.UnixMilli(1700000000123)
	stamped := func(m *dto.Metric) *dto.Metric { m.TimestampMs = proto.Int64(1700000000123); return m }
	check(t, AddTimestamps(func() time.Time { return at }),
		families{gauge("x", metric(1, "a", "1"), metric(2)), gauge("y", metric(3))},
		families{gauge("x", stamped(metric(1, "a", "1")), stamped(metric(2))), gauge("y", stamped(metric(3)))})
	before := time.Now().UnixMilli()
	got, err := AddTimestamps(nil)(families{gauge("x", metric(1))})
	if ms := got[0].Metric[0].GetTimestampMs(); err != nil || ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("stamped %d, %v", ms, err)
	}
}

// Every other test checks its input too; here all are chained over shared
// families, and everything that a metric can hold must survive.
func TestT18_TransformsDoNotMutate(t *testing.T) {
	rich := gauge("x", &dto.Metric{
		Label:     metric(0, "a", "1").Label,
		Histogram: &dto.Histogram{SampleCount: proto.Uint64(3), Schema: proto.Int32(2), PositiveDelta: []int64{1}},
	})
	in := families{rich, gauge("y", metric(1, "a", "1"))}
	before := families{proto.CloneOf(in[0]), proto.CloneOf(in[1])}
	all := Chain(AddTimestamps(nil), AddLabels(map[string]string{"b": "2"}), RemoveLabels("a"), RenameFamilies(map[string]string{"x": "z"}))
	got, err := all(in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, in, protocmp.Transform()); d != "" {
		t.Errorf("the input was changed:\n%s", d)
	}
	if got[1].GetName() != "z" || got[1].GetUnit() != "seconds" || got[1].Metric[0].Histogram.GetSampleCount() != 3 {
		t.Errorf("lost on the way: %v", got[1])
	}
}

func TestT20_TransformsRunInOrder(t *testing.T) {
	set := func(v string) Func { return AddLabels(map[string]string{"l": v}) }
	check(t, Chain(set("1"), set("2")), families{gauge("x", metric(1))}, families{gauge("x", metric(1, "l", "2"))})
	check(t, Chain(set("1"), RemoveLabels("l")), families{gauge("x", metric(1))}, families{gauge("x", metric(1))})
	check(t, Chain(), families{gauge("x", metric(1))}, families{gauge("x", metric(1))})
}

func TestSeriesThatBecomeOneAreAnError(t *testing.T) {
	in := families{gauge("x", metric(1, "a", "1"), metric(2, "a", "2"))}
	if _, err := RemoveLabels("a")(in); err == nil {
		t.Error("RemoveLabels lost a series")
	}
	if _, err := AddLabels(map[string]string{"a": "3"})(in); err == nil {
		t.Error("AddLabels lost a series")
	}
}
