package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// failing is a store that fails as told and counts.
type failing struct {
	mu      sync.Mutex
	err     error
	block   chan struct{}
	commits [][]Change
	closed  bool
}

func (f *failing) Load(func([]byte) error) error { return nil }

func (f *failing) Commit(c []Change) error {
	f.mu.Lock()
	block := f.block
	f.mu.Unlock()
	if block != nil {
		<-block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.commits = append(f.commits, slices.Clone(c))
	}
	return f.err
}

func (f *failing) Close() error { f.closed = true; return nil }

func (f *failing) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func disk(t testing.TB, dir string) *DiskStore {
	t.Helper()
	d, err := OpenDisk(dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestP23_GroupsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Store: disk(t, dir)})
	s.want(200, "PUT", "/metrics/job/j/zone/z", "# HELP a h\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} NaN\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")
	s.want(200, "PUT", "/metrics/job/gone", "b 1\n")
	s.want(202, "DELETE", "/metrics/job/gone", nil)
	s.want(400, "PUT", "/metrics/job/j/zone/z", "a 1 5\n")
	s.want(400, "PUT", "/metrics/job/failed", "a 1 5\n")
	pushed := func(s *server) (lines []string) {
		for line := range strings.Lines(s.do("GET", "/metrics", nil).text) {
			if !strings.Contains(line, ownPrefix) {
				lines = append(lines, line)
			}
		}
		return lines
	}
	was := pushed(s)
	s.stop()
	s = start(t, Config{Store: disk(t, dir)})
	if now := pushed(s); !slices.Equal(was, now) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(was, ""), strings.Join(now, ""))
	}
	// The index is restored too.
	s.want(400, "PUT", "/metrics/job/other", "# TYPE a gauge\na 1\n")
	s.want(400, "POST", "/metrics/job/j", "# TYPE a counter\na{x=\"1\",zone=\"z\"} 1\n")
}

func TestP23_CorruptFilesAreSetAside(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Store: disk(t, dir)})
	for i := range 8 {
		s.want(200, "PUT", fmt.Sprintf("/metrics/job/j%d", i), "a 1\n")
	}
	s.stop()
	files, _ := filepath.Glob(filepath.Join(dir, "*.group"))
	if len(files) != 8 {
		t.Fatalf("%d files", len(files))
	}
	damage := []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { return b[:3] },
		func([]byte) []byte { return nil },
		func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		func(b []byte) []byte { b[0] ^= 1; return b },
		func(b []byte) []byte { b[len(diskMagic)] = 9; b[len(b)-1] ^= 1; return b }, // version and data
		func(b []byte) []byte { return append(b, 0) },
	}
	for i, f := range damage {
		b, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[i], f(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, tempPrefix+"half.group"), []byte("half"), 0o600)
	s = start(t, Config{Store: disk(t, dir)})
	if n := s.own("groups"); n != 1 {
		t.Errorf("%v groups, want the one that is sound", n)
	}
	if n := s.own("store_quarantined_total"); n != float64(len(damage)) {
		t.Errorf("%v set aside", n)
	}
	aside, _ := filepath.Glob(filepath.Join(dir, quarantine, "*.group"))
	rest, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(aside) != len(damage) || len(rest) != 4 { // one group, journal, lock, quarantine
		t.Errorf("set aside %v, left %v", aside, rest)
	}
	s.want(200, "PUT", "/metrics/job/new", "a 1\n")
}

// A newer format is not damage: it stays, and the gateway does not start on it.
func TestP23_NewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	data := encodeGroup(Key{{"job", "j"}}, content{})
	b := append(sealFile(data), data...)
	b[len(diskMagic)] = 2
	file := filepath.Join(dir, fileName("x"))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{Store: disk(t, dir)})
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestP23_OneGatewayPerDirectory(t *testing.T) {
	dir := t.TempDir()
	d := disk(t, dir)
	if _, err := OpenDisk(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("%v", err)
	}
	// As a process has it that another goroutine is just starting.
	copied, err := unix.Dup(int(d.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(copied)
	d.Close()
	disk(t, dir).Close()
}

// What cannot be stored is refused, all of it, and works again when the store does.
func TestAFailingStoreLosesAndKeepsNothing(t *testing.T) {
	st := &failing{}
	s := start(t, Config{Store: st})
	s.want(200, "PUT", "/metrics/job/j", "a 1\nb 1\n")
	st.set(errors.New("no space left on device"))
	for range 2 {
		mustContain(t, s.want(500, "PUT", "/metrics/job/j", "a 2\nc 2\n").text, "no space left")
	}
	s.want(500, "POST", "/metrics/job/j", "c 2\n")
	s.want(500, "PUT", "/metrics/job/new", "d 1\n")
	s.want(500, "DELETE", "/metrics/job/j", nil)
	s.wantSeries(false, series{`a{instance="",job="j"}`: 1, `b{instance="",job="j"}`: 1})
	if _, failed := s.times("j"); failed == 0 {
		t.Error("no failure time")
	}
	mustContain(t, s.want(503, "GET", "/-/healthy", nil).text, "no space left")
	st.set(nil)
	s.want(200, "POST", "/metrics/job/k", "c 2\n")
	s.want(200, "GET", "/-/healthy", nil)
	// The groups that may be half stored are stored again.
	ids := map[string]bool{}
	stored := func() int {
		st.mu.Lock()
		defer st.mu.Unlock()
		for _, batch := range st.commits[1:] {
			for _, c := range batch {
				ids[c.ID] = c.Data != nil
			}
		}
		return len(ids)
	}
	eventually(t, "the groups that failed to be stored", func() bool { return stored() == 3 })
	s.want(202, "DELETE", "/metrics/job/j", nil)
	s.wantSeries(false, series{`c{instance="",job="k"}`: 2})
}

// A disk that is really full: what fits is kept, what does not is refused whole.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("needs root")
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := start(t, Config{Store: disk(t, dir)})
	body := func(v, size int) string { return fmt.Sprintf("a %d\nb{pad=%q} %d\n", v, strings.Repeat("x", size), v) }
	s.want(200, "PUT", "/metrics/job/j", body(1, 10))
	full := 0
	for i := range 100 {
		switch r := s.do("PUT", fmt.Sprintf("/metrics/job/filler%d", i), body(0, 8000)); r.code {
		case 200:
		case 500:
			full++
			mustContain(t, r.text, "no space left")
		default:
			t.Fatalf("%d %s", r.code, r.text)
		}
	}
	if full == 0 || full == 100 {
		t.Fatalf("%d of 100 refused", full)
	}
	s.want(500, "PUT", "/metrics/job/j", body(2, 8000))
	s.want(202, "DELETE", "/metrics/job/filler0", nil)
	s.want(202, "DELETE", "/metrics/job/filler1", nil)
	s.want(200, "PUT", "/metrics/job/j", body(3, 8000))
	kept := s.series()
	maps.DeleteFunc(kept, func(name string, _ float64) bool { return strings.HasPrefix(name, "push_") })
	s.stop()
	s = start(t, Config{Store: disk(t, dir)})
	s.wantSeries(false, kept)
	if v := kept[`a{instance="",job="j"}`]; v != 3 || s.own("store_quarantined_total") != 0 {
		t.Errorf("a is %v", v)
	}
}

// What is acknowledged is in the journal when its file cannot be written, and
// goes there when it can.
func TestAFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Store: disk(t, dir)})
	s.want(200, "PUT", "/metrics/job/j", "a 1\n")
	s.want(200, "PUT", "/metrics/job/k", "k 1\n")
	key := s.gw.Groups()[0].Key
	s.stop()
	block := filepath.Join(dir, tempPrefix+fileName(key.id()))
	s = start(t, Config{Store: disk(t, dir)})
	// A directory in the place of the temporary file: writing fails.
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for n := 2; n < 5; n++ {
		s.want(200, "PUT", "/metrics/job/j", fmt.Sprintf("a %d\n", n))
	}
	s.stop()
	if files := groupFiles(dir); len(files) != 2 {
		t.Errorf("files %v", files)
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	s = start(t, Config{Store: disk(t, dir)})
	s.wantSeries(false, series{`a{instance="",job="j"}`: 4, `k{instance="",job="k"}`: 1})
}

func groupFiles(dir string) (names []string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+groupSuffix))
	for _, p := range paths {
		if name := filepath.Base(p); !strings.HasPrefix(name, tempPrefix) {
			names = append(names, name)
		}
	}
	return names
}

func TestP24_AFullQueueIs503(t *testing.T) {
	st := &failing{block: make(chan struct{})}
	s := start(t, Config{Store: st, Limits: Limits{Queue: 2}, Timeout: 30 * time.Second})
	var wait sync.WaitGroup
	push := func(job string) { wait.Go(func() { s.want(200, "PUT", "/metrics/job/"+job, "a 1\n") }) }
	push("first") // held in the store
	eventually(t, "the writer to be busy", func() bool {
		s.gw.mu.RLock()
		defer s.gw.mu.RUnlock()
		return len(s.gw.state.groups) == 1
	})
	push("second")
	push("third")
	eventually(t, "the queue to be full", func() bool { return len(s.gw.queue) == 2 })
	r := s.want(503, "PUT", "/metrics/job/fourth", "a 1\n")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	mustContain(t, r.text, "queue is full")
	s.want(503, "GET", "/-/healthy", nil)
	close(st.block)
	wait.Wait()
	s.want(200, "GET", "/-/healthy", nil)
	if n := s.own("groups"); n != 3 {
		t.Errorf("%v groups", n)
	}
}

// Pushes that were taken when the end came are applied, stored and answered.
func TestP29_PendingWritesAreAppliedAtShutdown(t *testing.T) {
	st := &failing{block: make(chan struct{})}
	s := start(t, Config{Store: st, Timeout: 30 * time.Second})
	var wait sync.WaitGroup
	const n = 20
	for i := range n {
		wait.Go(func() { s.want(200, "PUT", fmt.Sprintf("/metrics/job/j%d", i), "a 1\n") })
	}
	eventually(t, "all to wait", func() bool {
		s.gw.mu.RLock()
		defer s.gw.mu.RUnlock()
		return len(s.gw.queue)+len(s.gw.state.groups) == n
	})
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	time.Sleep(20 * time.Millisecond)
	close(st.block)
	wait.Wait()
	<-stopped
	stored := map[string]bool{}
	for _, c := range st.commits {
		for _, one := range c {
			stored[one.ID] = true
		}
	}
	if len(stored) != n || !st.closed {
		t.Errorf("%d groups stored of %d, closed %v", len(stored), n, st.closed)
	}
}

func TestCloseWithoutRunAndRunTwice(t *testing.T) {
	st := &failing{}
	g, err := New(Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil || !st.closed {
		t.Errorf("%v, closed %v", err, st.closed)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Run(context.Background()); err == nil {
		t.Error("Run after Close ran")
	}
}

func FuzzDecodeGroup(f *testing.F) {
	s := newState(true, (Limits{}).withDefaults())
	g := &Gateway{Config: Config{Limits: s.limits}, state: s}
	families, err := newBuilder(g, Key{{"job", "j"}}).build(2, []byte("# HELP a h\na{x=\"1\"} 1\nb 2\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeGroup(Key{{"job", "j"}}, content{families: families, pushed: 5, ttl: time.Hour, lastError: "x"}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeGroup(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v is not ErrCorrupt", err)
			}
			return
		}
		again, err := decodeGroup(encodeGroup(r.key, r.content))
		if err != nil || again.key.id() != r.key.id() || len(again.families) != len(r.families) {
			t.Errorf("does not come back: %v", err)
		}
		newState(true, s.limits).adopt(r)
	})
}
