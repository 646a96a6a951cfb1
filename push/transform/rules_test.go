package transform

import (
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func labelled(name string, labels ...string) *dto.MetricFamily {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(1)}}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return &dto.MetricFamily{Name: proto.String(name), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{m}}
}

func shown(families []*dto.MetricFamily) string {
	var out []string
	for _, f := range families {
		for _, m := range f.Metric {
			s := f.GetName()
			for _, l := range m.Label {
				s += " " + l.GetName() + "=" + l.GetValue()
			}
			if m.TimestampMs != nil {
				s += " @"
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

func TestRulesRunInTheirOrder(t *testing.T) {
	in := []*dto.MetricFamily{labelled("a", "peer", "p", "service_name", "s")}
	before := proto.Clone(in[0])
	f, err := Rules{
		RemoveLabels: []string{"peer"}, RenameLabels: map[string]string{"service_name": "peer"},
		AddLabels: map[string]string{"env": "prod"}, RenameFamilies: map[string]string{"a": "b"}, Timestamps: true,
	}.Func()
	if err != nil {
		t.Fatal(err)
	}
	out, err := f(in)
	if err != nil || shown(out) != "b env=prod peer=s @" {
		t.Errorf("%v: %s", err, shown(out))
	}
	if !proto.Equal(in[0], before) {
		t.Error("what was given was modified")
	}
	if f, err := (Rules{}).Func(); f != nil || err != nil {
		t.Error("no rules are no transform")
	}
}

func TestRenameLabels(t *testing.T) {
	in := []*dto.MetricFamily{labelled("a", "x", "1", "y", "2")}
	if out, err := RenameLabels(map[string]string{"x": "z"})(in); err != nil || shown(out) != "a y=2 z=1" {
		t.Errorf("%v: %s", err, shown(out))
	}
	if out, err := RenameLabels(map[string]string{"x": "y", "y": "x"})(in); err != nil || shown(out) != "a x=2 y=1" {
		t.Errorf("swap: %v: %s", err, shown(out))
	}
	if out, err := RenameLabels(map[string]string{"q": "y"})(in); err != nil || out[0].Metric[0] != in[0].Metric[0] {
		t.Errorf("what does not change is shared: %v", err)
	}
	if _, err := RenameLabels(map[string]string{"x": "y"})(in); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("error %v: the name is taken", err)
	}
}

func TestRulesThatCannotBe(t *testing.T) {
	for says, r := range map[string]Rules{
		"remove_labels":   {RemoveLabels: []string{"a-b"}},
		"rename_labels":   {RenameLabels: map[string]string{"a": "__name__"}},
		"add_labels":      {AddLabels: map[string]string{"": "x"}},
		"rename_families": {RenameFamilies: map[string]string{"a": "9b"}},
	} {
		if _, err := r.Func(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
