package postgres

import "time"

// queries lists what is asked, in order. Names and labels are those of
// postgres_exporter; what it has not is named vitals_postgres_*.
func queries() []query {
	return []query{
		query{part: "version", labels: []string{"short_version", "version"},
			text: `SELECT 1 AS one, version() AS version, current_setting('server_version') AS short_version`,
		}.table(`one pg_static gauge What the server is; always 1`),

		query{part: "start", text: `SELECT extract(epoch FROM pg_postmaster_start_time()) AS started, current_setting('max_connections') AS connections,
			current_setting('superuser_reserved_connections') AS reserved, (SELECT setting::bigint * current_setting('block_size')::bigint FROM pg_settings WHERE name = 'shared_buffers') AS buffers`,
		}.table(`
			started pg_postmaster_start_time_seconds gauge When the server started
			connections pg_settings_max_connections gauge Connections that the server allows
			reserved pg_settings_superuser_reserved_connections gauge Of these, kept for superusers
			buffers pg_settings_shared_buffers_bytes gauge Size of the shared buffers`),

		databases(),
		conflicts(),

		query{part: "activity", labels: []string{"datname", "state"}, text: `SELECT d.datname, s.state, count(a.pid) AS sessions,
			coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0) AS oldest
			FROM pg_database d CROSS JOIN unnest(ARRAY['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call', 'disabled']) AS s(state)
			LEFT JOIN pg_stat_activity a ON a.datid = d.oid AND a.state = s.state AND a.pid <> pg_backend_pid() GROUP BY 1, 2`,
		}.table(`
			sessions pg_stat_activity_count gauge Sessions by what they do, without that of vitals
			oldest pg_stat_activity_max_tx_duration gauge Seconds that the oldest transaction among them has lasted`),

		query{part: "lock waits", text: `SELECT count(*) AS waits FROM pg_stat_activity WHERE wait_event_type = 'Lock'`}.table(`waits vitals_postgres_lock_waits gauge Sessions that wait for a lock`),

		query{part: "locks", labels: []string{"datname", "mode"}, text: `SELECT d.datname, m.mode, count(l.locktype) AS locks FROM pg_database d
			CROSS JOIN unnest(ARRAY['accesssharelock', 'rowsharelock', 'rowexclusivelock', 'shareupdateexclusivelock', 'sharelock', 'sharerowexclusivelock',
				'exclusivelock', 'accessexclusivelock', 'sireadlock']) AS m(mode)
			LEFT JOIN pg_locks l ON l.database = d.oid AND lower(l.mode) = m.mode AND l.pid IS DISTINCT FROM pg_backend_pid() GROUP BY 1, 2`,
		}.table(`locks pg_locks_count gauge Locks held or waited for, without those of vitals`),

		query{part: "background writer", below: 170000, text: `SELECT *, extract(epoch FROM stats_reset) AS reset FROM pg_stat_bgwriter`}.table(`
			checkpoints_timed pg_stat_bgwriter_checkpoints_timed_total counter Checkpoints that were due
			checkpoints_req pg_stat_bgwriter_checkpoints_req_total counter Checkpoints that were asked for
			checkpoint_write_time pg_stat_bgwriter_checkpoint_write_time_total counter Milliseconds spent writing checkpoints
			checkpoint_sync_time pg_stat_bgwriter_checkpoint_sync_time_total counter Milliseconds spent syncing checkpoints
			buffers_checkpoint pg_stat_bgwriter_buffers_checkpoint_total counter Buffers written by checkpoints
			buffers_clean pg_stat_bgwriter_buffers_clean_total counter Buffers written by the background writer
			maxwritten_clean pg_stat_bgwriter_maxwritten_clean_total counter Times that the background writer stopped at its limit
			buffers_backend pg_stat_bgwriter_buffers_backend_total counter Buffers written by sessions
			buffers_backend_fsync pg_stat_bgwriter_buffers_backend_fsync_total counter Syncs by sessions
			buffers_alloc pg_stat_bgwriter_buffers_alloc_total counter Buffers allocated
			reset pg_stat_bgwriter_stats_reset_total counter When these were set to zero, Unix time`),

		query{part: "checkpointer", min: 170000, text: `SELECT * FROM pg_stat_checkpointer`}.table(`
			num_timed pg_stat_checkpointer_num_timed_total counter Checkpoints that were due
			num_requested pg_stat_checkpointer_num_requested_total counter Checkpoints that were asked for
			write_time pg_stat_checkpointer_write_time_total counter Milliseconds spent writing checkpoints
			sync_time pg_stat_checkpointer_sync_time_total counter Milliseconds spent syncing checkpoints
			buffers_written pg_stat_checkpointer_buffers_written_total counter Buffers written by checkpoints`),

		query{part: "archiver", text: `SELECT archived_count, failed_count, extract(epoch FROM now() - last_archived_time) AS age FROM pg_stat_archiver`}.table(`
			archived_count pg_stat_archiver_archived_count counter Files of the log archived
			failed_count pg_stat_archiver_failed_count counter Archivings that failed
			age pg_stat_archiver_last_archive_age gauge Seconds since the last archiving`),

		query{part: "replication", text: `SELECT pg_is_in_recovery()::int AS replica, CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
			ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag`,
		}.table(`
			replica pg_replication_is_replica gauge Whether this server is a replica
			lag pg_replication_lag_seconds gauge Seconds that it is behind its primary`),

		query{part: "replicas", limit: 200, labels: []string{"application_name", "client_addr", "state"}, text: `SELECT application_name, client_addr, state,
			pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, replay_lsn) AS behind FROM pg_stat_replication LIMIT 200`,
		}.table(`behind pg_stat_replication_pg_wal_lsn_diff gauge Bytes of the log that a replica has not applied`),

		query{part: "replication slots", limit: 200, labels: []string{"slot_name"}, text: `SELECT slot_name, active::int AS active,
			pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS behind FROM pg_replication_slots LIMIT 200`,
		}.table(`
			active pg_replication_slots_active gauge Whether somebody reads a replication slot
			behind pg_replication_slots_pg_wal_lsn_diff gauge Bytes of the log that a replication slot keeps`),

		query{part: "sizes", every: time.Minute, labels: []string{"datname"}, text: `SELECT datname, pg_database_size(oid) AS size, age(datfrozenxid) AS age FROM pg_database`}.table(`
			size pg_database_size_bytes gauge Size of a database on disk, looked at once a minute
			age vitals_postgres_database_xid_age gauge Transactions since the oldest one that a database must remember; two thousand million are the limit`),

		query{part: "log of writes", every: time.Minute, text: `SELECT count(*) AS segments, coalesce(sum(size), 0) AS size FROM pg_ls_waldir()`}.table(`
			segments pg_wal_segments gauge Files of the write-ahead log, looked at once a minute
			size pg_wal_size_bytes gauge Size of the write-ahead log, looked at once a minute`),

		tables(),
		statements(),
	}
}

func databases() query {
	return query{part: "databases", labels: []string{"datid", "datname"},
		text: `SELECT *, extract(epoch FROM stats_reset) AS reset FROM pg_stat_database`,
	}.table(`
		numbackends pg_stat_database_numbackends gauge Sessions of a database
		xact_commit pg_stat_database_xact_commit counter Transactions committed
		xact_rollback pg_stat_database_xact_rollback counter Transactions rolled back
		blks_read pg_stat_database_blks_read counter Blocks read from disk or the kernel's cache
		blks_hit pg_stat_database_blks_hit counter Blocks found in the shared buffers
		tup_returned pg_stat_database_tup_returned counter Rows read by scans of tables and entries by scans of indexes
		tup_fetched pg_stat_database_tup_fetched counter Rows fetched through indexes
		tup_inserted pg_stat_database_tup_inserted counter Rows inserted
		tup_updated pg_stat_database_tup_updated counter Rows updated
		tup_deleted pg_stat_database_tup_deleted counter Rows deleted
		conflicts pg_stat_database_conflicts counter Queries cancelled because of recovery
		temp_files pg_stat_database_temp_files counter Temporary files made by queries
		temp_bytes pg_stat_database_temp_bytes counter Bytes written to temporary files
		deadlocks pg_stat_database_deadlocks counter Deadlocks
		checksum_failures pg_stat_database_checksum_failures counter Pages whose checksum was wrong
		blk_read_time pg_stat_database_blk_read_time counter Milliseconds spent reading blocks (track_io_timing)
		blk_write_time pg_stat_database_blk_write_time counter Milliseconds spent writing blocks (track_io_timing)
		session_time pg_stat_database_session_time counter Milliseconds that sessions lasted
		active_time pg_stat_database_active_time counter Milliseconds that sessions ran statements
		idle_in_transaction_time pg_stat_database_idle_in_transaction_time counter Milliseconds that sessions idled in transactions
		sessions pg_stat_database_sessions counter Sessions begun
		sessions_abandoned pg_stat_database_sessions_abandoned counter Sessions whose client was lost
		sessions_fatal pg_stat_database_sessions_fatal counter Sessions ended by a fatal error
		sessions_killed pg_stat_database_sessions_killed counter Sessions ended by an operator
		reset pg_stat_database_stats_reset gauge When these were set to zero, Unix time`)
}

func conflicts() query {
	return query{part: "conflicts", labels: []string{"datid", "datname"}, text: `SELECT * FROM pg_stat_database_conflicts`}.table(`
		confl_tablespace pg_stat_database_conflicts_confl_tablespace counter Queries cancelled because of dropped tablespaces
		confl_lock pg_stat_database_conflicts_confl_lock counter Queries cancelled because of lock timeouts
		confl_snapshot pg_stat_database_conflicts_confl_snapshot counter Queries cancelled because of old snapshots
		confl_bufferpin pg_stat_database_conflicts_confl_bufferpin counter Queries cancelled because of pinned buffers
		confl_deadlock pg_stat_database_conflicts_confl_deadlock counter Queries cancelled because of deadlocks`)
}

func tables() query {
	return query{part: "tables", limit: 100, labels: []string{"datname", "relname", "schemaname"},
		text: `SELECT current_database() AS datname, *, extract(epoch FROM last_vacuum) AS vacuumed, extract(epoch FROM last_autovacuum) AS autovacuumed,
			extract(epoch FROM last_analyze) AS analyzed, extract(epoch FROM last_autoanalyze) AS autoanalyzed
			FROM pg_stat_user_tables ORDER BY coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del DESC LIMIT 100`,
	}.table(`
		seq_scan pg_stat_user_tables_seq_scan counter Scans of a whole table
		seq_tup_read pg_stat_user_tables_seq_tup_read counter Rows read by scans of a whole table
		idx_scan pg_stat_user_tables_idx_scan counter Scans of a table's indexes
		idx_tup_fetch pg_stat_user_tables_idx_tup_fetch counter Rows fetched through a table's indexes
		n_tup_ins pg_stat_user_tables_n_tup_ins counter Rows inserted
		n_tup_upd pg_stat_user_tables_n_tup_upd counter Rows updated
		n_tup_del pg_stat_user_tables_n_tup_del counter Rows deleted
		n_tup_hot_upd pg_stat_user_tables_n_tup_hot_upd counter Rows updated without a new index entry
		n_live_tup pg_stat_user_tables_n_live_tup gauge Rows, an estimate
		n_dead_tup pg_stat_user_tables_n_dead_tup gauge Dead rows, an estimate
		n_mod_since_analyze pg_stat_user_tables_n_mod_since_analyze gauge Rows changed since the table was analysed
		vacuum_count pg_stat_user_tables_vacuum_count counter Vacuums by hand
		autovacuum_count pg_stat_user_tables_autovacuum_count counter Vacuums by the daemon
		analyze_count pg_stat_user_tables_analyze_count counter Analyses by hand
		autoanalyze_count pg_stat_user_tables_autoanalyze_count counter Analyses by the daemon
		vacuumed pg_stat_user_tables_last_vacuum gauge When the table was last vacuumed by hand
		autovacuumed pg_stat_user_tables_last_autovacuum gauge When the daemon last vacuumed the table
		analyzed pg_stat_user_tables_last_analyze gauge When the table was last analysed by hand
		autoanalyzed pg_stat_user_tables_last_autoanalyze gauge When the daemon last analysed the table`)
}

// statements asks without the texts of statements: they are never read.
func statements() query {
	return query{part: "statements", min: 130000, limit: 100, labels: []string{"datname", "queryid", "user"},
		text: `SELECT d.datname, r.rolname AS "user", s.queryid, sum(s.calls) AS calls, sum(s.total_exec_time) / 1000 AS seconds, sum(s.rows) AS rows
			FROM ` + schema + `.pg_stat_statements(false) s JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
			WHERE s.queryid IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 5 DESC LIMIT 100`,
	}.table(`
		calls pg_stat_statements_calls_total counter Executions of one of the hundred statements that took most time
		seconds pg_stat_statements_seconds_total counter Seconds spent in it
		rows pg_stat_statements_rows_total counter Rows that it returned or changed`)
}
