package postgres

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// query is one statement and the metrics that its columns are. All of them have
// the same labels, which are columns too.
type query struct {
	part    string // what is missing when it fails
	min     int    // server_version_num from which it works
	below   int    // and from which it does not any more, 0 is never
	every   time.Duration
	limit   int // rows, 0 is 2000
	labels  []string
	text    string
	columns []column
}

type column struct {
	name   string
	metric *kit.Metric
}

func (q *query) fits(s *session) bool {
	return s.version >= q.min && (q.below == 0 || s.version < q.below) && (s.extern != "" || !strings.Contains(q.text, schema))
}

func (q *query) sql(s *session) string { return strings.ReplaceAll(q.text, schema, s.extern) }

func (q *query) rows() int {
	if q.limit > 0 {
		return q.limit
	}
	return 2000
}

// read makes samples of a row. NULL is not known, and left out.
func (q *query) read(r row, to []sample) []sample {
	labels := make([]string, len(q.labels))
	for i, l := range q.labels {
		labels[i], _ = r.text(l)
	}
	for _, c := range q.columns {
		text, known := r.text(c.name)
		if !known {
			continue
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			to = append(to, sample{metric: c.metric, v: v, labels: labels})
		}
	}
	return to
}

// table makes a query of a text like
//
//	column metric kind help
//
// with one line for each column.
func (q query) table(lines string) query {
	for line := range strings.Lines(lines) {
		cells := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(cells) != 4 {
			continue
		}
		m := &kit.Metric{Name: cells[1], Help: cells[3], Kind: core.Gauge, Labels: q.labels}
		if cells[2] == "counter" {
			m.Kind = core.Counter
		}
		q.columns = append(q.columns, column{name: cells[0], metric: m})
	}
	return q
}

// schema stands for where the extension pg_stat_statements is.
const schema = "$SCHEMA"

// metrics lists everything that a collection may tell.
func metrics() (all []*kit.Metric) {
	for _, q := range queries() {
		for _, c := range q.columns {
			all = append(all, c.metric)
		}
	}
	slices.SortFunc(all, func(a, b *kit.Metric) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b *kit.Metric) bool { return a.Name == b.Name })
}

func figures() []kit.Figure {
	return []kit.Figure{
		{Title: "Transactions", Unit: "per_second", Chart: true, Of: func(r kit.Reading) float64 {
			return r.Rate("pg_stat_database_xact_commit") + r.Rate("pg_stat_database_xact_rollback")
		}},
		{Title: "Rolled back", Unit: "ratio", Chart: true, Of: kit.Share("pg_stat_database_xact_rollback", "pg_stat_database_xact_commit", "pg_stat_database_xact_rollback")},
		{Title: "Active", Chart: true, Of: kit.Level("pg_stat_activity_count", "state", "active")},
		{Title: "Connections", Chart: true, Of: kit.Level("pg_stat_database_numbackends")},
		{Title: "Connection limit", Of: kit.Level("pg_settings_max_connections")},
		{Title: "Waiting for lock", Chart: true, Of: kit.Level("vitals_postgres_lock_waits")},
		{Title: "Oldest transact", Unit: "seconds", Of: func(r kit.Reading) float64 { return r.Max("pg_stat_activity_max_tx_duration") }},
		{Title: "Cache hits", Unit: "ratio", Chart: true, Of: kit.Share("pg_stat_database_blks_hit", "pg_stat_database_blks_hit", "pg_stat_database_blks_read")},
		{Title: "Temporary files", Unit: "per_second", Of: kit.PerSecond("pg_stat_database_temp_files")},
		{Title: "Deadlocks", Unit: "per_second", Of: kit.PerSecond("pg_stat_database_deadlocks")},
		{Title: "Size", Unit: "bytes", Of: kit.Level("pg_database_size_bytes")},
		{Title: "Replica lag", Unit: "bytes", Of: func(r kit.Reading) float64 { return r.Max("pg_stat_replication_pg_wal_lsn_diff") }},
		{Title: "Behind primary", Unit: "seconds", Of: kit.Level("pg_replication_lag_seconds")},
	}
}
