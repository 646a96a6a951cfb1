package redis

import (
	"os"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

func familyOf(r kit.Result, name string) []core.Series {
	for _, f := range r.Families {
		if f.Name == name {
			return f.Series
		}
	}
	return nil
}

func TestEverythingToldIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, m := range Kind().Metrics {
		if listed[m.Name] {
			t.Errorf("%s is listed twice", m.Name)
		}
		if m.Help == "" || m.Kind == 0 {
			t.Errorf("%s is not described", m.Name)
		}
		listed[m.Name] = true
	}
	r := told(t)
	for _, f := range r.Families {
		if !listed[f.Name] {
			t.Errorf("%s is told and not listed", f.Name)
		}
	}
	if r.Dropped != 0 {
		t.Errorf("%d series are dropped", r.Dropped)
	}
}

// told is what the answer of a real server gives, with a replica and a master added.
func told(t testing.TB) kit.Result {
	t.Helper()
	text, err := os.ReadFile("testdata/info.txt")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "slave0:ip=10.0.0.2,port=6379,state=online,offset=28,lag=1\r\nmaster_host:m\r\nmaster_port:6379\r\nmaster_link_status:down\r\nerrorstat_ERR:count=3\r\n"...)
	c := &collector{fields: fieldsByKey(), usec: map[string]float64{}}
	b := kit.NewBatch(time.Now(), 0, 64)
	if err := c.info(text, b); err != nil {
		t.Fatal(err)
	}
	return b.Done()
}

func TestGroupsOfInfo(t *testing.T) {
	r := told(t)
	for _, c := range []struct {
		metric string
		want   float64
		labels []string
	}{
		{"redis_db_keys", 2, []string{"db", "db0"}},
		{"redis_commands_total", 2, []string{"cmd", "get"}},
		{"redis_errors_total", 3, []string{"err", "ERR"}},
		{"redis_connected_slave_lag_seconds", 1, []string{"slave_ip", "10.0.0.2", "slave_state", "online"}},
		{"redis_master_link_up", 0, []string{"master_host", "m"}},
		{"redis_latest_fork_seconds", 0, nil},
		{"redis_instance_info", 1, []string{"redis_version", "7.0.15", "role", "master"}},
	} {
		if got := kittest.Value(r, c.metric, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.metric, c.labels, got, c.want)
		}
	}
	if r.Missing["replication"] == nil {
		t.Error("nobody hears that the link to the master is down")
	}
}

func TestStartDoesNotMoveWithRounding(t *testing.T) {
	c := &collector{}
	at := time.Unix(1000, 0)
	first := c.uptime("a", at, 100)
	if again := c.uptime("a", at.Add(1500*time.Millisecond), 101); again != first {
		t.Errorf("%v, then %v", first, again)
	}
	if next := c.uptime("b", at.Add(time.Minute), 1); next == first {
		t.Error("a restarted server keeps its start")
	}
}

func BenchmarkInfo(b *testing.B) {
	text, err := os.ReadFile("testdata/info.txt")
	if err != nil {
		b.Fatal(err)
	}
	c := &collector{fields: fieldsByKey(), usec: map[string]float64{}}
	b.ReportAllocs()
	for b.Loop() {
		batch := kit.NewBatch(time.Now(), 0, 128)
		if err := c.info(text, batch); err != nil {
			b.Fatal(err)
		}
		batch.Done()
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
