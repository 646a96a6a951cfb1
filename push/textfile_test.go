package push

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"vitals/core"
	"vitals/core/porttest"
)

func fileConfig(path string) Config {
	c := testConfig("")
	c.Kind, c.Path, c.Format = Textfile, path, FormatAuto
	return c
}

// Readers see the old file or the new one, whole, and nothing else is left.
func TestTextfileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "v.prom")
	c := fileConfig(path)
	c.Mode = 0o640
	var size atomic.Int64
	size.Store(1)
	c.Families = func(s *core.Snapshot) []*dto.MetricFamily { return wide(int(size.Load()))(s) }
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	stop, bad := make(chan struct{}), make(chan string, 1)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			text, err := os.ReadFile(path)
			if err != nil {
				continue // not there yet
			}
			if n := strings.Count(string(text), "\nhttp_server_requests_total{"); n != 1 && n != 500 {
				select {
				case bad <- fmt.Sprintf("%d series of 1 or 500:\n%.200s", n, text):
				default:
				}
			}
		}
	})
	for i := range 100 {
		size.Store(1 + int64(i%2)*499)
		if r := p.push(t.Context(), &core.Snapshot{}); r.err != nil || r.bytes == 0 {
			t.Fatal(r.err)
		}
	}
	close(stop)
	wait.Wait()
	select {
	case b := <-bad:
		t.Error(b)
	default:
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, mode %v, want 0640 whatever the umask is", err, info.Mode())
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := p.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("not removed")
	}
	if err := p.remove(t.Context()); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

// What cannot be written leaves the old file, tells why, and works again later.
func TestTextfileFailuresAreTold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "v.prom")
	err := Once(t.Context(), fileConfig(path))
	if err == nil {
		t.Fatal("written into a directory that does not exist")
	}
	mustContain(t, err.Error(), path, "make the directory")
	if core.IsPermanent(err) {
		t.Error("a directory can be made later")
	}
	if os.MkdirAll(filepath.Join(path, "is-a-directory"), 0o755) != nil {
		t.Fatal("mkdir")
	}
	if err := Once(t.Context(), fileConfig(path)); err == nil {
		t.Error("a directory was replaced")
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	// A full disk: the smallest file system there is, for root only.
	if os.Geteuid() != 0 {
		return
	}
	full := t.TempDir()
	if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(full, syscall.MNT_DETACH)
	c := fileConfig(filepath.Join(full, "v.prom"))
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(c.Path)
	c.Families = wide(5000)
	if err := Once(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("error %v", err)
	}
	if after, _ := os.ReadFile(c.Path); string(after) != string(before) {
		t.Error("the old file is gone")
	}
	if entries, _ := os.ReadDir(full); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// A run that was killed in the middle leaves a file that is removed, and nothing
// else is, above all not what a symbolic link points to.
func TestTextfileCleansUpAfterAKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "v.prom")
	left, other, victim := filepath.Join(dir, ".v.prom.tmp123"), filepath.Join(dir, ".w.prom.tmp1"), filepath.Join(t.TempDir(), "victim")
	for _, f := range []string{left, other, victim} {
		if err := os.WriteFile(f, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, ".v.prom.tmp9")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := Once(t.Context(), fileConfig(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); err == nil {
		t.Error("the leftover is still there")
	}
	for _, f := range []string{other, victim, link} {
		if _, err := os.Lstat(f); err != nil {
			t.Error(err)
		}
	}
}

func TestTextfileGoesOnExitWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.prom")
	c := fileConfig(path)
	c.DeleteOnExit = true
	detach := serve(t, c)
	eventually(t, "the file is there", func() bool { _, err := os.Stat(path); return err == nil })
	if err := detach(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is still there")
	}
}

// node_exporter itself reads what we write, beside its own metrics.
func TestNodeExporterReadsTheTextfile(t *testing.T) {
	bin, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatal("prometheus-node-exporter is not installed: make test installs it")
		}
		t.Skip("needs prometheus-node-exporter")
	}
	dir, addr := t.TempDir(), porttest.Free(t)
	c := fileConfig(filepath.Join(dir, "vitals.prom"))
	c.Families = func(s *core.Snapshot) []*dto.MetricFamily {
		stamped := counter("stamped_total", "S", 4)
		stamped.Metric[0].TimestampMs = proto.Int64(5)
		return append(families(s), stamped, counter("go_goroutines", "clashes", 1), counter("process_cpu_seconds_total", "clashes", 1))
	}
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--web.listen-address="+addr, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir, "--log.level=error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	g := &gateway{addr: addr}
	eventually(t, "node_exporter answers", func() bool {
		resp, err := http.Get("http://" + addr + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	f := g.families(t)
	if v := f["http_server_requests_total"].GetMetric(); len(v) != 1 || v[0].GetCounter().GetValue() != 1 {
		t.Errorf("http_server_requests_total: %v", v)
	}
	if v := f["stamped_total"].GetMetric(); len(v) != 1 || v[0].GetCounter().GetValue() != 4 {
		t.Errorf("stamped_total: %v", v)
	}
	if v := f["node_textfile_scrape_error"].GetMetric(); len(v) != 1 || v[0].GetGauge().GetValue() != 0 {
		t.Errorf("node_textfile_scrape_error: %v", v)
	}
}

// A reader of standard output that stops reading costs one write, not more
// goroutines, and the pushes go on when it reads again.
func TestStdoutWithoutAReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := testConfig("")
	c.Kind, c.Out, c.Families, c.Timeout = Stdout, w, wide(5000), 50*time.Millisecond
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r := p.push(t.Context(), &core.Snapshot{})
		if r.verdict != transient {
			t.Fatalf("%v %v", r.verdict, r.err)
		}
		mustContain(t, r.err.Error(), "does anybody read it?")
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	s.Timeout = 20 * time.Second // enough to write it all
	eventually(t, "it goes on", func() bool { return p.push(t.Context(), &core.Snapshot{}).verdict == delivered })
	w.Close()
	if r := p.push(t.Context(), &core.Snapshot{}); r.verdict != transient || r.err == nil {
		t.Errorf("a closed pipe: %v %v", r.verdict, r.err)
	}
}

func TestStdoutFormats(t *testing.T) {
	for format, begins := range map[Format]string{
		FormatAuto: "# HELP", "": "# HELP", FormatOpenMetrics: "# HELP http_server_requests", FormatJSON: `[{"name"`, FormatInflux: "http_server_requests_total,",
	} {
		var out buffer
		c := testConfig("")
		c.Kind, c.Out, c.Format = Stdout, &out, format
		if format == FormatInflux {
			c.Change.Timestamps = true
		}
		if err := Once(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), begins) {
			t.Errorf("%q begins with %.60q", format, out.String())
		}
		switch words := strings.Fields(out.String()); {
		case format == FormatOpenMetrics && words[len(words)-1] != "EOF":
			t.Errorf("OpenMetrics ends in %q", words[len(words)-1])
		case format == FormatInflux && len(words) != 3:
			t.Errorf("no time in %q", out.String())
		}
	}
}
