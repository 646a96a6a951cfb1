package redis

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

var (
	instanceInfo = &kit.Metric{Name: "redis_instance_info", Help: "What the server is; always 1", Kind: core.Gauge,
		Labels: []string{"maxmemory_policy", "os", "process_id", "redis_build_id", "redis_mode", "redis_version", "role", "run_id", "tcp_port"}}
	startTime = &kit.Metric{Name: "redis_start_time_seconds", Help: "When the server started", Kind: core.Gauge}

	dbKeys     = &kit.Metric{Name: "redis_db_keys", Help: "Keys in a database", Kind: core.Gauge, Labels: []string{"db"}}
	dbExpiring = &kit.Metric{Name: "redis_db_keys_expiring", Help: "Keys with an expiry in a database", Kind: core.Gauge, Labels: []string{"db"}}
	dbTTL      = &kit.Metric{Name: "redis_db_avg_ttl_seconds", Help: "Average time to live of a database's keys", Kind: core.Gauge, Labels: []string{"db"}}

	commandCalls    = &kit.Metric{Name: "redis_commands_total", Help: "Calls of a command", Kind: core.Counter, Labels: []string{"cmd"}}
	commandSeconds  = &kit.Metric{Name: "redis_commands_duration_seconds_total", Help: "Time spent in a command", Kind: core.Counter, Labels: []string{"cmd"}}
	commandRejected = &kit.Metric{Name: "redis_commands_rejected_calls_total", Help: "Calls of a command that were rejected before they ran", Kind: core.Counter, Labels: []string{"cmd"}}
	commandFailed   = &kit.Metric{Name: "redis_commands_failed_calls_total", Help: "Calls of a command that failed while they ran", Kind: core.Counter, Labels: []string{"cmd"}}
	commandLatency  = &kit.Metric{Name: "redis_commands_latencies_usec", Help: "How long a command ran, in microseconds", Kind: core.Histogram, Labels: []string{"cmd"}}
	errorsTotal     = &kit.Metric{Name: "redis_errors_total", Help: "Error replies by their first word", Kind: core.Counter, Labels: []string{"err"}}

	masterUp   = &kit.Metric{Name: "redis_master_link_up", Help: "Whether the link to the master is up", Kind: core.Gauge, Labels: []string{"master_host", "master_port"}}
	masterIO   = &kit.Metric{Name: "redis_master_last_io_seconds_ago", Help: "Seconds since the master was heard of", Kind: core.Gauge, Labels: []string{"master_host", "master_port"}}
	masterSync = &kit.Metric{Name: "redis_master_sync_in_progress", Help: "Whether the master sends everything", Kind: core.Gauge, Labels: []string{"master_host", "master_port"}}
	slaveAt    = &kit.Metric{Name: "redis_slave_repl_offset", Help: "Replication offset of this replica", Kind: core.Gauge, Labels: []string{"master_host", "master_port"}}

	replicaOffset = &kit.Metric{Name: "redis_connected_slave_offset_bytes", Help: "Replication offset of a replica", Kind: core.Gauge, Labels: []string{"slave_ip", "slave_port", "slave_state"}}
	replicaLag    = &kit.Metric{Name: "redis_connected_slave_lag_seconds", Help: "Seconds since a replica acknowledged", Kind: core.Gauge, Labels: []string{"slave_ip", "slave_port", "slave_state"}}

	slowlogLength = &kit.Metric{Name: "redis_slowlog_length", Help: "Entries in the slow log", Kind: core.Gauge}
	spikeLast     = &kit.Metric{Name: "redis_latency_spike_last", Help: "When the last latency event of a kind was, Unix time", Kind: core.Gauge, Labels: []string{"event_name"}}
	spikeSeconds  = &kit.Metric{Name: "redis_latency_spike_duration_seconds", Help: "How long the last latency event of a kind was", Kind: core.Gauge, Labels: []string{"event_name"}}
)

// metrics lists everything that a collection may tell.
func metrics() []*kit.Metric {
	all := []*kit.Metric{instanceInfo, startTime, dbKeys, dbExpiring, dbTTL, commandCalls, commandSeconds, commandRejected, commandFailed,
		commandLatency, errorsTotal, masterUp, masterIO, masterSync, slaveAt, replicaOffset, replicaLag, slowlogLength, spikeLast, spikeSeconds}
	for _, f := range fieldsByKey() {
		all = append(all, f.metric)
	}
	slices.SortFunc(all, func(a, b *kit.Metric) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func figures() []kit.Figure {
	return []kit.Figure{
		{Title: "Commands", Unit: "per_second", Chart: true, Of: kit.PerSecond("redis_commands_processed_total")},
		{Title: "Hit ratio", Unit: "ratio", Chart: true, Of: kit.Share("redis_keyspace_hits_total", "redis_keyspace_hits_total", "redis_keyspace_misses_total")},
		{Title: "Clients", Chart: true, Of: kit.Level("redis_connected_clients")},
		{Title: "Memory", Unit: "bytes", Chart: true, Of: kit.Level("redis_memory_used_bytes")},
		{Title: "Keys", Of: kit.Level("redis_db_keys")},
		{Title: "Evicted", Unit: "per_second", Chart: true, Of: kit.PerSecond("redis_evicted_keys_total")},
		{Title: "Errors", Unit: "per_second", Chart: true, Of: kit.PerSecond("redis_total_error_replies")},
		{Title: "Slow log", Of: kit.Level("redis_slowlog_length")},
		{Title: "Replica lag", Unit: "seconds", Of: func(r kit.Reading) float64 { return r.Max("redis_connected_slave_lag_seconds") }},
		{Title: "Master link", Unit: "state", Of: kit.Level("redis_master_link_up")},
	}
}

// identity is what INFO says in words.
type identity struct {
	policy, os, pid, build, mode, version, role, run, port string
	masterHost, masterPort, link                           string
	uptime, serverTime                                     float64
	masterIO, masterSync, slaveAt                          float64
}

// words tells where to put a value of INFO, nil for keys that are no words.
func (id *identity) words(key string) *string {
	switch key {
	case "maxmemory_policy":
		return &id.policy
	case "os":
		return &id.os
	case "process_id":
		return &id.pid
	case "redis_build_id":
		return &id.build
	case "redis_mode":
		return &id.mode
	case "redis_version":
		return &id.version
	case "role":
		return &id.role
	case "run_id":
		return &id.run
	case "tcp_port":
		return &id.port
	case "master_host":
		return &id.masterHost
	case "master_port":
		return &id.masterPort
	case "master_link_status":
		return &id.link
	}
	return nil
}

func (id *identity) numbers(key string) *float64 {
	switch key {
	case "uptime_in_seconds":
		return &id.uptime
	case "server_time_usec":
		return &id.serverTime
	case "master_last_io_seconds_ago":
		return &id.masterIO
	case "master_sync_in_progress":
		return &id.masterSync
	case "slave_repl_offset":
		return &id.slaveAt
	}
	return nil
}

// info tells an answer to INFO.
func (c *collector) info(text []byte, b *kit.Batch) error {
	clear(c.usec)
	nan := math.NaN()
	id := identity{uptime: nan, serverTime: nan, masterIO: nan, masterSync: nan, slaveAt: nan}
	eachInfo(text, func(key, value []byte) {
		if to := id.words(string(key)); to != nil {
			*to = string(value)
		}
		if to := id.numbers(string(key)); to != nil {
			*to = number(value)
		}
		if f := c.fields[string(key)]; f != nil {
			add(b, f.metric, number(value)*f.scale)
			c.complain(f.key, value, b)
			return
		}
		c.group(key, value, b)
	})
	if id.version == "" {
		return fmt.Errorf("redis INFO: %w: it names no version", kit.ErrOther)
	}
	b.Add(instanceInfo, 1, id.policy, id.os, id.pid, id.build, id.mode, id.version, id.role, id.run, id.port)
	now := b.At
	if !math.IsNaN(id.serverTime) {
		now = time.UnixMicro(int64(id.serverTime))
	}
	add(b, startTime, c.uptime(id.run, now, id.uptime))
	if id.masterHost != "" {
		up := 0.0
		if id.link == "up" {
			up = 1
		} else {
			b.Missing("replication", errors.New("the link to the master is down"))
		}
		b.Add(masterUp, up, id.masterHost, id.masterPort)
		add(b, masterIO, id.masterIO, id.masterHost, id.masterPort)
		add(b, masterSync, id.masterSync, id.masterHost, id.masterPort)
		add(b, slaveAt, id.slaveAt, id.masterHost, id.masterPort)
	}
	return nil
}

// complain makes what the server itself says is broken a part that is missing.
func (c *collector) complain(key string, value []byte, b *kit.Batch) {
	switch key {
	case "rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status":
		if string(value) == "err" {
			b.Missing("saving", fmt.Errorf("%s is err: see the server's log", key))
		}
	}
}

// group tells the lines of which there is one for each database, command,
// error or replica.
func (c *collector) group(key, value []byte, b *kit.Batch) {
	name, numbered := bytes.CutPrefix(key, []byte("db"))
	switch {
	case numbered && digits(name):
		db := string(key)
		eachPart(value, func(n, v []byte) {
			switch string(n) {
			case "keys":
				add(b, dbKeys, number(v), db)
			case "expires":
				add(b, dbExpiring, number(v), db)
			case "avg_ttl":
				add(b, dbTTL, number(v)/1000, db)
			}
		})
	case bytes.HasPrefix(key, []byte("cmdstat_")):
		cmd := string(key[len("cmdstat_"):])
		eachPart(value, func(n, v []byte) {
			switch string(n) {
			case "calls":
				add(b, commandCalls, number(v), cmd)
			case "usec":
				c.usec[cmd] = number(v)
				add(b, commandSeconds, c.usec[cmd]/1e6, cmd)
			case "rejected_calls":
				add(b, commandRejected, number(v), cmd)
			case "failed_calls":
				add(b, commandFailed, number(v), cmd)
			}
		})
	case bytes.HasPrefix(key, []byte("errorstat_")):
		kind := string(key[len("errorstat_"):])
		eachPart(value, func(_, v []byte) { add(b, errorsTotal, number(v), kind) })
	case bytes.HasPrefix(key, []byte("slave")) && digits(key[len("slave"):]):
		replica(value, b)
	}
}

// replica tells a line like "ip=10.0.0.2,port=6379,state=online,offset=28,lag=1".
func replica(value []byte, b *kit.Batch) {
	var ip, port, state string
	offset, lag := math.NaN(), math.NaN()
	eachPart(value, func(n, v []byte) {
		switch string(n) {
		case "ip":
			ip = string(v)
		case "port":
			port = string(v)
		case "state":
			state = string(v)
		case "offset":
			offset = number(v)
		case "lag":
			lag = number(v)
		}
	})
	add(b, replicaOffset, offset, ip, port, state)
	add(b, replicaLag, lag, ip, port, state)
}

func digits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0
}

// add leaves out what is not known.
func add(b *kit.Batch, m *kit.Metric, v float64, labels ...string) {
	if !math.IsNaN(v) {
		b.Add(m, v, labels...)
	}
}
