package expose

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"vitals/core"
)

func asked() *core.Snapshot {
	family := func(v float64) []core.Family {
		return []core.Family{{Name: "redis_up", Help: "up", Kind: core.Gauge, Series: []core.Series{{V: v}}},
			{Name: "redis_db_keys", Help: "keys", Kind: core.Gauge, Series: []core.Series{{V: v, Labels: []core.Label{{Name: "db", Value: "db0"}}}}}}
	}
	return &core.Snapshot{Integrations: []*core.IntegrationRow{
		{ID: "integration/redis/a:1", Kind: "redis", Instance: "a:1", State: core.IntegrationRunning, Families: family(1), Labels: map[string]string{"team": "x"},
			Procs: []core.ProcKey{{PID: 9}, {PID: 3}}, Figures: []core.IntegrationFigure{{Title: "Clients", V: math.NaN()}}},
		{ID: "integration/redis/b:1", Kind: "redis", Instance: "b:1", State: core.IntegrationRunning, Families: family(0)},
		{ID: "integration/redis/c:1", Kind: "redis", Instance: "c:1", State: core.IntegrationSuggested, Needs: core.NeedsLogin},
	}}
}

// G-53: the labels that a scrape by Prometheus would give.
func TestG53_SeriesOfIntegrationsSayWhoTheyAreOf(t *testing.T) {
	var out bytes.Buffer
	if err := WriteText(&out, Families(asked())); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`redis_up{instance="a:1",job="integrations/redis",team="x"} 1`,
		`redis_up{instance="b:1",job="integrations/redis"} 0`,
		`redis_db_keys{db="db0",instance="a:1",job="integrations/redis",team="x"} 1`,
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("%s is missing in\n%s", line, out.String())
		}
	}
	if n := strings.Count(out.String(), "# TYPE redis_up"); n != 1 {
		t.Errorf("the family is there %d times", n)
	}
}

// A page that is scraped may have a job and an instance of its own: they stay
// beside those of the scrape, and two servers never become one series.
func TestLabelsOfAScrapedPageStayBesideOurs(t *testing.T) {
	page := []core.Family{
		{Name: "up", Kind: core.Gauge, Series: []core.Series{{V: 1, Labels: []core.Label{{Name: "exported_job", Value: "x"}, {Name: "instance", Value: "i"}, {Name: "job", Value: "j"}}}}},
		{Name: "plain", Kind: core.Gauge, Series: []core.Series{{V: 2}}},
	}
	s := &core.Snapshot{Integrations: []*core.IntegrationRow{
		{Kind: "prometheus", Instance: "a:1", Families: page}, {Kind: "prometheus", Instance: "b:1", Families: page},
	}}
	var out bytes.Buffer
	if err := WriteText(&out, Families(s)); err != nil {
		t.Fatal(err)
	}
	for _, instance := range []string{"a:1", "b:1"} {
		want := `up{exported_exported_job="j",exported_instance="i",exported_job="x",instance="` + instance + `",job="integrations/prometheus"} 1`
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("%s is missing in\n%s", want, out.String())
		}
	}
	if page[0].Series[0].Labels[1].Name != "instance" {
		t.Error("the shared families were modified")
	}
}

func TestIntegrationsInJSON(t *testing.T) {
	var out bytes.Buffer
	if err := WriteJSON(&out, asked()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Integrations []struct {
			ID, State, Needs string
			PIDs             []int32
			Figures          []struct{ Value *float64 }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	i := got.Integrations
	if len(i) != 3 || i[0].PIDs[0] != 3 || i[0].Figures[0].Value != nil || i[2].Needs != "login" || i[2].PIDs == nil {
		t.Errorf("%+v", i)
	}
}
