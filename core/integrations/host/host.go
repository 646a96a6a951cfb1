// Package host tells what the kernel counts for the whole machine: processors,
// memory, disks, file systems, network and pressure, from /proc and /sys.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings leave things out; patterns are those of path.Match.
type Settings struct {
	IgnoreMounts     []string `yaml:"ignore_mounts"`     // "/mnt/backup*"
	IgnoreDisks      []string `yaml:"ignore_disks"`      // "sr*"
	IgnoreInterfaces []string `yaml:"ignore_interfaces"` // "veth*"
}

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "host", Title: "Host", Docs: "docs/integrations/host.md", Singleton: true,
		Help:     "processors, memory, disks, file systems, network and pressure of the machine; costs a millisecond each time",
		Validate: validate,
		Open:     func(s Settings, e kit.Env) (kit.Collector, error) { return open(s, e, "/proc", "/sys"), nil },
		Figures:  figures(),
		Metrics:  metrics(),
	})
}

func validate(s Settings) error {
	for key, patterns := range map[string][]string{"ignore_mounts": s.IgnoreMounts, "ignore_disks": s.IgnoreDisks, "ignore_interfaces": s.IgnoreInterfaces} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("%s: %q is no pattern: %w", key, core.Clean(p, core.MaxName), err)
			}
		}
	}
	return nil
}

type collector struct {
	settings  Settings
	env       kit.Env
	proc, sys string
	buf       []byte
	names     map[string]*kit.Metric // of files whose keys are names: meminfo, vmstat, ...
	hung      map[string]*statfs     // mounts of the network, by mount point
}

func open(s Settings, e kit.Env, proc, sys string) *collector {
	return &collector{settings: s, env: e, proc: proc, sys: sys, names: map[string]*kit.Metric{}, hung: map[string]*statfs{}}
}

// Collect reads everything. A file that this kernel does not have is left out; one
// that is there and cannot be understood is told as missing.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "host.collect", func(ctx context.Context) error {
		fs, err := procfs.NewFS(c.proc)
		if err != nil {
			return fmt.Errorf("host: %w", err)
		}
		stat, err := fs.Stat()
		if err != nil {
			return fmt.Errorf("host: %w", err)
		}
		processors(stat, b)
		for _, part := range []struct {
			name string
			read func(context.Context, procfs.FS, *kit.Batch) error
		}{
			{"load", load}, {"memory", c.memory}, {"vmstat", c.vmstat}, {"pressure", c.pressure}, {"disks", c.disks}, {"file systems", c.filesystems},
			{"network", c.network}, {"protocols", c.protocols}, {"sockets", sockets}, {"packets", packets}, {"limits", c.limits},
		} {
			if err := part.read(ctx, fs, b); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EOPNOTSUPP) {
				b.Missing(part.name, err)
			}
		}
		b.Add(now, float64(time.Now().UnixNano())/1e9)
		c.system(b)
		return context.Cause(ctx)
	})
}

// Close has nothing to end: what still waits for a hung file system of the
// network ends when that answers.
func (c *collector) Close() {}

// ignored reports whether one of the patterns fits.
func ignored(name string, patterns []string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}

// read reads a file of /proc into a buffer that the next read overwrites.
func (c *collector) read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	n := 0
	for n < len(c.buf) {
		k, err := f.Read(c.buf[n:])
		n += k
		if k == 0 || err != nil {
			break
		}
	}
	return c.buf[:n], nil
}

// named is the metric of a key that a file of /proc holds.
func (c *collector) named(name, help string, kind core.MetricKind) *kit.Metric {
	m := c.names[name]
	if m == nil {
		m = &kit.Metric{Name: name, Help: help, Kind: kind}
		c.names[name] = m
	}
	return m
}

func figures() []kit.Figure {
	return []kit.Figure{
		{Title: "CPU", Unit: "ratio", Chart: true, Of: func(r kit.Reading) float64 {
			return 1 - (r.Rate(cpuSeconds.Name, "mode", "idle")+r.Rate(cpuSeconds.Name, "mode", "iowait"))/r.Rate(cpuSeconds.Name)
		}},
		{Title: "Load", Chart: true, Of: kit.Level("node_load1")},
		{Title: "Memory", Unit: "ratio", Chart: true, Of: func(r kit.Reading) float64 {
			return 1 - r.Sum("node_memory_MemAvailable_bytes")/r.Sum("node_memory_MemTotal_bytes")
		}},
		{Title: "Swap", Unit: "bytes", Of: func(r kit.Reading) float64 {
			return r.Sum("node_memory_SwapTotal_bytes") - r.Sum("node_memory_SwapFree_bytes")
		}},
		{Title: "CPU pressure", Unit: "ratio", Chart: true, Of: kit.PerSecond("node_pressure_cpu_waiting_seconds_total")},
		{Title: "Memory pressure", Unit: "ratio", Of: kit.PerSecond("node_pressure_memory_waiting_seconds_total")},
		{Title: "I/O pressure", Unit: "ratio", Chart: true, Of: kit.PerSecond("node_pressure_io_waiting_seconds_total")},
		{Title: "Read", Unit: "bytes_per_second", Chart: true, Of: kit.PerSecond(diskReadBytes.Name)},
		{Title: "Written", Unit: "bytes_per_second", Chart: true, Of: kit.PerSecond(diskWrittenBytes.Name)},
		{Title: "Received", Unit: "bytes_per_second", Chart: true, Of: kit.PerSecond("node_network_receive_bytes_total")},
		{Title: "Sent", Unit: "bytes_per_second", Chart: true, Of: kit.PerSecond("node_network_transmit_bytes_total")},
		{Title: "Processes", Of: kit.Level("node_procs_running")},
		{Title: "Resent", Unit: "per_second", Of: kit.PerSecond("node_netstat_Tcp_RetransSegs")},
	}
}

// metrics lists what is described beforehand; the keys of meminfo, vmstat,
// netstat and snmp become metrics as they are found.
func metrics() []*kit.Metric {
	all := []*kit.Metric{now, uname, osInfo, cpuSeconds, cpuGuest, boot, switches, forks, interrupts, running, blocked,
		load1, load5, load15, filesAllocated, filesMax, conntrackEntries, conntrackLimit, softnetProcessed, softnetDropped, softnetSqueezed,
		netUp, netMTU, netSpeed, pressureCPUWait, pressureMemoryWait, pressureMemoryStall, pressureIOWait, pressureIOStall}
	all = append(all, diskMetrics()...)
	all = append(all, fsMetrics()...)
	for _, f := range interfaceFields() {
		all = append(all, f.metric)
	}
	return all
}

func counter(name, help string, labels ...string) *kit.Metric {
	return &kit.Metric{Name: name, Help: help, Kind: core.Counter, Labels: labels}
}

func gauge(name, help string, labels ...string) *kit.Metric {
	return &kit.Metric{Name: name, Help: help, Kind: core.Gauge, Labels: labels}
}

// unquoted takes the quotes from a value of os-release.
func unquoted(s string) string { return strings.Trim(s, `"'`) }
