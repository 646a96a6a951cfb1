package gateway

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	clientpush "github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"vitals/core"
	"vitals/core/porttest"
	"vitals/push"
)

func TestClientGolangPushes(t *testing.T) {
	sides(t, func(s *server) {
		reg := prometheus.NewRegistry()
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "runs_total", Help: "Runs."}, []string{"kind"})
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "run_seconds", Help: "Time."})
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "last", Help: "Last."})
		reg.MustRegister(c, h, g)
		c.WithLabelValues("full").Add(3)
		h.Observe(0.2)
		p := clientpush.New(s.url, "my/job").Grouping("zone", "").Grouping("path", "a b").Gatherer(reg)
		if err := p.Push(); err != nil {
			t.Fatal(s.name, err)
		}
		key := `instance="",job="my/job",`
		c.Reset()
		if err := p.Add(); err != nil {
			t.Fatal(s.name, err)
		}
		if v := s.series()["runs_total{"+key+`kind="full",path="a+b",zone=""}`] + s.series()["runs_total{"+key+`kind="full",path="a b",zone=""}`]; v != 3 {
			t.Errorf("%s: %v", s.name, s.series())
		}
		if err := clientpush.New(s.url, "my/job").Grouping("zone", "").Grouping("path", "a b").Format(expfmt.NewFormat(expfmt.TypeTextPlain)).Collector(g).Push(); err != nil {
			t.Fatal(s.name, err)
		}
		if err := p.Delete(); err != nil {
			t.Fatal(s.name, err)
		}
		eventually(t, s.name+" to be empty", func() bool { return len(s.series()) == 0 })
		bad := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "runs_total", Help: "x"}, func() float64 { return 1 })
		if err := clientpush.New(s.url, "one").Collector(c).Push(); err != nil {
			t.Fatal(s.name, err)
		}
		c.WithLabelValues("x").Inc()
		_ = clientpush.New(s.url, "one").Collector(c).Push()
		if err := clientpush.New(s.url, "two").Collector(bad).Push(); err == nil {
			t.Errorf("%s: a clash of types was taken", s.name)
		}
	})
}

func TestCurlPushes(t *testing.T) {
	bin := program(t, "curl")
	sides(t, func(s *server) {
		curl := func(in string, args ...string) string {
			t.Helper()
			cmd := exec.Command(bin, append([]string{"-sS", "--fail-with-body", "-m", "20", "-w", "%{http_code}", "-o", os.DevNull}, args...)...)
			cmd.Stdin = strings.NewReader(in)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: curl %v: %v %s", s.name, args, err, out)
			}
			return string(out)
		}
		curl("some_metric 3.14\n", "--data-binary", "@-", s.url+"/metrics/job/some_job")
		curl("# TYPE some_metric untyped\nsome_metric{label=\"val1\"} 42\n# TYPE another_metric gauge\n# HELP another_metric Just an example.\nanother_metric 2398.283\n",
			"--data-binary", "@-", s.url+"/metrics/job/some_job/instance/some_instance")
		s.wantSeries(false, series{`some_metric{instance="",job="some_job"}`: 3.14,
			`some_metric{instance="some_instance",job="some_job",label="val1"}`: 42, `another_metric{instance="some_instance",job="some_job"}`: 2398.283})
		curl("", "-X", "DELETE", s.url+"/metrics/job/some_job/instance/some_instance")
		if code := curl("", "-X", "DELETE", s.url+"/metrics/job/some_job"); code != "202" {
			t.Errorf("%s: %s", s.name, code)
		}
		curl("a 1\n", "--data-binary", "@-", s.url+"/metrics/job/j")
		curl("", "-X", "PUT", s.url+"/api/v1/admin/wipe")
		eventually(t, s.name+" to be empty", func() bool { return len(s.series()) == 0 })
	})
}

// Prometheus itself scrapes ours and the reference, which got the same pushes,
// and finds the same in both.
func TestPrometheusScrapesBoth(t *testing.T) {
	t.Parallel()
	bin, addr, dir := program(t, "prometheus"), porttest.Free(t), t.TempDir()
	ours, theirs := start(t, Config{}), reference(t)
	for _, s := range []*server{ours, theirs} {
		s.want(200, "PUT", "/metrics/job/batch/zone/z", "# TYPE rows_total counter\nrows_total{table=\"a\"} 7\n# TYPE odd counter\nodd 1\n"+
			"# TYPE took summary\ntook{quantile=\"0.5\"} 2\ntook_sum 4\ntook_count 2\n# TYPE size histogram\nsize_bucket{le=\"1\"} 1\nsize_bucket{le=\"+Inf\"} 3\nsize_sum 9\nsize_count 3\n")
		c := push.Config{URL: s.url, Format: push.FormatAuto, Job: "our job", Instance: "i", Source: still{},
			Families: func(*core.Snapshot) []*dto.MetricFamily { return []*dto.MetricFamily{gauge("pushed", 5, "a", "b")} }}
		if err := push.Once(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	target := func(name string, s *server) string {
		return fmt.Sprintf("{job_name: %s, honor_labels: true, static_configs: [{targets: [%q], labels: {gateway: %s}}]}", name, strings.TrimPrefix(s.url, "http://"), name)
	}
	file := dir + "/prometheus.yml"
	text := fmt.Sprintf("global: {scrape_interval: 200ms}\nscrape_configs: [%s, %s]\n", target("ours", ours), target("theirs", theirs))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "http://"+addr+"/-/ready", bin, "--config.file="+file, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+addr, "--log.level=error")
	p := &server{t: t, name: "prometheus", url: "http://" + addr}
	for query, want := range map[string]string{
		`rows_total`:  `{job="batch",table="a",zone="z"} 7`,
		`odd`:         `{job="batch",zone="z"} 1`,
		`took`:        `{job="batch",quantile="0.5",zone="z"} 2`,
		`took_sum`:    `{job="batch",zone="z"} 4`,
		`size_bucket`: `{job="batch",le="+Inf",zone="z"} 3; {job="batch",le="1",zone="z"} 1`,
		`pushed`:      `{a="b",instance="i",job="our job"} 5`,
	} {
		for _, gateway := range []string{"ours", "theirs"} {
			// A scrape that took too long takes everything away until the next one.
			comes(t, query+" of "+gateway, want, func() string { return p.query(query, gateway) })
		}
	}
	for _, gateway := range []string{"ours", "theirs"} {
		comes(t, "push times of "+gateway, "2", func() string { return fmt.Sprint(strings.Count(p.query("push_time_seconds", gateway), "job=")) })
	}
}

// query asks a Prometheus for what it has of a gateway: labels and values.
func (s *server) query(metric, gateway string) string {
	s.t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	text := s.do("GET", "/api/v1/query?query="+url.QueryEscape(metric+`{gateway="`+gateway+`"}`), nil).text
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	var out []string
	for _, r := range answer.Data.Result {
		var labels []string
		for name, value := range r.Metric {
			if name != "__name__" && name != "gateway" && !(name == "instance" && strings.Contains(value, ":")) {
				labels = append(labels, fmt.Sprintf("%s=%q", name, value))
			}
		}
		slices.Sort(labels)
		out = append(out, fmt.Sprintf("{%s} %v", strings.Join(labels, ","), r.Value[1]))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// promtool finds nothing wrong with our own metrics.

func TestPromtoolIsContent(t *testing.T) {
	bin := program(t, "promtool")
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/j", "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 1\n", "X-Push-TTL", "20ms")
	eventually(t, "a tombstone", func() bool { return s.own("group_expired_time_seconds") > 0 })
	s.want(200, "PUT", "/metrics/job/j", "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 1\n")
	cmd := exec.Command(bin, "check", "metrics")
	cmd.Stdin = strings.NewReader(s.do("GET", "/metrics", nil).text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
