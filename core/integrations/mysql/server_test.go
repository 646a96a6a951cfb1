package mysql

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

// database is a MariaDB of a test, owned by the user mysql where tests run as root.
type database struct {
	*servertest.Server
	t               testing.TB
	address, socket string
}

func start(t testing.TB, more ...string) *database {
	t.Helper()
	program, dir, port := servertest.Need(t, "mariadbd"), servertest.Dir(t, "mysql"), servertest.Port(t)
	servertest.Run(t, "mysql", "cp", "-a", fresh(t), dir+"/data")
	d := &database{t: t, address: servertest.Loopback(port), socket: dir + "/mysqld.sock"}
	d.Server = servertest.Start(t, "mysql", append([]string{program, "--no-defaults", "--datadir=" + dir + "/data", "--port=" + fmt.Sprint(port), "--bind-address=127.0.0.1",
		"--socket=" + d.socket, "--pid-file=" + dir + "/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
		// What it does in the background is told in its log.
		"--performance-schema=ON", "--innodb-buffer-pool-load-at-startup=OFF"}, more...)...)
	d.Await(d.ready)
	return d
}

// fresh is the directory of a server that never ran, which takes seconds to make.
func fresh(t testing.TB) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	data := filepath.Join(made, "data")
	if _, err := os.Stat(data); err == nil {
		return data
	}
	own, who := servertest.Dir(t, "mysql"), "mysql"
	if u, err := user.Current(); err == nil && os.Getuid() != 0 {
		who = u.Username
	}
	servertest.Run(t, "mysql", servertest.Need(t, "mariadb-install-db"), "--no-defaults", "--datadir="+own+"/data", "--auth-root-authentication-method=socket",
		"--auth-root-socket-user="+who, "--skip-test-db", "--innodb-log-file-size=8M")
	servertest.Run(t, "", "cp", "-a", own+"/data", made)
	return data
}

var (
	making sync.Mutex
	made   string // directory of what the tests of this package share
)

func TestMain(m *testing.M) {
	var err error
	if made, err = os.MkdirTemp("/tmp", "vt"); err == nil {
		err = os.Chmod(made, 0o755)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(made)
	os.Exit(code)
}

func (d *database) ready() error {
	if !strings.Contains(d.Log(), "ready for connections") {
		return errors.New("not ready")
	}
	return nil
}

// sql runs as the server's own user, whom the socket lets in.
func (d *database) sql(text string) string {
	d.t.Helper()
	return strings.TrimSpace(servertest.Run(d.t, "mysql", servertest.Need(d.t, "mariadb"), "--no-defaults", "-S", d.socket, "-NBe", text))
}

func (d *database) ambient() Settings {
	servertest.NeedRoot(d.t)
	return Settings{Address: d.socket, Login: kit.Login{Ambient: true}}
}

func TestFiguresEqualThoseOfTheExporter(t *testing.T) {
	servertest.NeedRoot(t)
	d := start(t)
	d.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int) ENGINE=InnoDB; INSERT INTO shop.t VALUES (1), (2), (3); UPDATE shop.t SET a = a + 1; SELECT * FROM shop.t")
	port := servertest.Port(t)
	servertest.StartEnv(t, "mysql", []string{"DATA_SOURCE_NAME=mysql@unix(" + d.socket + ")/"}, servertest.Need(t, "prometheus-mysqld-exporter"),
		"--config.my-cnf=/nonexistent", "--web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	servertest.Scrape(t, url)
	c := kittest.Open(t, Kind(), d.ambient())
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Fatal(err)
	}
	before := servertest.Scrape(t, url)
	r, err := kittest.Round(t, Kind(), c)
	if err != nil {
		t.Fatal(err)
	}
	after := servertest.Scrape(t, url)
	ours := servertest.PageOf(r)
	servertest.Oracle{
		Only:   []string{"mysql_global_status_", "mysql_global_variables_max_connections", "mysql_global_variables_innodb_buffer_pool_size{", "mysql_global_variables_wait_timeout"},
		Absent: []string{},
		// Levels of what the looks themselves take.
		Moving: map[string]float64{"mysql_global_status_threads_": 3, "mysql_global_status_memory_used": 64 << 20, "mysql_global_status_open": 50, "mysql_global_status_last_query_cost": 1000,
			"mysql_global_status_busy_time": 1, "mysql_global_status_cpu_time": 1, "mysql_global_status_innodb_": 0, "mysql_global_status_buffer_pool": 100,
			"mysql_global_status_innodb_buffer_pool_bytes": 10 << 20, "mysql_global_status_innodb_mem": 1 << 20, "mysql_global_status_innodb_checkpoint_age": 1 << 20,
			"mysql_global_status_innodb_data_pending": 10, "mysql_global_status_innodb_history": 10, "mysql_global_status_max_used_connections": 2,
			"mysql_global_status_threadpool": 5, "mysql_global_status_key_blocks": 100, "mysql_global_status_aria": 100, "mysql_global_status_rows_tmp_read": 2000,
			"mysql_global_status_ssl": 10, "mysql_global_status_slow_launch": 2, "mysql_global_status_compression": 1, "mysql_global_status_stack_usage": 1 << 20},
		Least: 400,
	}.Between(t, before, ours, after)
	for series, sql := range map[string]string{
		`mysql_global_status_commands_total{command="insert"}`: "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Com_insert'",
		`mysql_global_variables_max_connections`:               "SELECT @@global.max_connections",
		`mysql_global_variables_innodb_buffer_pool_size`:       "SELECT @@global.innodb_buffer_pool_size",
	} {
		if got, want := fmt.Sprintf("%.0f", ours[series]), d.sql(sql); got != want {
			t.Errorf("%s is %s, the server says %s", series, got, want)
		}
	}
	if len(r.Missing) != 0 || r.Dropped != 0 {
		t.Errorf("missing %v, %d dropped", r.Missing, r.Dropped)
	}
	statements(t, d, r)
}

// statements compares a statement's counters with those of the server.
func statements(t *testing.T, d *database, r kit.Result) {
	t.Helper()
	digest := d.sql("SELECT digest FROM performance_schema.events_statements_summary_by_digest WHERE digest_text LIKE 'INSERT INTO%shop%'")
	if got := kittest.Value(r, "mysql_perf_schema_events_statements_total", "digest", digest); got != 1 {
		t.Errorf("the insert ran %v times, want once", got)
	}
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	d := start(t)
	c := kittest.Open(t, Kind(), d.ambient())
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Fatal(err)
	}
	d.Kill()
	if _, err := kittest.Round(t, Kind(), c); err == nil {
		t.Error("a dead server tells something")
	}
	before := strings.Count(d.Log(), "ready for connections")
	d.Restart()
	d.Await(func() error {
		if strings.Count(d.Log(), "ready for connections") == before {
			return errors.New("not ready")
		}
		return nil
	})
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted: %v", err)
	}
	servertest.Frozen(t, d.Server, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestLoginsAndRights(t *testing.T) {
	d := start(t)
	d.sql(`CREATE USER vitals@localhost IDENTIFIED BY 's3cret-word' WITH MAX_USER_CONNECTIONS 2; GRANT PROCESS, SLAVE MONITOR ON *.* TO vitals@localhost;
		GRANT SELECT ON performance_schema.events_statements_summary_by_digest TO vitals@localhost; CREATE USER poor@localhost IDENTIFIED BY 's3cret-of-poor'`)
	host := Settings{Address: d.address}
	for name, w := range map[string]struct {
		login   kit.Login
		want    error
		missing int
	}{
		"documented": {kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}, nil, 0},
		"wrong":      {kit.Login{User: "vitals", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"unknown":    {kit.Login{User: "stranger", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"no rights":  {kit.Login{User: "poor", Password: kit.Plain("s3cret-of-poor")}, nil, 2},
		"nothing":    {kit.Login{}, kit.ErrCredentials, 0},
	} {
		host.Login = w.login
		r, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), host))
		if !errors.Is(err, w.want) || len(r.Missing) != w.missing {
			t.Errorf("%s: %v, missing %v", name, err, r.Missing)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSessionIsHarmless(t *testing.T) {
	d := start(t)
	d.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int)")
	before := d.Log()
	c := kittest.Open(t, Kind(), d.ambient()).(*collector)
	for range 3 {
		if _, err := kittest.Round(t, Kind(), c); err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]string{"INSERT INTO shop.t VALUES (1)": "READ ONLY", "SELECT SLEEP(60)": "max_statement_time"} {
		err := c.line.Use(t.Context(), func(s *session) error { return s.query(sql, func(row) {}) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	_, _, err := kittest.Probe(t, Kind(), Settings{Address: d.socket})
	if !errors.Is(err, kit.ErrConsent) {
		t.Errorf("probe of the socket: %v", err)
	}
	if _, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: d.socket})); !errors.Is(err, kit.ErrConsent) {
		t.Errorf("nobody agreed, and %v", err)
	}
	c.Close()
	time.Sleep(100 * time.Millisecond)
	if said := strings.TrimPrefix(d.Log(), before); said != "" {
		t.Errorf("the server logs: %s", said)
	}
}

func TestProbe(t *testing.T) {
	d := start(t)
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: d.address}); !errors.Is(err, kit.ErrCredentials) || !strings.Contains(saw, "MariaDB") {
		t.Errorf("%q, %v", saw, err)
	}
	for name, answer := range map[string]string{"web": "HTTP/1.1 400 Bad Request\r\n\r\n", "nothing": ""} {
		// The server speaks first: who waits to be spoken to is none.
		if _, _, err := kittest.ProbeWithin(t, 300*time.Millisecond, Kind(), Settings{Address: servertest.Answer(t, answer)}); err == nil || errors.Is(err, kit.ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: "unix:" + os.TempDir() + "/nothing.sock"}); err == nil || errors.Is(err, kit.ErrConsent) {
		t.Errorf("a socket that is not there: %v", err)
	}
}
