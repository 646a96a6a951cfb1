package redis

import (
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// field is a line of INFO that is a number, with the metric that it becomes.
type field struct {
	key    string
	metric *kit.Metric
	scale  float64 // the metric's unit in units of the line
}

// fieldsByKey lists the lines of INFO that become metrics, under the names that
// redis_exporter gives them.
func fieldsByKey() map[string]*field {
	byKey := make(map[string]*field, 128)
	for line := range strings.Lines(table) {
		cells := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(cells) != 3 {
			continue
		}
		key, unit, _ := strings.Cut(cells[0], "/")
		f := &field{key: key, scale: 1, metric: &kit.Metric{Name: "redis_" + cells[1], Help: cells[2], Kind: core.Gauge}}
		if strings.HasSuffix(f.metric.Name, "_total") {
			f.metric.Kind = core.Counter
		}
		switch unit {
		case "usec":
			f.scale = 1e-6
		case "msec":
			f.scale = 1e-3
		case "percent":
			f.scale = 1e-2
		}
		byKey[key] = f
	}
	return byKey
}

// table: key of INFO (/ its unit where the metric has another), name, help.
const table = `
uptime_in_seconds uptime_in_seconds Seconds since the server started
process_id process_id Process id of the server in its own namespace
io_threads_active io_threads_active Whether I/O threads work now
connected_clients connected_clients Connections of clients, replicas not counted
cluster_connections cluster_connections Sockets used by the cluster bus, an approximation
maxclients config_maxclients Connections that the server allows
client_recent_max_input_buffer client_recent_max_input_buffer_bytes Largest input buffer among connections of late
client_recent_max_output_buffer client_recent_max_output_buffer_bytes Largest output buffer among connections of late
blocked_clients blocked_clients Clients that wait in a blocking command
tracking_clients tracking_clients Clients that use client-side caching
clients_in_timeout_table clients_in_timeout_table Clients with a timeout of their own
used_memory memory_used_bytes Bytes that the allocator gave to the server
used_memory_rss memory_used_rss_bytes Resident memory as the kernel sees it
used_memory_peak memory_used_peak_bytes Most memory that was used
used_memory_overhead memory_used_overhead_bytes Memory for managing data
used_memory_startup memory_used_startup_bytes Memory used at the start
used_memory_dataset memory_used_dataset_bytes Memory for the data itself
used_memory_lua memory_used_lua_bytes Memory of the Lua engine
used_memory_scripts memory_used_scripts_bytes Memory of cached scripts
total_system_memory total_system_memory_bytes Memory of the machine
maxmemory memory_max_bytes Limit of memory, 0 for none
allocator_allocated allocator_allocated_bytes Bytes allocated through the allocator
allocator_active allocator_active_bytes Bytes in active pages of the allocator
allocator_resident allocator_resident_bytes Bytes resident in the allocator
allocator_frag_ratio allocator_frag_ratio Active to allocated bytes of the allocator
allocator_frag_bytes allocator_frag_bytes Active minus allocated bytes of the allocator
allocator_rss_ratio allocator_rss_ratio Resident to active bytes of the allocator
allocator_rss_bytes allocator_rss_bytes Resident minus active bytes of the allocator
mem_fragmentation_ratio mem_fragmentation_ratio Resident to used memory
mem_fragmentation_bytes mem_fragmentation_bytes Resident minus used memory
mem_not_counted_for_evict mem_not_counted_for_eviction_bytes Memory that eviction leaves out
mem_clients_slaves mem_clients_slaves Memory of replicas' buffers
mem_clients_normal mem_clients_normal Memory of clients' buffers
number_of_cached_scripts number_of_cached_scripts Scripts in the cache
active_defrag_running active_defrag_running Effort of defragmentation now, percent of CPU
lazyfree_pending_objects lazyfree_pending_objects Objects that wait to be freed
lazyfreed_objects lazyfreed_objects_total Objects freed in the background
loading loading_dump_file Whether data is being loaded
async_loading async_loading Whether a replica loads while it serves
rdb_changes_since_last_save rdb_changes_since_last_save Changes that no save on disk holds
rdb_bgsave_in_progress rdb_bgsave_in_progress Whether a save runs
rdb_last_save_time rdb_last_save_timestamp_seconds When the last save succeeded
rdb_last_bgsave_status rdb_last_bgsave_status Whether the last save succeeded
rdb_last_bgsave_time_sec rdb_last_bgsave_duration_sec Seconds that the last save took, -1 without one
rdb_current_bgsave_time_sec rdb_current_bgsave_duration_sec Seconds that the current save has taken, -1 without one
rdb_last_cow_size rdb_last_cow_size_bytes Memory copied during the last save
aof_enabled aof_enabled Whether the append-only file is on
aof_rewrite_in_progress aof_rewrite_in_progress Whether a rewrite of the append-only file runs
aof_rewrite_scheduled aof_rewrite_scheduled Whether one will run after the save
aof_last_rewrite_time_sec aof_last_rewrite_duration_sec Seconds that the last rewrite took, -1 without one
aof_current_rewrite_time_sec aof_current_rewrite_duration_sec Seconds that the current rewrite has taken, -1 without one
aof_last_bgrewrite_status aof_last_bgrewrite_status Whether the last rewrite succeeded
aof_last_write_status aof_last_write_status Whether the last write to the append-only file succeeded
aof_last_cow_size aof_last_cow_size_bytes Memory copied during the last rewrite
aof_current_size aof_current_size_bytes Size of the append-only file
aof_base_size aof_base_size_bytes Size of the append-only file at the last rewrite
aof_pending_bio_fsync aof_pending_bio_fsync Syncs that wait in the background
aof_delayed_fsync aof_delayed_fsync Writes that waited for a sync
module_fork_in_progress module_fork_in_progress Whether a module's fork runs
module_fork_last_cow_size module_fork_last_cow_size Memory copied during a module's last fork
total_connections_received connections_received_total Connections accepted
total_commands_processed commands_processed_total Commands processed
total_net_input_bytes net_input_bytes_total Bytes read from the network
total_net_output_bytes net_output_bytes_total Bytes written to the network
total_net_repl_input_bytes net_repl_input_bytes_total Bytes read for replication
total_net_repl_output_bytes net_repl_output_bytes_total Bytes written for replication
rejected_connections rejected_connections_total Connections rejected because of maxclients
sync_full replica_resyncs_full Full synchronisations with replicas
sync_partial_ok replica_partial_resync_accepted Partial synchronisations accepted
sync_partial_err replica_partial_resync_denied Partial synchronisations denied
expired_keys expired_keys_total Keys that expired
expired_stale_perc expired_stale_percentage Estimate of expired keys still in memory, percent
expired_time_cap_reached_count expired_time_cap_reached_total Times that expiring had to stop early
expire_cycle_cpu_milliseconds/msec expire_cycle_cpu_time_seconds_total Time spent expiring keys
evicted_keys evicted_keys_total Keys evicted because of maxmemory
evicted_clients evicted_clients_total Clients evicted because of maxmemory-clients
total_eviction_exceeded_time/msec evicted_time_exceeded_seconds_total Time that used memory was above maxmemory
keyspace_hits keyspace_hits_total Look-ups of keys that were there
keyspace_misses keyspace_misses_total Look-ups of keys that were not
pubsub_channels pubsub_channels Channels with subscribers
pubsub_patterns pubsub_patterns Patterns with subscribers
pubsubshard_channels pubsubshard_channels Shard channels with subscribers
latest_fork_usec/usec latest_fork_seconds How long the last fork took
total_forks forks_total Forks since the start
migrate_cached_sockets migrate_cached_sockets_total Sockets open for MIGRATE
slave_expires_tracked_keys slave_expires_tracked_keys Keys with an expiry tracked by a writable replica
active_defrag_hits defrag_hits Values moved by defragmentation
active_defrag_misses defrag_misses Moves given up by defragmentation
active_defrag_key_hits defrag_key_hits Keys defragmented
active_defrag_key_misses defrag_key_misses Keys skipped by defragmentation
tracking_total_keys tracking_total_keys Keys tracked for client-side caching
tracking_total_items tracking_total_items Items tracked for client-side caching
tracking_total_prefixes tracking_total_prefixes Prefixes tracked for client-side caching
unexpected_error_replies unexpected_error_replies Errors of replication or loading
total_error_replies total_error_replies Commands that failed or were rejected
dump_payload_sanitizations dump_payload_sanitizations Payloads checked in depth
total_reads_processed total_reads_processed Reads from sockets
total_writes_processed total_writes_processed Writes to sockets
io_threaded_reads_processed io_threaded_reads_processed Reads done by I/O threads
io_threaded_writes_processed io_threaded_writes_processed Writes done by I/O threads
connected_slaves connected_slaves Replicas connected
master_repl_offset master_repl_offset Replication offset
second_repl_offset second_repl_offset Offset up to which the former replication id is accepted, -1 for none
repl_backlog_active repl_backlog_is_active Whether there is a backlog
repl_backlog_size replication_backlog_bytes Size of the backlog
repl_backlog_first_byte_offset repl_backlog_first_byte_offset Offset of the first byte in the backlog
repl_backlog_histlen repl_backlog_history_bytes Bytes in the backlog
used_cpu_sys cpu_sys_seconds_total CPU time in the kernel
used_cpu_user cpu_user_seconds_total CPU time in the program
used_cpu_sys_children cpu_sys_children_seconds_total CPU time of children in the kernel
used_cpu_user_children cpu_user_children_seconds_total CPU time of children in the program
used_cpu_sys_main_thread cpu_sys_main_thread_seconds_total CPU time of the main thread in the kernel
used_cpu_user_main_thread cpu_user_main_thread_seconds_total CPU time of the main thread in the program
cluster_enabled cluster_enabled Whether it is part of a cluster
`
