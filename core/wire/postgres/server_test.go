package postgres

import (
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core/wire/wiretest"
)

// server runs a real one, without passwords, and gives its address.
func server(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the server refuses to run as anybody's root, the test becomes the user postgres")
	}
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("postgresql is not installed: .ci/needs does it")
	}
	bin := bins[len(bins)-1]
	owner, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "vitals-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, _ := strconv.Atoi(owner.Uid)
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	as := []string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}
	data := filepath.Join(dir, "data")
	wiretest.Run(t, "setpriv", append(as, bin+"/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8")...)
	port := wiretest.FreePort(t)
	addr := "127.0.0.1:" + strconv.Itoa(port)
	wiretest.Serve(t, "tcp", addr, "setpriv", append(as, bin+"/postgres", "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-F",
		"-c", "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.track_utility=on",
		"-c", "pg_stat_statements.track_planning=off", "-c", "autovacuum=off")...)
	// It listens before it has started up, and refuses until then.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		said := psql(t, addr, "SELECT 'ready'")
		if said == "ready\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not start up: %s", said)
		}
	}
	said := psql(t, addr, "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, 50) i")
	if said != "" {
		t.Fatal(said)
	}
	return addr
}

// psql runs commands over TCP, where requests go through a proxy when addr is one.
func psql(t *testing.T, addr string, commands ...string) string {
	t.Helper()
	args := connect(addr)
	args = append(args, "-X", "-q", "-A", "-t", "-d", "postgres")
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, _ := exec.Command(wiretest.Program(t, "psql"), args...).CombinedOutput()
	return string(out)
}

func connect(addr string) []string {
	host, port, _ := strings.Cut(addr, ":")
	return []string{"-h", host, "-p", port, "-U", "postgres"}
}

// pgbench runs a script.
func pgbench(t *testing.T, addr, mode, script string, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.sql")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(connect(addr), "-n", "-M", mode, "-f", path)
	return wiretest.Run(t, wiretest.Program(t, "pgbench"), append(append(args, more...), "postgres")...)
}

// calls asks the server how often it executed statements that contain a text.
func calls(t *testing.T, addr, like string) int {
	t.Helper()
	out := psql(t, addr, "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query LIKE '%"+like+"%' AND query NOT LIKE '%pg_stat_statements%'")
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(out)
	}
	return n
}

const script = `\set id random(1, 50)
BEGIN;
SELECT b FROM t WHERE a = :id;
UPDATE t SET b = 'x' WHERE a = :id;
COMMIT;
`

// The server's own statistics, and the load tool's count, are the truth.
func TestCountsAgreeWithPgStatStatements(t *testing.T) {
	addr := server(t)
	for _, mode := range []string{"simple", "extended", "prepared"} {
		psql(t, addr, "SELECT pg_stat_statements_reset()")
		proxy := wiretest.NewProxy(t, "tcp", addr)
		said := pgbench(t, proxy.Addr, mode, script, "-c", "4", "-t", "50")
		if !strings.Contains(said, "number of transactions actually processed: 200/200") {
			t.Fatal(said)
		}
		proxy.Wait()
		all := proxy.Exchanges(&Protocol)
		got := wiretest.Count(all)
		for method, like := range map[string]string{"SELECT": "SELECT b FROM t", "UPDATE": "UPDATE t SET", "BEGIN": "BEGIN", "COMMIT": "COMMIT"} {
			n := 0
			for i := range all {
				if all[i].Method == method && strings.HasPrefix(all[i].Target, strings.ReplaceAll(like, " SET", " SET b")) {
					n++
				}
			}
			truth := calls(t, addr, like)
			if mode == "prepared" && (method == "BEGIN" || method == "COMMIT") {
				truth = 200 // the server counts utility statements once for each plan that it keeps
			}
			if n != truth || n != 200 {
				t.Errorf("%s: %d of %s, the server counts %d: %v", mode, n, method, truth, got)
			}
		}
		if heads := wiretest.Count(proxy.Turns(&Protocol, Protocol.Head, Protocol.Head)); !maps.Equal(heads, got) {
			t.Errorf("%s: %v from heads, %v from everything", mode, heads, got)
		}
		for i := range all {
			if x := &all[i]; x.FailedServer && x.Code != "55000" || x.Partial {
				t.Errorf("%s: %+v", mode, *x)
			}
		}
	}
}

func TestErrorsAndPipelinesAgreeWithTheServer(t *testing.T) {
	addr := server(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	psql(t, addr, "SELECT pg_stat_statements_reset()")
	pgbench(t, proxy.Addr, "prepared", "\\startpipeline\nSELECT b FROM t WHERE a = 1;\nSELECT b FROM t WHERE a = 2;\nSELECT b FROM t WHERE a = 3;\n\\endpipeline\n", "-c", "2", "-t", "30")
	psql(t, proxy.Addr, "SELECT 1/0", "SELECT * FROM nowhere", "SELECT b FROM t WHERE a = 9", "BEGIN; SELECT 1; COMMIT")
	proxy.Wait()
	all := proxy.Exchanges(&Protocol)
	selects, codes := 0, map[string]int{}
	for i := range all {
		if all[i].Method == "SELECT" && strings.HasPrefix(all[i].Target, "SELECT b FROM t") {
			selects++
		}
		if all[i].FailedServer {
			codes[all[i].Code]++
		}
	}
	if truth := calls(t, addr, "SELECT b FROM t"); selects != truth || truth != 181 {
		t.Errorf("%d selects, the server counts %d", selects, truth)
	}
	if len(codes) != 2 || codes["22012"] != 1 || codes["42P01"] != 1 {
		t.Errorf("errors: %v", codes)
	}
}

// conversations are what the recordings in testdata hold.
func conversations(t *testing.T) map[string]func(proxy string) {
	python := func(code string) func(string) {
		return func(proxy string) {
			host, port, _ := strings.Cut(proxy, ":")
			code = "import psycopg2\nc = psycopg2.connect(host='" + host + "', port=" + port + ", user='postgres', dbname='postgres', sslmode='disable')\n" + code
			wiretest.Run(t, "/usr/bin/python3", "-c", code)
		}
	}
	bench := func(mode, script string) func(string) {
		return func(proxy string) { pgbench(t, proxy, mode, script, "-c", "1", "-t", "2") }
	}
	return map[string]func(string){
		"simple": func(proxy string) {
			psql(t, proxy, "SELECT a, b FROM t WHERE a < 4 -- few", "SELECT 'secret' FROM nowhere", "", "BEGIN; UPDATE t SET b = 'q' WHERE a = 2; ROLLBACK", "DO $$BEGIN RAISE NOTICE 'hi'; END$$")
		},
		"copy": func(proxy string) {
			psql(t, proxy, "COPY (SELECT * FROM t WHERE a < 9) TO STDOUT", "\\copy t from /dev/null", "COPY t FROM STDIN")
		},
		"extended": bench("extended", script),
		"prepared": bench("prepared", script),
		"pipeline": bench("prepared", "\\startpipeline\nSELECT 1;\nSELECT b FROM t WHERE a = 7;\nSELECT 3;\n\\endpipeline\nSELECT 4;\n"),
		"notify":   python("c.autocommit = True\nk = c.cursor()\nk.execute('LISTEN ch')\nk.execute(\"NOTIFY ch, 'x'\")\nk.execute('SELECT %s', ('it\\'s',))\n"),
		"cursor":   python("k = c.cursor('named')\nk.itersize = 5\nk.execute('SELECT * FROM t WHERE a < 12')\nlist(k)\nk.close()\nc.rollback()\n"),
	}
}

// TestRecord makes the recordings in testdata with VITALS_RECORD=1, and tests
// that the server still speaks like that without.
func TestRecord(t *testing.T) {
	addr := server(t)
	for name, talk := range conversations(t) {
		proxy := wiretest.NewProxy(t, "tcp", addr)
		talk(proxy.Addr)
		proxy.Wait()
		recs := proxy.Recordings()
		if len(recs) > 1 {
			recs = recs[len(recs)-1:] // pgbench looks around before it begins
		}
		wiretest.Save(t, name, recs...)
		for _, rec := range recs {
			if r := wiretest.Feed(&Protocol, rec.Spans(), false, "reset"); r.Skipped != 0 || r.Unpaired != 0 || r.Wrong {
				t.Errorf("%s: %+v", name, r)
			}
			if os.Getenv("VITALS_RECORD") == "1" {
				t.Logf("%s:\n%s", name, strings.Join(wiretest.Lines(wiretest.Feed(&Protocol, rec.Spans(), false, "reset").Exchanges), "\n"))
			}
		}
	}
}
