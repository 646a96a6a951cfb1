package memcached

import (
	"math"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// figure is a line of statistics and the series that it becomes.
type figure struct {
	metric *kit.Metric
	values []string // of the metric's labels, the slab's left out
	scale  float64
}

type sample struct {
	metric *kit.Metric
	v      float64
	labels []string
}

var (
	versionInfo = &kit.Metric{Name: "memcached_version", Help: "What the server is; always 1", Kind: core.Gauge, Labels: []string{"version"}}
	slabLabel   = []string{"slab"}
)

// byName makes figures of a table whose lines are: name of the figure (/unit),
// metric, labels or -, help.
func byName(table string, slab bool) map[string]*figure {
	out := map[string]*figure{}
	metrics := map[string]*kit.Metric{}
	for line := range strings.Lines(table) {
		cells := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(cells) != 4 {
			continue
		}
		name, unit, _ := strings.Cut(cells[0], "/")
		f := &figure{scale: 1}
		if unit == "usec" {
			f.scale = 1e-6
		}
		var labels []string
		for pair := range strings.SplitSeq(cells[2], ",") {
			if k, v, ok := strings.Cut(pair, "="); ok {
				labels = append(labels, k)
				f.values = append(f.values, v)
			}
		}
		if slab {
			labels = append(slices.Clone(slabLabel), labels...)
		}
		if metrics[cells[1]] == nil {
			m := &kit.Metric{Name: "memcached_" + cells[1], Help: cells[3], Kind: core.Gauge, Labels: labels}
			if strings.HasSuffix(m.Name, "_total") {
				m.Kind = core.Counter
			}
			metrics[cells[1]] = m
		}
		f.metric = metrics[cells[1]]
		out[name] = f
	}
	return out
}

// metrics lists everything that a collection may tell.
func metrics() []*kit.Metric {
	seen := map[string]*kit.Metric{versionInfo.Name: versionInfo}
	for _, figures := range []map[string]*figure{byName(generalTable, false), byName(slabTable, true)} {
		for _, f := range figures {
			seen[f.metric.Name] = f.metric
		}
	}
	var all []*kit.Metric
	for _, m := range seen {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *kit.Metric) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ask appends what the server tells.
func (c *collector) ask(m *conn, told []sample) ([]sample, error) {
	general := func(name, value []byte) {
		if string(name) == "version" {
			told = append(told, sample{versionInfo, 1, []string{string(value)}})
		}
		if f := c.general[string(name)]; f != nil {
			told = appendKnown(told, f.metric, number(value)*f.scale, f.values)
		}
	}
	slab := func(name, value []byte) {
		class, rest, ok := slabFigure(name)
		if f := c.slabs[string(rest)]; ok && f != nil {
			told = appendKnown(told, f.metric, number(value), append([]string{string(class)}, f.values...))
			return
		}
		general(name, value) // total_malloced stands among the slabs
	}
	if err := m.stats("", general); err != nil {
		return told, err
	}
	if err := m.stats("slabs", slab); err != nil {
		return told, err
	}
	return told, m.stats("items", slab)
}

func appendKnown(told []sample, m *kit.Metric, v float64, labels []string) []sample {
	if math.IsNaN(v) {
		return told
	}
	return append(told, sample{m, v, labels})
}

// The names are those of memcached_exporter.
const generalTable = `
uptime uptime_seconds - Seconds since the server started
time time_seconds - The time of the server's clock
rusage_user process_user_cpu_seconds_total - CPU time in the program
rusage_system process_system_cpu_seconds_total - CPU time in the kernel
max_connections max_connections - Connections that the server allows
curr_connections current_connections - Open connections
total_connections connections_total - Connections accepted
rejected_connections connections_rejected_total - Connections rejected because of the limit
conn_yields connections_yielded_total - Times that a connection had to let others go first
listen_disabled_num connections_listener_disabled_total - Times that the limit of connections was hit
time_in_listen_disabled_us/usec listener_disabled_seconds_total - Time that the limit of connections was hit
accepting_conns accepting_connections - Whether connections are accepted
threads threads - Threads that work
curr_items current_items - Items stored
total_items items_total - Items stored since the start
bytes current_bytes - Bytes that items take
limit_maxbytes limit_bytes - Bytes that items may take
bytes_read read_bytes_total - Bytes read from the network
bytes_written written_bytes_total - Bytes written to the network
evictions items_evicted_total - Items thrown out for new ones
reclaimed items_reclaimed_total - Items stored in the place of expired ones
expired_unfetched items_expired_unfetched_total - Items that expired and were never read
evicted_unfetched items_evicted_unfetched_total - Items that were thrown out and never read
total_malloced malloced_bytes - Memory allocated for slabs
lru_crawler_starts lru_crawler_starts_total - Times that the crawler started
crawler_reclaimed lru_crawler_reclaimed_total - Items that the crawler freed
crawler_items_checked lru_crawler_items_checked_total - Items that the crawler looked at
auth_cmds auth_commands_total - Logins tried
auth_errors auth_errors_total - Logins that failed
get_hits commands_total command=get,status=hit Commands by what came of them
get_misses commands_total command=get,status=miss Commands by what came of them
cmd_set commands_total command=set,status=hit Commands by what came of them
cmd_flush commands_total command=flush,status=hit Commands by what came of them
delete_hits commands_total command=delete,status=hit Commands by what came of them
delete_misses commands_total command=delete,status=miss Commands by what came of them
incr_hits commands_total command=incr,status=hit Commands by what came of them
incr_misses commands_total command=incr,status=miss Commands by what came of them
decr_hits commands_total command=decr,status=hit Commands by what came of them
decr_misses commands_total command=decr,status=miss Commands by what came of them
touch_hits commands_total command=touch,status=hit Commands by what came of them
touch_misses commands_total command=touch,status=miss Commands by what came of them
cas_hits commands_total command=cas,status=hit Commands by what came of them
cas_misses commands_total command=cas,status=miss Commands by what came of them
cas_badval commands_total command=cas,status=badval Commands by what came of them
`

const slabTable = `
chunk_size slab_chunk_size_bytes - Bytes of a chunk
chunks_per_page slab_chunks_per_page - Chunks in a page
total_pages slab_current_pages - Pages of a slab
total_chunks slab_current_chunks - Chunks of a slab
used_chunks slab_chunks_used - Chunks that hold items
free_chunks slab_chunks_free - Chunks that are free
free_chunks_end slab_chunks_free_end - Free chunks at the end of the last page
number slab_current_items - Items in a slab
number_hot slab_hot_items - Items in its hot part
number_warm slab_warm_items - Items in its warm part
number_cold slab_cold_items - Items in its cold part
age slab_items_age_seconds - Age of the oldest item
mem_requested slab_mem_requested_bytes - Bytes that its items take
evicted slab_items_evicted_total - Items thrown out for new ones
evicted_nonzero slab_items_evicted_nonzero_total - Items thrown out that had an expiry
evicted_time slab_items_evicted_time_seconds - Seconds since the item last thrown out was read
evicted_unfetched slab_items_evicted_unfetched_total - Items thrown out that were never read
expired_unfetched slab_items_expired_unfetched_total - Items that expired and were never read
outofmemory slab_items_outofmemory_total - Items that could not be stored
reclaimed slab_items_reclaimed_total - Items stored in the place of expired ones
crawler_reclaimed slab_items_crawler_reclaimed_total - Items that the crawler freed
moves_to_cold slab_items_moves_to_cold_total - Items moved to the cold part
moves_to_warm slab_items_moves_to_warm_total - Items moved to the warm part
get_hits slab_commands_total command=get,status=hit Commands on a slab's items
cmd_set slab_commands_total command=set,status=hit Commands on a slab's items
delete_hits slab_commands_total command=delete,status=hit Commands on a slab's items
incr_hits slab_commands_total command=incr,status=hit Commands on a slab's items
decr_hits slab_commands_total command=decr,status=hit Commands on a slab's items
cas_hits slab_commands_total command=cas,status=hit Commands on a slab's items
cas_badval slab_commands_total command=cas,status=badval Commands on a slab's items
touch_hits slab_commands_total command=touch,status=hit Commands on a slab's items
`
