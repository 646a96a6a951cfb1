package postgres

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

// cluster is a PostgreSQL of a test: on a port of the loopback and in a directory
// with its socket, owned by the user postgres where tests run as root.
type cluster struct {
	*servertest.Server
	t            testing.TB
	port         int
	dir, address string // address is that of the loopback
	socket       string
}

func start(t testing.TB, settings ...string) *cluster {
	t.Helper()
	initdb, program := servertest.Need(t, "initdb"), servertest.Need(t, "postgres")
	c := &cluster{t: t, port: servertest.Port(t), dir: servertest.Dir(t, "postgres")}
	c.address, c.socket = servertest.Loopback(c.port), fmt.Sprintf("%s/.s.PGSQL.%d", c.dir, c.port)
	servertest.Run(t, "postgres", initdb, "-D", c.dir+"/data", "-N", "-U", "postgres", "--auth-local=peer", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C")
	if os.Getuid() != 0 { // who is not postgres cannot be its peer
		servertest.Write(t, c.dir+"/data", "pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
	}
	args := []string{program, "-D", c.dir + "/data", "-p", fmt.Sprint(c.port), "-k", c.dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "log_connections=on", "-c", "shared_preload_libraries=pg_stat_statements"}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	// Its autovacuum takes locks and counts in the statistics, whenever it likes.
	args = append(args, "-c", "autovacuum=off")
	c.Server = servertest.Start(t, "postgres", args...)
	c.Await(func() error { return c.ready() })
	return c
}

func (c *cluster) ready() error {
	if !strings.Contains(c.Log(), "ready to accept connections") {
		return errors.New("not ready")
	}
	_, err := os.Stat(c.socket)
	return err
}

func (c *cluster) sql(database, text string) string {
	c.t.Helper()
	return strings.TrimSpace(servertest.Run(c.t, "postgres", servertest.Need(c.t, "psql"), "-h", c.dir, "-p", fmt.Sprint(c.port), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atqc", text))
}

// ambient are the settings of who comes in as the server's own user.
func (c *cluster) ambient(database string) Settings {
	s := Settings{Address: "unix:" + c.socket, Database: database, Login: kit.Login{Ambient: true}}
	if os.Getuid() != 0 {
		s.Login = kit.Login{User: "postgres"}
	}
	return s
}

func (c *cluster) load() {
	c.t.Helper()
	c.sql("postgres", "CREATE DATABASE shop")
	c.sql("shop", "CREATE EXTENSION pg_stat_statements")
	bench := []string{servertest.Need(c.t, "pgbench"), "-h", c.dir, "-p", fmt.Sprint(c.port), "-U", "postgres"}
	servertest.Run(c.t, "postgres", append(bench, "-i", "-q", "shop")...)
	servertest.Run(c.t, "postgres", append(bench, "-t", "200", "shop")...)
	c.quiet()
}

// quiet waits until the sessions of who hung up are over: only then is all that
// they did in the statistics.
func (c *cluster) quiet() {
	c.t.Helper()
	servertest.Eventually(c.t, func() error {
		if n := c.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"); n != "0" {
			return fmt.Errorf("%s sessions are not over", n)
		}
		return nil
	})
}

func TestFiguresEqualThoseOfTheExporter(t *testing.T) {
	c := start(t)
	c.load()
	c.sql("postgres", "SELECT pg_create_physical_replication_slot('standby', true)")
	c.quiet()
	port := servertest.Port(t)
	servertest.StartEnv(t, "postgres", []string{fmt.Sprintf("DATA_SOURCE_NAME=host=%s port=%d user=postgres dbname=postgres sslmode=disable", c.dir, c.port)},
		servertest.Need(t, "prometheus-postgres-exporter"), "--web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	servertest.Scrape(t, url)
	before := servertest.Scrape(t, url, "server")
	result := kittest.Collect(t, Kind(), c.ambient("shop"))
	ours := servertest.PageOf(result)
	after := servertest.Scrape(t, url, "server")
	moving := map[string]float64{
		"pg_stat_activity_count": 2, "pg_stat_activity_max_tx_duration": 1, "pg_locks_count": 3, "pg_stat_bgwriter_buffers_alloc_total": 500,
		"pg_stat_bgwriter_buffers_backend_total": 500, "pg_database_size_bytes": 1 << 20, "pg_stat_bgwriter_stats_reset_total": 1, "pg_stat_database_stats_reset": 1,
		"pg_replication_slots_pg_wal_lsn_diff": 1 << 16, // the background writer logs what runs every 15 s
	}
	// What the two do themselves is in the figures of the database where they are logged in.
	for _, m := range []string{"numbackends", "xact_commit", "blks_hit", "blks_read", "tup_returned", "tup_fetched", "session_time", "active_time", "sessions"} {
		moving["pg_stat_database_"+m] = 5000
		moving[`pg_stat_database_`+m+`{datid="1",`] = 0
	}
	servertest.Oracle{
		Moving: moving,
		Absent: []string{"pg_settings_", "pg_exporter_", "pg_scrape_", "pg_up", "pg_static", "go_", "process_", "promhttp_", "postgres_exporter_"},
		Least:  200,
	}.Between(t, before, ours, after)
	if len(result.Missing) != 0 || result.Dropped != 0 {
		t.Errorf("missing %v, %d dropped", result.Missing, result.Dropped)
	}
	c.figures(result)
}

// figures compares what the exporter does not tell with the server's own words.
func (c *cluster) figures(r kit.Result) {
	c.t.Helper()
	for metric, sql := range map[string]string{
		"pg_stat_user_tables_n_tup_ins":              "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'pgbench_history'",
		"pg_stat_user_tables_n_tup_upd":              "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'pgbench_history'",
		"pg_settings_max_connections":                "SHOW max_connections",
		"pg_settings_superuser_reserved_connections": "SHOW superuser_reserved_connections",
		"pg_settings_shared_buffers_bytes":           "SELECT pg_size_bytes(current_setting('shared_buffers'))",
		"pg_postmaster_start_time_seconds":           "SELECT extract(epoch FROM pg_postmaster_start_time())",
		"pg_replication_is_replica":                  "SELECT pg_is_in_recovery()::int",
	} {
		labels := []string{}
		if strings.Contains(metric, "user_tables") {
			labels = []string{"relname", "pgbench_history"}
		}
		if got := fmt.Sprint(kittest.Value(r, metric, labels...)); !sameNumber(got, c.sql("shop", sql)) {
			c.t.Errorf("%s is %s, the server says %s", metric, got, c.sql("shop", sql))
		}
	}
	if active, kept := kittest.Value(r, "pg_replication_slots_active", "slot_name", "standby"), kittest.Value(r, "pg_replication_slots_pg_wal_lsn_diff", "slot_name", "standby"); active != 0 || !(kept >= 0) {
		c.t.Errorf("the slot that nobody reads: active %v, keeps %v bytes", active, kept)
	}
	commits := fmt.Sprint(200)
	if got := c.sql("shop", "SELECT calls FROM pg_stat_statements WHERE query LIKE 'INSERT INTO pgbench_history%'"); got != commits {
		c.t.Fatalf("the test's own load: %s inserts", got)
	}
	id := c.sql("shop", "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'INSERT INTO pgbench_history%'")
	if got := kittest.Value(r, "pg_stat_statements_calls_total", "queryid", id); got != 200 {
		c.t.Errorf("%v calls of the insert, pgbench made 200", got)
	}
}

func sameNumber(a, b string) bool {
	var x, y float64
	_, err1 := fmt.Sscan(a, &x)
	_, err2 := fmt.Sscan(b, &y)
	return err1 == nil && err2 == nil && x-y < 1e-3 && y-x < 1e-3
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	c := start(t)
	o := kittest.Open(t, Kind(), c.ambient("postgres"))
	if _, err := kittest.Round(t, Kind(), o); err != nil {
		t.Fatal(err)
	}
	c.Kill()
	os.Remove(c.dir + "/data/postmaster.pid")
	if _, err := kittest.Round(t, Kind(), o); err == nil {
		t.Error("a dead server tells something")
	}
	c.again()
	if _, err := kittest.Round(t, Kind(), o); err != nil {
		t.Errorf("restarted: %v", err)
	}
	c.Kill()
	os.Remove(c.dir + "/data/postmaster.pid")
	c.again()
	if _, err := kittest.Round(t, Kind(), o); err != nil {
		t.Errorf("restarted between two rounds: %v", err)
	}
	servertest.Frozen(t, c.Server, o)
	if _, err := kittest.Round(t, Kind(), o); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

// again starts a killed server and waits for it.
func (c *cluster) again() {
	c.t.Helper()
	before := strings.Count(c.Log(), "ready to accept connections")
	c.Restart()
	c.Await(func() error {
		if strings.Count(c.Log(), "ready to accept connections") == before {
			return errors.New("not ready")
		}
		return nil
	})
}
