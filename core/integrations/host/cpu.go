package host

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Names and labels of this package are those of node_exporter.
var (
	now    = gauge("node_time_seconds", "The time of the machine's clock")
	uname  = gauge("node_uname_info", "What uname(2) says; always 1", "domainname", "machine", "nodename", "release", "sysname", "version")
	osInfo = gauge("node_os_info", "What os-release says; always 1", "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name",
		"variant", "variant_id", "version", "version_codename", "version_id")

	cpuSeconds = counter("node_cpu_seconds_total", "Time that a processor spent in a mode", "cpu", "mode")
	cpuGuest   = counter("node_cpu_guest_seconds_total", "Time that a processor ran guests, which is in user and nice too", "cpu", "mode")
	boot       = gauge("node_boot_time_seconds", "When the machine was started")
	switches   = counter("node_context_switches_total", "Context switches")
	forks      = counter("node_forks_total", "Processes and threads made")
	interrupts = counter("node_intr_total", "Interrupts served")
	running    = gauge("node_procs_running", "Threads that run or could run")
	blocked    = gauge("node_procs_blocked", "Threads that wait for input or output")

	load1  = gauge("node_load1", "Load average over a minute")
	load5  = gauge("node_load5", "Load average over five minutes")
	load15 = gauge("node_load15", "Load average over fifteen minutes")

	pressureCPUWait     = counter("node_pressure_cpu_waiting_seconds_total", "Time that something waited for a processor")
	pressureMemoryWait  = counter("node_pressure_memory_waiting_seconds_total", "Time that something waited for memory")
	pressureMemoryStall = counter("node_pressure_memory_stalled_seconds_total", "Time that everything waited for memory")
	pressureIOWait      = counter("node_pressure_io_waiting_seconds_total", "Time that something waited for input or output")
	pressureIOStall     = counter("node_pressure_io_stalled_seconds_total", "Time that everything waited for input or output")
)

func processors(s procfs.Stat, b *kit.Batch) {
	for id, t := range s.CPU {
		cpu := strconv.FormatInt(id, 10)
		b.Add(cpuSeconds, t.User, cpu, "user")
		b.Add(cpuSeconds, t.Nice, cpu, "nice")
		b.Add(cpuSeconds, t.System, cpu, "system")
		b.Add(cpuSeconds, t.Idle, cpu, "idle")
		b.Add(cpuSeconds, t.Iowait, cpu, "iowait")
		b.Add(cpuSeconds, t.IRQ, cpu, "irq")
		b.Add(cpuSeconds, t.SoftIRQ, cpu, "softirq")
		b.Add(cpuSeconds, t.Steal, cpu, "steal")
		b.Add(cpuGuest, t.Guest, cpu, "user")
		b.Add(cpuGuest, t.GuestNice, cpu, "nice")
	}
	b.Add(boot, float64(s.BootTime))
	b.Add(switches, float64(s.ContextSwitches))
	b.Add(forks, float64(s.ProcessCreated))
	b.Add(interrupts, float64(s.IRQTotal))
	b.Add(running, float64(s.ProcessesRunning))
	b.Add(blocked, float64(s.ProcessesBlocked))
}

func load(_ context.Context, fs procfs.FS, b *kit.Batch) error {
	l, err := fs.LoadAvg()
	if err != nil {
		return err
	}
	b.Add(load1, l.Load1)
	b.Add(load5, l.Load5)
	b.Add(load15, l.Load15)
	return nil
}

// memory tells each line "Active(anon):  123 kB" of meminfo as
// node_memory_Active_anon_bytes.
func (c *collector) memory(_ context.Context, _ procfs.FS, b *kit.Batch) error {
	text, err := c.read(c.proc + "/meminfo")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		key, rest, ok := bytes.Cut(line, []byte{':'})
		words := bytes.Fields(rest)
		if !ok || len(words) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(string(words[0]), 64)
		if err != nil {
			continue
		}
		name := "node_memory_" + strings.NewReplacer("(", "_", ")", "").Replace(string(key))
		if len(words) > 1 && string(words[1]) == "kB" {
			name, v = name+"_bytes", v*1024
		}
		b.Add(c.named(name, "The line "+string(key)+" of /proc/meminfo", core.Gauge), v)
	}
	return nil
}

// vmstat tells the lines of vmstat that say whether memory is short.
func (c *collector) vmstat(_ context.Context, _ procfs.FS, b *kit.Batch) error {
	text, err := c.read(c.proc + "/vmstat")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte{' '})
		switch string(key) {
		case "oom_kill", "pgfault", "pgmajfault", "pgpgin", "pgpgout", "pswpin", "pswpout":
			if v, err := strconv.ParseFloat(string(value), 64); err == nil {
				b.Add(c.named("node_vmstat_"+string(key), "The line "+string(key)+" of /proc/vmstat", core.Untyped), v)
			}
		}
	}
	return nil
}

func (c *collector) pressure(_ context.Context, fs procfs.FS, b *kit.Batch) error {
	for _, r := range []struct {
		resource   string
		some, full *kit.Metric
	}{{"cpu", pressureCPUWait, nil}, {"memory", pressureMemoryWait, pressureMemoryStall}, {"io", pressureIOWait, pressureIOStall}} {
		p, err := fs.PSIStatsForResource(r.resource)
		if err != nil {
			return err
		}
		if p.Some != nil {
			b.Add(r.some, float64(p.Some.Total)/1e6)
		}
		if p.Full != nil && r.full != nil {
			b.Add(r.full, float64(p.Full.Total)/1e6)
		}
	}
	return nil
}

// system tells what the machine is.
func (c *collector) system(b *kit.Batch) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		text := unix.ByteSliceToString
		b.Add(uname, 1, text(u.Domainname[:]), text(u.Machine[:]), text(u.Nodename[:]), text(u.Release[:]), text(u.Sysname[:]), text(u.Version[:]))
	}
	text, err := c.read("/etc/os-release")
	if err != nil {
		return
	}
	values := make([]string, len(osInfo.Labels))
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		for i, l := range osInfo.Labels {
			if strings.EqualFold(l, key) {
				values[i] = unquoted(value)
			}
		}
	}
	b.Add(osInfo, 1, values...)
}
