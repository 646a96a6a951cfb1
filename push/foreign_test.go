package push

import (
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// What two servers tell stays apart in the one group of the agent, also where
// they use the group's labels themselves.
func TestForeignLabelsAreOutOfTheWayOfTheGroup(t *testing.T) {
	metric := func(labels ...string) *dto.Metric {
		m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(1)}}
		for i := 0; i < len(labels); i += 2 {
			m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
		}
		return m
	}
	f := &dto.MetricFamily{Name: proto.String("redis_up"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{
		metric("exported_zone", "x", "instance", "a:1", "job", "integrations/redis", "zone", "z"),
		metric("instance", "b:1", "job", "integrations/redis"),
	}}
	before := proto.Clone(f)
	group := []Label{{"job", "vitals"}, {"instance", "box"}, {"zone", "eu"}}
	p, err := prepare([]*dto.MetricFamily{f}, group, true)
	if err != nil || p.withheld != 0 || p.series != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	want := []string{
		`exported_instance=a:1 exported_job=integrations/redis exported_exported_zone=z exported_zone=x `,
		`exported_instance=b:1 exported_job=integrations/redis `,
	}
	for i, m := range p.families[0].Metric {
		got := map[string]string{}
		for _, l := range m.Label {
			got[l.GetName()] = l.GetValue()
		}
		for _, g := range group {
			if _, clash := got[g.Name]; clash {
				t.Errorf("%s is still there", g.Name)
			}
		}
		if got["exported_instance"] != []string{"a:1", "b:1"}[i] || got["exported_job"] != "integrations/redis" || len(m.Label) != []int{4, 2}[i] {
			t.Errorf("%v, want %s", got, want[i])
		}
	}
	if !proto.Equal(before, f) {
		t.Error("the families were modified")
	}
	if _, err := prepare([]*dto.MetricFamily{{Name: proto.String("ours"), Metric: []*dto.Metric{metric("instance", "a")}}}, group, true); err == nil {
		t.Error("a label of ours that the gateway would overwrite was accepted")
	}
}
