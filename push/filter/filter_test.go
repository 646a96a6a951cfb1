package filter

import (
	"errors"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func family(name string, labelSets ...map[string]string) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: proto.String(name), Help: proto.String("help"), Unit: proto.String("bytes"), Type: dto.MetricType_COUNTER.Enum()}
	for i, set := range labelSets {
		m := &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(float64(i))}}
		for _, n := range []string{"a", "b", "job"} {
			if v, ok := set[n]; ok {
				m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(n), Value: proto.String(v)})
			}
		}
		f.Metric = append(f.Metric, m)
	}
	return f
}

type set = map[string]string

func is(v string) *Matcher { return &Matcher{Equal, v} }

func apply(t *testing.T, in []*dto.MetricFamily, rules ...Rule) map[string]int {
	t.Helper()
	f, err := New(rules...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, fam := range f.Apply(in) {
		got[fam.GetName()] = len(fam.Metric)
	}
	return got
}

func gathers(families []*dto.MetricFamily, err error) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, err })
}

func TestT01_NothingGatheredIsNothing(t *testing.T) {
	f, _ := New(Rule{Family: is("x")})
	if got, err := f.Gatherer(gathers(nil, nil)).Gather(); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestT02_GatherErrorIsReturned(t *testing.T) {
	f, _ := New()
	broken := errors.New("broken")
	got, err := f.Gatherer(gathers([]*dto.MetricFamily{family("x", set{})}, broken)).Gather()
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("%v, %v: want the error and what could be gathered", got, err)
	}
}

func TestT03_NoMatchIsEmpty(t *testing.T) {
	if got := apply(t, []*dto.MetricFamily{family("x", set{})}, Rule{Family: is("y")}); len(got) != 0 {
		t.Error(got)
	}
}

func TestT04_FamilyWithoutMetricsDoesNotMatch(t *testing.T) {
	if got := apply(t, []*dto.MetricFamily{family("x")}, Rule{Family: is("x")}); len(got) != 0 {
		t.Error(got)
	}
}

func TestT05_FamilyRuleMatchesWithAndWithoutLabels(t *testing.T) {
	if got := apply(t, []*dto.MetricFamily{family("x", set{}, set{"a": "1"})}, Rule{Family: is("x")}); got["x"] != 2 {
		t.Error(got)
	}
}

func TestT06_ExactRuleMatchesThoseLabelsOnly(t *testing.T) {
	in := []*dto.MetricFamily{family("x", set{"a": "1"}, set{"a": "1", "b": "2"}, set{"a": "2"}, set{})}
	if got := apply(t, in, Rule{Family: is("x"), Labels: map[string]Matcher{"a": *is("1")}, Exact: true}); got["x"] != 1 {
		t.Error(got)
	}
	if got := apply(t, in, Rule{Family: is("x"), Exact: true}); got["x"] != 1 {
		t.Error("metrics without labels:", got)
	}
}

func TestT07_OnlyMatchingMetricsRemain(t *testing.T) {
	in := family("x", set{"a": "1"}, set{"a": "2"}, set{"a": "1", "b": "3"})
	if got := apply(t, []*dto.MetricFamily{in, family("y", set{"a": "1"})}, Rule{Family: is("x"), Labels: map[string]Matcher{"a": *is("1")}}); got["x"] != 2 || got["y"] != 0 {
		t.Error(got)
	}
	if len(in.Metric) != 3 {
		t.Error("the input was changed")
	}
}

func TestT08_SortedByNameAndNothingLost(t *testing.T) {
	f, _ := New(Rule{Labels: map[string]Matcher{"a": *is("1")}})
	created := family("m", set{"a": "1"}, set{"a": "2"})
	created.Metric[0].Counter.CreatedTimestamp = &timestamppb.Timestamp{Seconds: 1700000000}
	got := f.Apply([]*dto.MetricFamily{family("z", set{"a": "1"}), created, family("b", set{"a": "1"})})
	var names []string
	for _, g := range got {
		names = append(names, g.GetName())
	}
	if !slices.Equal(names, []string{"b", "m", "z"}) {
		t.Error(names)
	}
	if m := got[1]; m.GetHelp() != "help" || m.GetType() != dto.MetricType_COUNTER || m.GetUnit() != "bytes" || m.Metric[0].Counter.CreatedTimestamp.GetSeconds() != 1700000000 {
		t.Errorf("lost: %v", m)
	}
}

func TestT09_SubsetsPatternsNegationKeepAndDrop(t *testing.T) {
	in := []*dto.MetricFamily{
		family("http_requests", set{"a": "1", "b": "2"}, set{"a": "/x/y"}, set{}),
		family("http_errors", set{"a": "1"}),
		family("go_info", set{"b": "2"}),
	}
	match := func(op Op, v string) *Matcher { return &Matcher{op, v} }
	label := func(op Op, v string) map[string]Matcher { return map[string]Matcher{"a": {op, v}} }
	for _, c := range []struct {
		name  string
		rules []Rule
		want  map[string]int
	}{
		{"no rules", nil, map[string]int{"http_requests": 3, "http_errors": 1, "go_info": 1}},
		{"subset", []Rule{{Labels: label(Equal, "1")}}, map[string]int{"http_requests": 1, "http_errors": 1}},
		{"absent is empty", []Rule{{Labels: label(Equal, "")}}, map[string]int{"http_requests": 1, "go_info": 1}},
		{"not equal", []Rule{{Labels: label(NotEqual, "1")}}, map[string]int{"http_requests": 2, "go_info": 1}},
		{"regexp is anchored", []Rule{{Family: match(Regexp, "http")}}, map[string]int{}},
		{"regexp alternatives are anchored", []Rule{{Family: match(Regexp, "http_errors|go")}}, map[string]int{"http_errors": 1}},
		{"regexp", []Rule{{Family: match(Regexp, "http_.*")}}, map[string]int{"http_requests": 3, "http_errors": 1}},
		{"not regexp", []Rule{{Family: match(NotRegexp, "http_.*")}}, map[string]int{"go_info": 1}},
		{"glob", []Rule{{Family: match(Glob, "*_[ri]*")}}, map[string]int{"http_requests": 3, "go_info": 1}},
		{"glob over slashes", []Rule{{Labels: label(Glob, "/x*")}}, map[string]int{"http_requests": 1}},
		{"not glob", []Rule{{Family: match(NotGlob, "http*")}}, map[string]int{"go_info": 1}},
		{"drop", []Rule{{Drop: true, Family: match(Glob, "go_*")}}, map[string]int{"http_requests": 3, "http_errors": 1}},
		{"drop by label", []Rule{{Drop: true, Labels: label(Equal, "1")}}, map[string]int{"http_requests": 2, "go_info": 1}},
		{"keep then drop", []Rule{{Family: match(Glob, "http*")}, {Drop: true, Labels: label(Glob, "/*")}}, map[string]int{"http_requests": 2, "http_errors": 1}},
		{"two keeps", []Rule{{Family: is("go_info")}, {Labels: label(Equal, "1")}}, map[string]int{"http_requests": 1, "http_errors": 1, "go_info": 1}},
	} {
		got := apply(t, in, c.rules...)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for n, want := range c.want {
			if got[n] != want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
	for _, bad := range []Rule{{Family: match(Regexp, "(")}, {Family: match(Glob, "[")}, {Labels: label(99, "")}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
