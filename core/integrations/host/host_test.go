package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

func TestFiguresAreBetweenThoseOfTheExporter(t *testing.T) {
	port := servertest.Port(t)
	servertest.Start(t, "", servertest.Need(t, "prometheus-node-exporter"), "--web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	servertest.Scrape(t, url)
	before := servertest.Scrape(t, url)
	r := kittest.Collect(t, Kind(), Settings{})
	after := servertest.Scrape(t, url)
	ours := servertest.PageOf(r)
	idle(before)
	idle(ours)
	idle(after)
	const mib = 1 << 20
	servertest.Oracle{
		Only: []string{"node_cpu_seconds", "node_cpu_guest", "node_load", "node_memory_", "node_vmstat_", "node_disk_", "node_filesystem_", "node_network_receive_",
			"node_network_transmit_", "node_network_up", "node_network_mtu", "node_netstat_", "node_sockstat_", "node_pressure_", "node_filefd_", "node_softnet_",
			"node_boot_time", "node_context", "node_forks", "node_intr", "node_procs", "node_uname", "node_os_info", "node_time_seconds", "node_nf_conntrack_entries"},
		Absent: []string{"node_disk_info", "node_network_transmit_queue_length", "node_network_receive_nohandler"},
		// Levels may rise and fall between two looks; what is counted may not.
		Moving: map[string]float64{
			"node_memory_": 512 * mib, "node_memory_MemTotal": 0, "node_memory_SwapTotal": 0, "node_memory_HugePages_Total": 0, "node_memory_VmallocTotal": 0,
			"node_load": 5, "node_procs": 50, "node_sockstat_": 1000, "node_sockstat_TCP_mem_bytes": 64 * mib, "node_filefd_allocated": 5000,
			"node_filesystem_avail": 512 * mib, "node_filesystem_free": 512 * mib, "node_filesystem_files_free": 5000,
			"node_disk_io_now": 100, "node_netstat_Tcp_CurrEstab": 500, "node_nf_conntrack_entries": 5000, "node_cpu_seconds_total": 0.05,
		},
		Least: 200,
	}.Between(t, before, ours, after)
	if len(r.Missing) != 0 || r.Dropped != 0 {
		t.Errorf("missing %v, %d dropped", r.Missing, r.Dropped)
	}
}

// idle joins what a CPU that does nothing counts: while it sleeps the kernel gives
// the time to idle or to iowait, whichever holds at the moment of asking, so that
// each of them may fall.
func idle(page servertest.Page) {
	for name, v := range page {
		if cpu, ok := strings.CutSuffix(name, `mode="iowait"}`); ok {
			page[cpu+`mode="idle or iowait"}`] = v + page[cpu+`mode="idle"}`]
			delete(page, name)
			delete(page, cpu+`mode="idle"}`)
		}
	}
}

func TestDisksAndInterfacesLeftOut(t *testing.T) {
	all := kittest.Collect(t, Kind(), Settings{})
	less := kittest.Collect(t, Kind(), Settings{IgnoreMounts: []string{"/"}, IgnoreDisks: []string{"*"}, IgnoreInterfaces: []string{"l?"}})
	root := []string{"mountpoint", "/"}
	if v := kittest.Value(less, "node_filesystem_size_bytes", root...); kittest.Value(all, "node_filesystem_size_bytes", root...) > 0 && v == v {
		t.Error("/ was to be left out")
	}
	if has(less, "node_disk_reads_completed_total") || !has(less, "node_load1") {
		t.Error("disks were to be left out, and nothing else")
	}
	if v := kittest.Value(less, "node_network_mtu_bytes", "device", "lo"); v == v {
		t.Error("lo was to be left out")
	}
	if _, _, err := Kind().Prepare(Settings{IgnoreDisks: []string{"["}}, kit.Shared{Instance: "x"}); err == nil {
		t.Error("a broken pattern is taken")
	}
}

func has(r kit.Result, metric string) bool {
	for _, f := range r.Families {
		if f.Name == metric {
			return len(f.Series) > 0
		}
	}
	return false
}

// A kernel that lacks a file is no error; one whose file is broken is degraded.
func TestOtherKernels(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("stat", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 100 2 3 400 5 6 7 8 9 10\nbtime 1700000000\nctxt 77\nprocesses 5\nprocs_running 1\nprocs_blocked 0\nintr 9\n")
	write("meminfo", "MemTotal:  100 kB\nActive(anon): 7 kB\nHugePages_Total: 3\nBroken\nAlso: broken\n")
	write("loadavg", "heavy\n")
	write("net/netstat", "TcpExt: ListenDrops Odd\nTcpExt: 4\nTcpExt: ListenDrops\nTcpExt: 4\n")
	c := open(Settings{}, kittest.Env(t), proc, t.TempDir())
	b := kit.NewBatch(time.Now(), 0, 0)
	if err := c.Collect(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r := b.Done()
	for _, w := range []struct {
		metric string
		want   float64
		labels []string
	}{
		{"node_cpu_seconds_total", 1, []string{"cpu", "0", "mode", "user"}}, {"node_context_switches_total", 77, nil},
		{"node_memory_MemTotal_bytes", 102400, nil}, {"node_memory_Active_anon_bytes", 7168, nil}, {"node_memory_HugePages_Total", 3, nil},
		{"node_netstat_TcpExt_ListenDrops", 4, nil},
	} {
		if got := kittest.Value(r, w.metric, w.labels...); got != w.want {
			t.Errorf("%s is %v, want %v", w.metric, got, w.want)
		}
	}
	if r.Missing["load"] == nil || len(r.Missing) != 1 {
		t.Errorf("missing %v", r.Missing)
	}
}

// A file system of the network whose server is gone is told, and waited for once.
func TestHungFileSystem(t *testing.T) {
	c := open(Settings{}, kittest.Env(t), "/proc", "/sys")
	w := mount{device: "gone:/export", kind: "nfs4", point: "/mnt/gone"}
	never := &statfs{since: time.Now(), done: make(chan struct{})}
	c.hung[w.point] = never
	for range 2 {
		b := kit.NewBatch(time.Now(), 0, 0)
		began := time.Now()
		c.filesystem(t.Context(), w, b)
		r := b.Done()
		if time.Since(began) > 20*time.Second || r.Missing["file system /mnt/gone"] == nil || kittest.Value(r, "node_filesystem_device_error") != 1 {
			t.Errorf("after %v: missing %v", time.Since(began), r.Missing)
		}
		if c.hung[w.point] != never {
			t.Fatal("another thread was given to it")
		}
	}
	never.answer = unix.Statfs_t{Blocks: 10, Frsize: 4096}
	close(never.done)
	b := kit.NewBatch(time.Now(), 0, 0)
	c.filesystem(context.Background(), w, b)
	if r := b.Done(); kittest.Value(r, "node_filesystem_size_bytes") != 40960 || len(r.Missing) != 0 {
		t.Errorf("it answers again: %v, missing %v", kittest.Value(r, "node_filesystem_size_bytes"), r.Missing)
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }

func BenchmarkCollect(b *testing.B) {
	c := open(Settings{}, kittest.Env(b), "/proc", "/sys")
	b.ReportAllocs()
	for b.Loop() {
		batch := kit.NewBatch(time.Now(), 0, 256)
		if err := c.Collect(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch.Done()
	}
}
