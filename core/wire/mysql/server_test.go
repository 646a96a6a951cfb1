package mysql

import (
	"database/sql"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"vitals/core/wire/wiretest"
)

// password keeps out whoever looks at the servers of this machine meanwhile.
const password = "vitals"

// server runs a real one and gives its address.
func server(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the server becomes the user mysql")
	}
	owner, err := user.Lookup("mysql")
	if err != nil {
		t.Fatalf("mariadb-server is not installed (.ci/needs does it): %v", err)
	}
	dir, err := os.MkdirTemp("/tmp", "vitals-my")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	as := []string{"--reuid=mysql", "--regid=mysql", "--clear-groups", "--"}
	data := filepath.Join(dir, "data")
	wiretest.Run(t, "setpriv", append(as, wiretest.Program(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")...)
	port := wiretest.FreePort(t)
	addr := "127.0.0.1:" + strconv.Itoa(port)
	wiretest.Serve(t, "tcp", addr, "setpriv", append(as, wiretest.Program(t, "mariadbd", "/usr/sbin/mariadbd"), "--no-defaults",
		"--datadir="+data, "--port="+strconv.Itoa(port), "--bind-address=127.0.0.1", "--socket="+filepath.Join(dir, "s.sock"),
		"--skip-name-resolve", "--local-infile=1", "--innodb-flush-log-at-trx-commit=0")...)
	cli(t, addr, "ALTER USER IF EXISTS root@localhost IDENTIFIED BY '"+password+"', root@127.0.0.1 IDENTIFIED BY '"+password+"', root@'::1' IDENTIFIED BY '"+password+"'", "--password=")
	cli(t, addr, "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b TEXT); INSERT INTO d.t VALUES (1,'x'),(2,'y'),(3,'z')")
	if said := cli(t, addr, "SELECT COUNT(*) FROM d.t"); said != "3\n" {
		t.Fatalf("the server is not as it should be: %s", said)
	}
	return addr
}

// cli runs the client that comes with the server.
func cli(t *testing.T, addr, statements string, more ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	args := append([]string{"--no-defaults", "-h", host, "-P", port, "-u", "root", "-p" + password, "-N", "-f", "--local-infile=1"}, more...)
	cmd := exec.Command(wiretest.Program(t, "mysql"), args...)
	cmd.Stdin = strings.NewReader(statements)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// status asks the server for its counters of commands.
func status(t *testing.T, addr string) map[string]int {
	t.Helper()
	all := make(map[string]int)
	for _, line := range strings.Split(cli(t, addr, "SHOW GLOBAL STATUS LIKE 'Com\\_%'"), "\n") {
		name, n, ok := strings.Cut(line, "\t")
		if calls, err := strconv.Atoi(n); ok && err == nil {
			all[strings.ToUpper(strings.TrimPrefix(name, "Com_"))] = calls
		}
	}
	if len(all) < 50 {
		t.Fatalf("no statistics: %v", all)
	}
	return all
}

// work uses a driver: four connections, prepared statements and plain ones.
func work(t *testing.T, addr string) {
	t.Helper()
	db, err := sql.Open("mysql", "root:"+password+"@tcp("+addr+")/d")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(4)
	done := make(chan error)
	for worker := range 4 {
		go func() {
			for i := range 50 {
				var b string
				if err := db.QueryRow("SELECT b FROM t WHERE a = ?", 1+i%3).Scan(&b); err != nil {
					done <- err
					return
				}
				if _, err := db.Exec("UPDATE t SET b = 'it\\'s' WHERE a = 2"); err != nil {
					done <- err
					return
				}
				if _, err := db.Exec("INSERT INTO t VALUES (?, 'n')", 1000+worker*100+i); err != nil {
					done <- err
					return
				}
			}
			done <- db.Ping()
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Query("SELECT * FROM nowhere"); err == nil {
		t.Fatal("a table that is not there")
	}
	if _, err := db.Exec("INSERT INTO t VALUES (?, 'n')", 1000); err == nil {
		t.Fatal("a row that is there")
	}
}

// The server's own statistics are the truth.
func TestCountsAgreeWithTheServersCom(t *testing.T) {
	addr := server(t)
	before := status(t, addr)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	work(t, proxy.Addr)
	cli(t, proxy.Addr, "SELECT a FROM t; DELETE FROM t WHERE a > 999; SELECT 1; bad;", "d")
	proxy.Wait()
	after := status(t, addr)
	all := proxy.Exchanges(&Protocol)
	got := wiretest.Count(all)
	for method, counter := range map[string]string{"SELECT": "SELECT", "UPDATE": "UPDATE", "INSERT": "INSERT", "DELETE": "DELETE", "PREPARE": "STMT_PREPARE"} {
		if truth := after[counter] - before[counter]; got[method] != truth || truth == 0 {
			t.Errorf("%s: %d, the server counts %d", method, got[method], truth)
		}
	}
	if executed := after["STMT_EXECUTE"] - before["STMT_EXECUTE"]; executed != 401 {
		t.Errorf("the test is not what it was meant to be: %d executions", executed)
	}
	if heads := wiretest.Count(proxy.Turns(&Protocol, Protocol.Head, Protocol.Head)); !maps.Equal(heads, got) {
		t.Errorf("%v from heads, %v from everything", heads, got)
	}
	failed := map[string]int{}
	for i := range all {
		if x := &all[i]; x.FailedServer {
			failed[strconv.Itoa(x.Status)+" "+x.Code]++
		} else if x.Partial || strings.Contains(x.Target, "unknown") || strings.Contains(x.Target, "it") && x.Method == "UPDATE" {
			t.Errorf("%+v", *x)
		}
	}
	if len(failed) != 3 || failed["1146 42S02"] != 1 || failed["1062 23000"] != 1 || failed["1064 42000"] != 1 {
		t.Errorf("errors: %v", failed)
	}
}

// TestRecord makes the recordings in testdata with VITALS_RECORD=1, and tests
// that the server still speaks like that without.
func TestRecord(t *testing.T) {
	addr := server(t)
	file := filepath.Join(t.TempDir(), "rows.txt")
	if err := os.WriteFile(file, []byte("50\tfifty\n51\tfifty-one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	one := func(addr string) {
		db, err := sql.Open("mysql", "root:"+password+"@tcp("+addr+")/d")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		st, err := db.Prepare("SELECT a, b FROM t WHERE a < ?")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			rows, err := st.Query(i)
			if err != nil {
				t.Fatal(err)
			}
			rows.Close()
		}
		st.Close()
		_, _ = db.Exec("INSERT INTO t VALUES (?, ?)", 1, strings.Repeat("x", 500))
		_ = db.Ping()
		_, _ = db.Exec("DO 1")
	}
	for name, talk := range map[string]func(string){
		"driver": one,
		"client": func(addr string) {
			cli(t, addr, "SELECT a, b FROM t WHERE a < 3; SELECT * FROM nowhere; SELECT a FROM t WHERE a > 99; use d; UPDATE t SET b = 'q' WHERE a = 2;\ndelimiter //\nCREATE PROCEDURE p() BEGIN SELECT 1; SELECT a FROM t LIMIT 2; END//\ndelimiter ;\nCALL p(); DROP PROCEDURE p;\n", "d")
		},
		"prepare": func(addr string) { cli(t, addr, "PREPARE s FROM 'SELECT ?'; SET @a = 5; EXECUTE s USING @a;", "d") },
		"load": func(addr string) {
			cli(t, addr, "LOAD DATA LOCAL INFILE '"+file+"' INTO TABLE t; DELETE FROM t WHERE a > 3;", "d")
		},
		"denied":     func(addr string) { cli(t, addr, "SELECT 1", "-unobody") },
		"compressed": func(addr string) { cli(t, addr, "SELECT 1", "--compress") },
		"statistics": func(addr string) {
			host, port, _ := strings.Cut(addr, ":")
			wiretest.Run(t, wiretest.Program(t, "mysqladmin"), "--no-defaults", "-h", host, "-P", port, "-u", "root", "-p"+password, "status", "ping", "processlist")
		},
	} {
		proxy := wiretest.NewProxy(t, "tcp", addr)
		talk(proxy.Addr)
		proxy.Wait()
		recs := proxy.Recordings()
		wiretest.Save(t, name, recs...)
		for _, rec := range recs {
			r := wiretest.Feed(&Protocol, rec.Spans(), false, "reset")
			if r.Unpaired != 0 || r.Skipped != 0 || r.Wrong || (name == "compressed") != (r.Blind == "compressed") {
				t.Errorf("%s: %+v", name, r)
			}
			if os.Getenv("VITALS_RECORD") == "1" {
				t.Logf("%s:\n%s", name, strings.Join(wiretest.Lines(r.Exchanges), "\n"))
			}
		}
	}
}
