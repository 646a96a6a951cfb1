package host

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"golang.org/x/sys/unix"

	"vitals/core/integrations/kit"
)

const sector = 512 // bytes, in /proc/diskstats, whatever the disk has

// partition are the names of what is part of a disk, or no disk.
var partition = regexp.MustCompile(`^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`)

var (
	diskReads         = counter("node_disk_reads_completed_total", "Reads completed", "device")
	diskReadsMerged   = counter("node_disk_reads_merged_total", "Reads merged with others", "device")
	diskReadBytes     = counter("node_disk_read_bytes_total", "Bytes read", "device")
	diskReadTime      = counter("node_disk_read_time_seconds_total", "Time spent by all reads", "device")
	diskWrites        = counter("node_disk_writes_completed_total", "Writes completed", "device")
	diskWritesMerged  = counter("node_disk_writes_merged_total", "Writes merged with others", "device")
	diskWrittenBytes  = counter("node_disk_written_bytes_total", "Bytes written", "device")
	diskWriteTime     = counter("node_disk_write_time_seconds_total", "Time spent by all writes", "device")
	diskNow           = gauge("node_disk_io_now", "Reads and writes under way", "device")
	diskTime          = counter("node_disk_io_time_seconds_total", "Time during which something was under way", "device")
	diskWeighted      = counter("node_disk_io_time_weighted_seconds_total", "Time spent by all reads and writes, those under way included", "device")
	diskDiscards      = counter("node_disk_discards_completed_total", "Discards completed", "device")
	diskDiscardMerged = counter("node_disk_discards_merged_total", "Discards merged with others", "device")
	diskDiscardSect   = counter("node_disk_discarded_sectors_total", "Sectors discarded", "device")
	diskDiscardTime   = counter("node_disk_discard_time_seconds_total", "Time spent by all discards", "device")
	diskFlushes       = counter("node_disk_flush_requests_total", "Flushes completed", "device")
	diskFlushTime     = counter("node_disk_flush_requests_time_seconds_total", "Time spent by all flushes", "device")
)

func diskMetrics() []*kit.Metric {
	return []*kit.Metric{diskReads, diskReadsMerged, diskReadBytes, diskReadTime, diskWrites, diskWritesMerged, diskWrittenBytes, diskWriteTime, diskNow,
		diskTime, diskWeighted, diskDiscards, diskDiscardMerged, diskDiscardSect, diskDiscardTime, diskFlushes, diskFlushTime}
}

func (c *collector) disks(_ context.Context, _ procfs.FS, b *kit.Batch) error {
	fs, err := blockdevice.NewFS(c.proc, c.sys)
	if err != nil {
		return err
	}
	stats, err := fs.ProcDiskstats()
	if err != nil {
		return err
	}
	for _, d := range stats {
		name := d.DeviceName
		if partition.MatchString(name) || ignored(name, c.settings.IgnoreDisks) {
			continue
		}
		add := func(m *kit.Metric, v uint64, unit float64) { b.Add(m, float64(v)*unit, name) }
		add(diskReads, d.ReadIOs, 1)
		add(diskReadsMerged, d.ReadMerges, 1)
		add(diskReadBytes, d.ReadSectors, sector)
		add(diskReadTime, d.ReadTicks, 1e-3)
		add(diskWrites, d.WriteIOs, 1)
		add(diskWritesMerged, d.WriteMerges, 1)
		add(diskWrittenBytes, d.WriteSectors, sector)
		add(diskWriteTime, d.WriteTicks, 1e-3)
		add(diskNow, d.IOsInProgress, 1)
		add(diskTime, d.IOsTotalTicks, 1e-3)
		add(diskWeighted, d.WeightedIOTicks, 1e-3)
		if d.IoStatsCount >= 18 { // Linux 4.18
			add(diskDiscards, d.DiscardIOs, 1)
			add(diskDiscardMerged, d.DiscardMerges, 1)
			add(diskDiscardSect, d.DiscardSectors, 1)
			add(diskDiscardTime, d.DiscardTicks, 1e-3)
		}
		if d.IoStatsCount >= 20 { // Linux 5.5
			add(diskFlushes, d.FlushRequestsCompleted, 1)
			add(diskFlushTime, d.TimeSpentFlushing, 1e-3)
		}
	}
	return nil
}

var (
	fsSize      = gauge("node_filesystem_size_bytes", "Size of a file system", "device", "fstype", "mountpoint")
	fsFree      = gauge("node_filesystem_free_bytes", "Bytes free, those kept for root included", "device", "fstype", "mountpoint")
	fsAvail     = gauge("node_filesystem_avail_bytes", "Bytes free for everybody", "device", "fstype", "mountpoint")
	fsFiles     = gauge("node_filesystem_files", "Files that a file system can hold", "device", "fstype", "mountpoint")
	fsFilesFree = gauge("node_filesystem_files_free", "Files that a file system can still hold", "device", "fstype", "mountpoint")
	fsReadOnly  = gauge("node_filesystem_readonly", "Whether it is mounted read-only", "device", "fstype", "mountpoint")
	fsError     = gauge("node_filesystem_device_error", "Whether the file system did not say how it is", "device", "fstype", "mountpoint")
)

func fsMetrics() []*kit.Metric {
	return []*kit.Metric{fsSize, fsFree, fsAvail, fsFiles, fsFilesFree, fsReadOnly, fsError}
}

// What is no storage, or that of somebody else.
var (
	noStorage = regexp.MustCompile(`^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$`)
	noMount   = regexp.MustCompile(`^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`)
	remote    = regexp.MustCompile(`^(nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|lustre|afs|9p|beegfs|ocfs2|gfs2|davfs|sshfs|fuse|fuse\..*|virtiofs)$`)
)

// mount is a mounted file system and how it was found to be.
type mount struct {
	device, kind, point string
	readOnly            float64
}

func (c *collector) filesystems(ctx context.Context, fs procfs.FS, b *kit.Batch) error {
	mounts, err := fs.GetProcMounts(1) // those of the machine, if we may look
	if err != nil {
		mounts, err = fs.GetMounts()
	}
	if err != nil {
		return err
	}
	seen := map[mount]bool{}
	for _, m := range mounts {
		// Later mounts cover earlier ones at the same place.
		w := mount{device: m.Source, kind: m.FSType, point: m.MountPoint}
		if noStorage.MatchString(w.kind) || noMount.MatchString(w.point) || ignored(w.point, c.settings.IgnoreMounts) || seen[w] {
			continue
		}
		seen[w] = true
		if _, ro := m.Options["ro"]; ro {
			w.readOnly = 1
		}
		c.filesystem(ctx, w, b)
	}
	return nil
}

func (c *collector) filesystem(ctx context.Context, w mount, b *kit.Batch) {
	labels := []string{w.device, w.kind, w.point}
	s, err := c.ask(ctx, w)
	b.Add(fsReadOnly, w.readOnly, labels...)
	if err != nil {
		b.Add(fsError, 1, labels...)
		if !errors.Is(err, unix.EACCES) {
			b.Missing("file system "+w.point, err)
		}
		return
	}
	block := float64(s.Frsize)
	b.Add(fsError, 0, labels...)
	b.Add(fsSize, float64(s.Blocks)*block, labels...)
	b.Add(fsFree, float64(s.Bfree)*block, labels...)
	b.Add(fsAvail, float64(s.Bavail)*block, labels...)
	b.Add(fsFiles, float64(s.Files), labels...)
	b.Add(fsFilesFree, float64(s.Ffree), labels...)
}

// statfs is a question to a file system of the network, which may hang for ever.
type statfs struct {
	since  time.Time
	done   chan struct{}
	answer unix.Statfs_t
	err    error
}

// ask asks a file system. One of the network is asked beside us, one question at a
// time for each: a server that is gone holds up one thread, and not the others.
func (c *collector) ask(ctx context.Context, w mount) (unix.Statfs_t, error) {
	if !remote.MatchString(w.kind) {
		var s unix.Statfs_t
		err := unix.Statfs(w.point, &s)
		return s, err
	}
	q := c.hung[w.point]
	if q == nil {
		q = &statfs{since: time.Now(), done: make(chan struct{})}
		c.hung[w.point] = q
		go func() {
			q.err = unix.Statfs(w.point, &q.answer)
			close(q.done)
		}()
	}
	patience := time.NewTimer(300 * time.Millisecond)
	defer patience.Stop()
	select {
	case <-q.done:
	case <-patience.C:
	case <-ctx.Done():
	}
	select {
	case <-q.done: // also when it came just as patience ended: we may not have run for a while
		delete(c.hung, w.point)
		return q.answer, q.err
	default:
	}
	return unix.Statfs_t{}, fmt.Errorf("%s does not answer since %s", strings.TrimSpace(w.device), q.since.Format(time.TimeOnly))
}
