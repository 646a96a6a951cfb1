package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
	"vitals/core/porttest"
	"vitals/push/transform"
)

// buffer is a writer that a test reads while pushes go on.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func textFamilies(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	f, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return f
}

// One gathered snapshot reaches every destination that is due, chosen and
// changed for each by itself, and a dead one holds up none.
func TestDestinationsShareWhatIsGathered(t *testing.T) {
	gw := newRecorder(t, status200)
	dead, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := newSource(7)
	var mu sync.Mutex
	var gathered []time.Time
	render := func(s *core.Snapshot) []*dto.MetricFamily {
		mu.Lock()
		gathered = append(gathered, time.Now())
		mu.Unlock()
		return []*dto.MetricFamily{counter("a_total", "A", float64(s.Seq), "peer", "x"), counter("b_total", "B", float64(s.Seq))}
	}
	var out buffer
	common := func(c Config) Config {
		c.Source, c.Families, c.Interval, c.Instance, c.Job = src, render, time.Hour, "web-1", "vitals"
		return c
	}
	configs := []Config{
		common(Config{URL: gw.URL, Keep: []string{"a_*"}, Format: FormatAuto}),
		common(Config{URL: dead.Addr().String(), Format: FormatAuto, Timeout: time.Minute}),
		common(Config{Kind: Textfile, Path: filepath.Join(dir, "v.prom"), Drop: []string{"b_total"}, Change: transform.Rules{RemoveLabels: []string{"peer"}}}),
		common(Config{Kind: Stdout, Out: &out}),
	}
	var reports rows
	for i := range configs {
		configs[i].Report = reports.report
	}
	specs, err := NewSpecs(configs)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range specs {
		ids = append(ids, s.ID)
		u, err := s.Make()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Attach(t.Context()); err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- u.Serve(context.Background(), func() {}) }()
		t.Cleanup(func() {
			_ = u.Detach(context.Background())
			<-served
		})
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 4 {
		t.Errorf("ids %v", ids)
	}
	t.Cleanup(func() { dead.Close() }) // before the last pushes
	eventually(t, "every other destination was pushed to", func() bool {
		reports.mu.Lock()
		defer reports.mu.Unlock()
		pushed := map[string]bool{}
		for _, r := range reports.all {
			if r.Pushes > 0 {
				pushed[r.Kind] = true
			}
		}
		return len(pushed) == 3
	})
	_ = dead.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
	if conn, err := dead.Accept(); err != nil {
		t.Errorf("the dead one was not tried: %v", err)
	} else {
		t.Cleanup(func() { conn.Close() })
	}
	mu.Lock()
	for i := range gathered[1:] { // for who comes so late it is gathered again
		if after := gathered[i+1].Sub(gathered[i]); after < keepGathered {
			t.Errorf("gathered %d times for one point in time, again after %v", len(gathered), after)
		}
	}
	mu.Unlock()
	if f := gw.requests()[0].parsed(t); len(f) != 1 || f["a_total"] == nil {
		t.Errorf("the gateway got %v", f)
	}
	text, err := os.ReadFile(filepath.Join(dir, "v.prom"))
	if err != nil {
		t.Fatal(err)
	}
	if f := textFamilies(t, string(text)); len(f) != 1 || len(f["a_total"].Metric[0].Label) != 0 {
		t.Errorf("the file has\n%s", text)
	}
	if f := textFamilies(t, out.String()); len(f) != 2 || f["a_total"].Metric[0].Label[0].GetValue() != "x" {
		t.Errorf("standard output has\n%s", out.String())
	}
}

// Destinations of one interval push at the same moments for ever, and what is
// gathered is not kept in between.
func TestDestinationsStayInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gathered := map[time.Time]int{}
		src := newSource(1)
		render := func(*core.Snapshot) []*dto.MetricFamily {
			gathered[time.Now()]++
			return []*dto.MetricFamily{counter("a_total", "A", 1)}
		}
		var outs [3]buffer
		var configs []Config
		for i, every := range []time.Duration{10 * time.Second, 10 * time.Second, 20 * time.Second} {
			configs = append(configs, Config{Kind: Stdout, Name: fmt.Sprint("n", i), Out: &outs[i], Interval: every, Instance: "web-1", Source: src, Families: render})
		}
		shared := NewShared(src, render)
		var ends []func()
		for _, c := range configs {
			c.Shared = shared
			s, err := c.regular()
			if err != nil {
				t.Fatal(err)
			}
			u := newUnit(s)
			if _, err := u.Attach(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- u.Serve(ctx, func() {}) }()
			ends = append(ends, func() { cancel(); <-done; _ = u.Detach(context.Background()) })
			time.Sleep(time.Second) // each starts a little later
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for at, n := range gathered {
			if n != 1 {
				t.Errorf("gathered %d times at %v", n, at)
			}
		}
		if n := strings.Count(outs[0].String(), "a_total 1"); n < 6 {
			t.Errorf("%d pushes", n)
		}
		shared.mu.Lock()
		if shared.gathered != nil && time.Since(shared.at) > keepGathered {
			t.Error("what was gathered is kept between pushes")
		}
		shared.mu.Unlock()
		for _, end := range ends {
			end()
		}
	})
}

func TestSeveralDestinationsMustDiffer(t *testing.T) {
	base := testConfig("http://gw:9091")
	file := base
	file.Kind, file.Path, file.Format = Textfile, "/x/a.prom", ""
	for name, c := range map[string]struct {
		all  []Config
		says string
	}{
		"one group twice": {[]Config{base, base}, "both write http://gw:9091/metrics/job/vitals/instance/web-1"},
		"one file twice":  {[]Config{file, file}, "both write /x/a.prom"},
		"one name twice":  {[]Config{named(base, "a"), named(file, "a")}, "both called a"},
		"a bad one":       {[]Config{base, {Kind: "ftp"}}, "destination 2"},
	} {
		if _, err := NewSpecs(c.all); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			mustContain(t, err.Error(), c.says)
		}
	}
	other := base
	other.Job = "other"
	if _, err := NewSpecs([]Config{base, named(other, "b")}); err != nil {
		t.Error(err)
	}
	prints := map[string]bool{}
	for _, change := range []func(*Config){
		func(*Config) {}, func(c *Config) { c.Keep = []string{"a"} }, func(c *Config) { c.Drop = []string{"a"} }, func(c *Config) { c.Format = FormatText },
		func(c *Config) { c.Compression = Zstd }, func(c *Config) { c.Change.AddLabels = map[string]string{"a": "b"} }, func(c *Config) { c.Change.RemoveLabels = []string{"a"} },
	} {
		c := base
		change(&c)
		spec, err := NewSpec(c)
		if err != nil {
			t.Fatal(err)
		}
		prints[spec.Fingerprint] = true
	}
	if len(prints) != 7 {
		t.Errorf("%d fingerprints of 7 destinations that differ", len(prints))
	}
}

func named(c Config, name string) Config { c.Name = name; return c }

func TestDestinationsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"kind":               {func(c *Config) { c.Kind = "ftp" }, "pushgateway, textfile, stdout"},
		"no path":            {func(c *Config) { c.Kind = Textfile }, "needs its path"},
		"relative path":      {func(c *Config) { c.Kind, c.Path = Textfile, "a.prom" }, "absolute"},
		"suffix":             {func(c *Config) { c.Kind, c.Path = Textfile, "/a.txt" }, ".prom"},
		"mode":               {func(c *Config) { c.Kind, c.Path, c.Mode = Textfile, "/a.prom", os.ModeSetuid|0o755 }, "permissions"},
		"file as protobuf":   {func(c *Config) { c.Kind, c.Path, c.Format = Textfile, "/a.prom", FormatProtobuf }, "takes text"},
		"file with times":    {func(c *Config) { c.Kind, c.Path, c.Change.Timestamps = Textfile, "/a.prom", true }, "refuses"},
		"no output":          {func(c *Config) { c.Kind = Stdout }, "dashboard"},
		"gateway as influx":  {func(c *Config) { c.Format = FormatInflux }, "openmetrics, json"},
		"gateway with times": {func(c *Config) { c.Change.Timestamps = true }, "refuses"},
		"compression":        {func(c *Config) { c.Compression = "lz4" }, "gzip, zstd or none"},
		"format":             {func(c *Config) { c.Format = "xml" }, "protobuf, text"},
		"selector":           {func(c *Config) { c.Keep = []string{"{"} }, `keep "{"`},
		"label":              {func(c *Config) { c.Change.AddLabels = map[string]string{"a-b": "c"} }, "add_labels"},
		"family":             {func(c *Config) { c.Change.RenameFamilies = map[string]string{"a": "b-c"} }, "rename_families"},
	} {
		cfg := testConfig("http://gw:9091")
		c.change(&cfg)
		if err := Check(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			mustContain(t, err.Error(), c.says)
		}
	}
}

func TestOnceAndDryRunServeAllDestinations(t *testing.T) {
	gw := newRecorder(t, status200)
	dir := t.TempDir()
	fresh := 0
	file, bad := testConfig(gw.URL), testConfig(porttest.Free(t))
	file.Kind, file.Path = Textfile, filepath.Join(dir, "v.prom")
	all := []Config{testConfig(gw.URL), file, bad}
	for i := range all {
		all[i].Fresh = func(context.Context) *core.Snapshot { fresh++; return &core.Snapshot{Seq: 5} }
	}
	var dry strings.Builder
	if err := DryRun(t.Context(), &dry, all...); err != nil {
		t.Fatal(err)
	}
	mustContain(t, dry.String(), "# PUT "+gw.URL, "# WRITE "+file.Path, bad.URL)
	if entries, _ := os.ReadDir(dir); len(entries) != 0 || len(gw.requests()) != 0 || fresh != 1 {
		t.Errorf("a dry run wrote %v, sent %d, gathered %d times", entries, len(gw.requests()), fresh)
	}
	err := Once(t.Context(), all...)
	if err == nil || !strings.Contains(err.Error(), bad.URL) || strings.Contains(err.Error(), gw.URL) {
		t.Errorf("error %v: one destination is down", err)
	}
	if _, e := os.Stat(file.Path); e != nil || len(gw.requests()) != 1 || fresh != 2 {
		t.Errorf("%v, %d requests, gathered %d times", e, len(gw.requests()), fresh)
	}
	if errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
