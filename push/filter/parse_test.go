package filter

import (
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func gauge(name string, labels ...string) *dto.MetricFamily {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(1)}}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return &dto.MetricFamily{Name: proto.String(name), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{m}}
}

func TestParseSelectors(t *testing.T) {
	all := []*dto.MetricFamily{
		gauge("http_requests", "service", "shop", "route", "/a"),
		gauge("http_sizes", "service", "cart"),
		gauge("process_cpu", "pid", `1"}`),
		gauge("up"),
	}
	for selector, want := range map[string]string{
		"up":                                "up",
		"http_*":                            "http_requests http_sizes",
		"http_?izes":                        "http_sizes",
		" http_* { service = \"shop\" , } ": "http_requests",
		`{service=~"shop|cart"}`:            "http_requests http_sizes",
		`{service!=""}`:                     "http_requests http_sizes",
		`{service!~"s.*",route=""}`:         "http_sizes process_cpu up",
		`{__name__=~"process_.+"}`:          "process_cpu",
		`{__name__!="up"}`:                  "http_requests http_sizes process_cpu",
		`{pid="1\"}"}`:                      "process_cpu",
		"{pid=`1\"}`}":                      "process_cpu",
		"http_*{}":                          "http_requests http_sizes",
	} {
		f, err := Of([]string{selector}, nil)
		if err != nil {
			t.Errorf("%s: %v", selector, err)
			continue
		}
		var got []string
		for _, fam := range f.Apply(all) {
			got = append(got, fam.GetName())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s keeps %q, want %q", selector, s, want)
		}
	}
	f, err := Of([]string{"http_*"}, []string{`{service="cart"}`})
	if err != nil || len(f.Apply(all)) != 1 {
		t.Errorf("keep and drop: %v", err)
	}
}

func TestSelectorsThatCannotBe(t *testing.T) {
	for selector, says := range map[string]string{
		"": "empty", "{}": "everything", "a b": "not the name of a family", "a-b": "not the name",
		"{": "not a matcher", "{a}": "not a matcher", `{a="b"`: "closing brace", `{a="b"} x`: "behind", `{a=b}`: "quotes", `{a='b'}`: "quotes",
		`{a=~"("}`: "label a", `{1a="b"}`: "not the name of a label", `{a-b="c"}`: "not the name of a label", `{a~"b"}`: "operators",
		`{a="b" c="d"}`: "comma", `{a="b",a="c"}`: "twice", `x{__name__="y"}`: "named twice", `{a="\xff"`: "brace", "\x1b[2J": "·",
	} {
		if _, err := Parse(selector); err == nil {
			t.Errorf("%q was accepted", selector)
		} else if !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %q does not say %q", selector, err, says)
		}
	}
	if _, err := Of([]string{"a"}, []string{"{"}); err == nil || !strings.Contains(err.Error(), `drop "{"`) {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"http_*", `a{b="c",d=~"e.*"}`, `{__name__!~"x"}`, "{", `{a="`, "{a=`b`}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x1b\a") {
				t.Errorf("control characters in %q", err)
			}
			return
		}
		if _, err := New(r); err != nil {
			t.Errorf("%q is parsed, but cannot be used: %v", s, err)
		}
	})
}
