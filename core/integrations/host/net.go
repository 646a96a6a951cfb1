package host

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"vitals/core"
	"vitals/core/integrations/kit"
)

var (
	netUp    = gauge("node_network_up", "Whether an interface is up", "device")
	netMTU   = gauge("node_network_mtu_bytes", "Largest packet of an interface", "device")
	netSpeed = gauge("node_network_speed_bytes", "Bytes a second that an interface can carry", "device")

	softnetProcessed = counter("node_softnet_processed_total", "Packets processed by a processor", "cpu")
	softnetDropped   = counter("node_softnet_dropped_total", "Packets dropped because a processor's queue was full", "cpu")
	softnetSqueezed  = counter("node_softnet_times_squeezed_total", "Times that a processor ran out of time with packets left", "cpu")

	filesAllocated   = gauge("node_filefd_allocated", "Files open on the machine")
	filesMax         = gauge("node_filefd_maximum", "Files that may be open")
	conntrackEntries = gauge("node_nf_conntrack_entries", "Connections that the firewall keeps track of")
	conntrackLimit   = gauge("node_nf_conntrack_entries_limit", "Connections that it can keep track of")
)

// interfaceField is a column of /proc/net/dev.
type interfaceField struct {
	metric *kit.Metric
	of     func(procfs.NetDevLine) uint64
}

func interfaceFields() []interfaceField {
	f := func(name, help string, of func(procfs.NetDevLine) uint64) interfaceField {
		return interfaceField{counter("node_network_"+name+"_total", help, "device"), of}
	}
	return []interfaceField{
		f("receive_bytes", "Bytes received", func(l procfs.NetDevLine) uint64 { return l.RxBytes }),
		f("receive_packets", "Packets received", func(l procfs.NetDevLine) uint64 { return l.RxPackets }),
		f("receive_errs", "Packets received with errors", func(l procfs.NetDevLine) uint64 { return l.RxErrors }),
		f("receive_drop", "Packets dropped when received", func(l procfs.NetDevLine) uint64 { return l.RxDropped }),
		f("receive_fifo", "Packets lost in the receive queue", func(l procfs.NetDevLine) uint64 { return l.RxFIFO }),
		f("receive_frame", "Packets received with a broken frame", func(l procfs.NetDevLine) uint64 { return l.RxFrame }),
		f("receive_compressed", "Compressed packets received", func(l procfs.NetDevLine) uint64 { return l.RxCompressed }),
		f("receive_multicast", "Packets to many received", func(l procfs.NetDevLine) uint64 { return l.RxMulticast }),
		f("transmit_bytes", "Bytes sent", func(l procfs.NetDevLine) uint64 { return l.TxBytes }),
		f("transmit_packets", "Packets sent", func(l procfs.NetDevLine) uint64 { return l.TxPackets }),
		f("transmit_errs", "Packets not sent because of errors", func(l procfs.NetDevLine) uint64 { return l.TxErrors }),
		f("transmit_drop", "Packets dropped when sent", func(l procfs.NetDevLine) uint64 { return l.TxDropped }),
		f("transmit_fifo", "Packets lost in the send queue", func(l procfs.NetDevLine) uint64 { return l.TxFIFO }),
		f("transmit_colls", "Collisions", func(l procfs.NetDevLine) uint64 { return l.TxCollisions }),
		f("transmit_carrier", "Packets not sent because the line was down", func(l procfs.NetDevLine) uint64 { return l.TxCarrier }),
		f("transmit_compressed", "Compressed packets sent", func(l procfs.NetDevLine) uint64 { return l.TxCompressed }),
	}
}

func (c *collector) network(_ context.Context, fs procfs.FS, b *kit.Batch) error {
	lines, err := fs.NetDev()
	if err != nil {
		return err
	}
	fields := interfaceFields()
	for name, line := range lines {
		if ignored(name, c.settings.IgnoreInterfaces) || strings.Contains(name, "/") {
			continue
		}
		for _, f := range fields {
			b.Add(f.metric, float64(f.of(line)), name)
		}
		dir := c.sys + "/class/net/" + name + "/"
		if state, err := c.read(dir + "operstate"); err == nil {
			up := 0.0
			if string(bytes.TrimSpace(state)) == "up" {
				up = 1
			}
			b.Add(netUp, up, name)
		}
		if mtu, ok := c.number(dir + "mtu"); ok {
			b.Add(netMTU, mtu, name)
		}
		// -1 is "not known", which is what virtual interfaces say.
		if speed, ok := c.number(dir + "speed"); ok && speed >= 0 {
			b.Add(netSpeed, speed*1e6/8, name)
		}
	}
	return nil
}

func (c *collector) number(file string) (float64, bool) {
	text, err := c.read(file)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
	return v, err == nil
}

// kept names the counters of a protocol that are worth telling.
func kept(proto string) string {
	switch proto {
	case "Icmp", "Icmp6":
		return " InErrors InMsgs OutMsgs "
	case "Ip":
		return " Forwarding "
	case "Ip6", "IpExt":
		return " InOctets OutOctets "
	case "Tcp":
		return " ActiveOpens CurrEstab InErrs InSegs OutRsts OutSegs PassiveOpens RetransSegs "
	case "TcpExt":
		return " ListenDrops ListenOverflows SyncookiesFailed SyncookiesRecv SyncookiesSent TCPSynRetrans TCPTimeouts TCPOFOQueue TCPRcvQDrop "
	case "Udp", "Udp6":
		return " InDatagrams InErrors NoPorts OutDatagrams RcvbufErrors SndbufErrors "
	case "UdpLite", "UdpLite6":
		return " InErrors "
	}
	return ""
}

// protocols tells netstat and snmp, whose lines come in pairs of names and
// values, and snmp6, which has one for each.
func (c *collector) protocols(_ context.Context, _ procfs.FS, b *kit.Batch) error {
	for _, file := range []string{"netstat", "snmp"} {
		text, err := c.read(c.proc + "/net/" + file)
		if err != nil {
			return err
		}
		var names []string
		for line := range bytes.Lines(text) {
			words := strings.Fields(string(line))
			if names == nil {
				names = words
				continue
			}
			if len(words) == len(names) && words[0] == names[0] {
				for i := 1; i < len(words); i++ {
					c.protocol(strings.TrimSuffix(words[0], ":"), names[i], words[i], b)
				}
			}
			names = nil
		}
	}
	text, err := c.read(c.proc + "/net/snmp6")
	if err != nil {
		return nil // a machine without IPv6
	}
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if proto, rest, ok := strings.Cut(name, "6"); ok {
			c.protocol(proto+"6", rest, strings.TrimSpace(value), b)
		}
	}
	return nil
}

func (c *collector) protocol(proto, name, value string, b *kit.Batch) {
	if !strings.Contains(kept(proto), " "+name+" ") {
		return
	}
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		b.Add(c.named("node_netstat_"+proto+"_"+name, "The counter "+name+" of "+proto, core.Untyped), v)
	}
}

func socketMetric(name string) *kit.Metric {
	return gauge("node_sockstat_"+name, "What /proc/net/sockstat says of "+name)
}

func sockets(_ context.Context, fs procfs.FS, b *kit.Batch) error {
	v4, err := fs.NetSockstat()
	if err != nil {
		return err
	}
	all := v4.Protocols
	if v4.Used != nil {
		b.Add(socketMetric("sockets_used"), float64(*v4.Used))
	}
	if v6, err := fs.NetSockstat6(); err == nil {
		all = append(all, v6.Protocols...)
	}
	for _, p := range all {
		b.Add(socketMetric(p.Protocol+"_inuse"), float64(p.InUse))
		for name, v := range map[string]*int{"orphan": p.Orphan, "tw": p.TW, "alloc": p.Alloc, "mem": p.Mem, "memory": p.Memory} {
			if v != nil {
				b.Add(socketMetric(p.Protocol+"_"+name), float64(*v))
			}
		}
		if p.Mem != nil {
			b.Add(socketMetric(p.Protocol+"_mem_bytes"), float64(*p.Mem*os.Getpagesize()))
		}
	}
	return nil
}

func packets(_ context.Context, fs procfs.FS, b *kit.Batch) error {
	stats, err := fs.NetSoftnetStat()
	if err != nil {
		return err
	}
	for _, s := range stats {
		cpu := strconv.FormatUint(uint64(s.Index), 10)
		b.Add(softnetProcessed, float64(s.Processed), cpu)
		b.Add(softnetDropped, float64(s.Dropped), cpu)
		b.Add(softnetSqueezed, float64(s.TimeSqueezed), cpu)
	}
	return nil
}

func (c *collector) limits(_ context.Context, _ procfs.FS, b *kit.Batch) error {
	text, err := c.read(c.proc + "/sys/fs/file-nr")
	if err != nil {
		return err
	}
	if words := strings.Fields(string(text)); len(words) == 3 {
		allocated, err1 := strconv.ParseFloat(words[0], 64)
		most, err2 := strconv.ParseFloat(words[2], 64)
		if err1 == nil && err2 == nil {
			b.Add(filesAllocated, allocated)
			b.Add(filesMax, most)
		}
	}
	if v, ok := c.number(c.proc + "/sys/net/netfilter/nf_conntrack_count"); ok {
		b.Add(conntrackEntries, v)
	}
	if v, ok := c.number(c.proc + "/sys/net/netfilter/nf_conntrack_max"); ok {
		b.Add(conntrackLimit, v)
	}
	return nil
}
