package mysql

import (
	"math"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

type sample struct {
	metric *kit.Metric
	v      float64
	labels []string
}

// named is what a variable of the status becomes.
type named struct {
	metric *kit.Metric
	labels []string
}

// Names and labels of this package are those of mysqld_exporter.
var (
	versionInfo = gauge("mysql_version_info", "What the server is; always 1", "version_comment", "version")

	commands    = counter("mysql_global_status_commands_total", "Commands by name", "command")
	handlers    = counter("mysql_global_status_handlers_total", "Calls of storage engines by name", "handler")
	connErrors  = counter("mysql_global_status_connection_errors_total", "Connections that failed, by what failed", "error")
	poolPages   = gauge("mysql_global_status_buffer_pool_pages", "Pages of InnoDB's buffer pool by state", "state")
	poolDirty   = gauge("mysql_global_status_buffer_pool_dirty_pages", "Pages of InnoDB's buffer pool that are not yet written")
	poolChanges = counter("mysql_global_status_buffer_pool_page_changes_total", "Changes of pages in InnoDB's buffer pool", "operation")
	rowOps      = counter("mysql_global_status_innodb_row_ops_total", "Rows by what InnoDB did with them", "operation")
	schemaLost  = counter("mysql_global_status_performance_schema_lost_total", "Instruments that the performance schema had no room for", "instrumentation")

	digestCalls  = counter("mysql_perf_schema_events_statements_total", "Executions of one of the fifty statements that took most time", "digest", "schema")
	digestTime   = counter("mysql_perf_schema_events_statements_seconds_total", "Time spent in it", "digest", "schema")
	digestErrors = counter("mysql_perf_schema_events_statements_errors_total", "Executions of it that failed", "digest", "schema")
	digestRows   = counter("mysql_perf_schema_events_statements_rows_sent_total", "Rows that it returned", "digest", "schema")
	digestRead   = counter("mysql_perf_schema_events_statements_rows_examined_total", "Rows that it looked at", "digest", "schema")
)

func counter(name, help string, labels ...string) *kit.Metric {
	return &kit.Metric{Name: name, Help: help, Kind: core.Counter, Labels: labels}
}

func gauge(name, help string, labels ...string) *kit.Metric {
	return &kit.Metric{Name: name, Help: help, Kind: core.Gauge, Labels: labels}
}

// described lists the metrics that are known beforehand; every other number of
// the global status is mysql_global_status_<name>, every setting that is told
// mysql_global_variables_<name>, every number of a replica mysql_slave_status_<name>.
func described() []*kit.Metric {
	return []*kit.Metric{versionInfo, commands, handlers, connErrors, poolPages, poolDirty, poolChanges, rowOps, schemaLost,
		digestCalls, digestTime, digestErrors, digestRows, digestRead}
}

func figures() []kit.Figure {
	return []kit.Figure{
		{Title: "Queries", Unit: "per_second", Chart: true, Of: kit.PerSecond("mysql_global_status_queries")},
		{Title: "Connections", Chart: true, Of: kit.Level("mysql_global_status_threads_connected")},
		{Title: "Connection limit", Of: kit.Level("mysql_global_variables_max_connections")},
		{Title: "Running", Chart: true, Of: kit.Level("mysql_global_status_threads_running")},
		{Title: "Slow queries", Unit: "per_second", Chart: true, Of: kit.PerSecond("mysql_global_status_slow_queries")},
		{Title: "Pool hits", Unit: "ratio", Chart: true, Of: func(r kit.Reading) float64 {
			return 1 - r.Rate("mysql_global_status_innodb_buffer_pool_reads")/r.Rate("mysql_global_status_innodb_buffer_pool_read_requests")
		}},
		{Title: "Lock waits", Unit: "per_second", Chart: true, Of: kit.PerSecond("mysql_global_status_innodb_row_lock_waits")},
		{Title: "Disk tables", Unit: "per_second", Of: kit.PerSecond("mysql_global_status_created_tmp_disk_tables")},
		{Title: "Received", Unit: "bytes_per_second", Of: kit.PerSecond("mysql_global_status_bytes_received")},
		{Title: "Sent", Unit: "bytes_per_second", Of: kit.PerSecond("mysql_global_status_bytes_sent")},
		{Title: "Aborted", Unit: "per_second", Of: kit.PerSecond("mysql_global_status_aborted_connects")},
		{Title: "Behind primary", Unit: "seconds", Of: func(r kit.Reading) float64 { return r.Max("mysql_slave_status_seconds_behind_master") }},
	}
}

// status tells SHOW GLOBAL STATUS.
func (c *collector) status(s *session, told []sample) ([]sample, error) {
	err := s.query("SHOW GLOBAL STATUS", func(r row) {
		name, v := r.text("Variable_name"), number(r.text("Value"))
		if math.IsNaN(v) {
			return
		}
		n, ok := c.names[name]
		if !ok {
			if n = place(strings.ToLower(name)); len(c.names) < maxRows {
				c.names[name] = n
			}
		}
		if n.metric != nil {
			told = append(told, sample{n.metric, v, n.labels})
		}
	})
	return told, err
}

// place says what a variable of the status becomes; a name that cannot be
// exposed becomes nothing.
func place(name string) named {
	for _, g := range []struct {
		prefix string
		metric *kit.Metric
	}{
		{"com_", commands}, {"handler_", handlers}, {"connection_errors_", connErrors}, {"innodb_rows_", rowOps}, {"performance_schema_", schemaLost},
	} {
		if rest, ok := strings.CutPrefix(name, g.prefix); ok && rest != "" {
			return named{g.metric, []string{rest}}
		}
	}
	if rest, ok := strings.CutPrefix(name, "innodb_buffer_pool_pages_"); ok {
		switch rest {
		case "data", "free", "misc", "old":
			return named{poolPages, []string{rest}}
		case "dirty":
			return named{poolDirty, nil}
		case "total":
			return named{} // the sum of the others
		}
		return named{poolChanges, []string{rest}}
	}
	return named{metric: &kit.Metric{Name: "mysql_global_status_" + name, Help: "The status variable " + name, Kind: core.Untyped}}
}

// variables tells the settings that figures are judged by, once a minute.
func (c *collector) variables(s *session, now time.Time, told []sample) ([]sample, error) {
	if now.Before(c.settled.until) {
		return append(told, c.settled.told...), nil
	}
	const sql = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'max_user_connections', 'innodb_buffer_pool_size', 'innodb_log_file_size',
		'innodb_log_buffer_size', 'innodb_flush_log_at_trx_commit', 'innodb_io_capacity', 'key_buffer_size', 'table_open_cache', 'table_definition_cache', 'thread_cache_size',
		'open_files_limit', 'query_cache_size', 'tmp_table_size', 'max_heap_table_size', 'read_only', 'super_read_only', 'log_bin', 'sync_binlog', 'slow_query_log',
		'long_query_time', 'wait_timeout', 'performance_schema', 'server_id')`
	var settings []sample
	err := s.query(sql, func(r row) {
		name, v := strings.ToLower(r.text("Variable_name")), number(r.text("Value"))
		if name == "performance_schema" {
			c.schema = v == 1
		}
		if !math.IsNaN(v) {
			m := &kit.Metric{Name: "mysql_global_variables_" + name, Help: "The setting " + name, Kind: core.Gauge}
			settings = append(settings, sample{m, v, nil})
		}
	})
	if err != nil {
		return told, err
	}
	c.settled = pause{until: now.Add(time.Minute), told: settings}
	return append(told, settings...), nil
}

// replication tells the numbers of each source that this server is a replica of.
func (c *collector) replication(s *session, _ time.Time, told []sample) ([]sample, error) {
	sql := "SHOW SLAVE STATUS"
	switch {
	case s.mariadb:
		sql = "SHOW ALL SLAVES STATUS"
	case newer(s.version, 8, 4): // where the old word is gone
		sql = "SHOW REPLICA STATUS"
	}
	err := s.query(sql, func(r row) {
		labels := []string{first(r, "Channel_Name"), first(r, "Connection_name"), first(r, "Master_Host", "Source_Host"), first(r, "Master_UUID", "Source_UUID")}
		for i, column := range r.columns {
			name := strings.NewReplacer("source", "master", "replica", "slave").Replace(strings.ToLower(column))
			switch v := number(asText(r.values[i])); {
			case math.IsNaN(v):
			case strings.HasPrefix(name, "seconds_behind"), strings.HasSuffix(name, "_running"), strings.HasSuffix(name, "_log_pos"), strings.HasSuffix(name, "_errno"),
				name == "relay_log_space", name == "skip_counter", name == "sql_delay":
				m := gauge("mysql_slave_status_"+name, "The column "+column+" of the replica's status", "channel_name", "connection_name", "master_host", "master_uuid")
				told = append(told, sample{m, v, labels})
			}
		}
	})
	return told, err
}

func first(r row, columns ...string) string {
	for _, c := range columns {
		if v := r.text(c); v != "" {
			return v
		}
	}
	return ""
}

// newer reports whether a version like "8.4.2" is at least major.minor.
func newer(version string, major, minor int) bool {
	a, b := 0, 0
	for i, part := range strings.SplitN(version, ".", 3) {
		n := 0
		for _, c := range part {
			if c < '0' || c > '9' || n > 1000 {
				break
			}
			n = n*10 + int(c-'0')
		}
		switch i {
		case 0:
			a = n
		case 1:
			b = n
		}
	}
	return a > major || a == major && b >= minor
}

// statements tells the statements that took most time, by their digests: texts
// are never read.
func (c *collector) statements(s *session, _ time.Time, told []sample) ([]sample, error) {
	if !c.schema {
		return told, nil
	}
	const sql = `SELECT schema_name, digest, count_star, sum_timer_wait / 1e12 AS seconds, sum_errors, sum_rows_sent, sum_rows_examined
		FROM performance_schema.events_statements_summary_by_digest WHERE digest IS NOT NULL ORDER BY sum_timer_wait DESC LIMIT 50`
	err := s.query(sql, func(r row) {
		labels := []string{r.text("digest"), r.text("schema_name")}
		for _, f := range []struct {
			metric *kit.Metric
			column string
		}{{digestCalls, "count_star"}, {digestTime, "seconds"}, {digestErrors, "sum_errors"}, {digestRows, "sum_rows_sent"}, {digestRead, "sum_rows_examined"}} {
			if v := number(r.text(f.column)); !math.IsNaN(v) {
				told = append(told, sample{f.metric, v, labels})
			}
		}
	})
	return told, err
}
