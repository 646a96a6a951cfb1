package truth

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vitals/core"
)

func startMariaDB(t testing.TB) *server {
	t.Helper()
	needRoot(t)
	dir, port := room(t, "mysql"), freePort(t)
	data := filepath.Join(dir, "data")
	run(t, as("mysql", dir, "mysql_install_db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"))
	return start(t, as("mysql", dir, "mariadbd", "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port),
		"--socket="+filepath.Join(dir, "sock"), "--pid-file="+filepath.Join(dir, "pid"), "--skip-log-bin", "--innodb-buffer-pool-size=32M", "--skip-grant-tables=0"), port)
}

func (s *server) mysql(statement string) []string {
	s.t.Helper()
	out := run(s.t, exec.Command("mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", fmt.Sprint(s.port), "-u", "root", "--skip-ssl", "-B", "-N", "-f", "-e", statement))
	return strings.Split(strings.TrimSpace(out), "\n")
}

// commands are the statements by kind as the server counts them.
func (s *server) commands() map[string]uint64 {
	calls := map[string]uint64{}
	for _, line := range s.mysql("SHOW GLOBAL STATUS LIKE 'Com_%'") {
		name, n, _ := strings.Cut(line, "\t")
		calls[strings.ToUpper(strings.TrimPrefix(name, "Com_"))], _ = strconv.ParseUint(strings.TrimSpace(n), 10, 64)
	}
	return calls
}

// Every statement that the server has counted is counted here, errors included.
func TestMariaDBStatementsAreCountedExactly(t *testing.T) {
	s := startMariaDB(t)
	s.mysql("CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(100)); USE shop; INSERT INTO items SELECT seq, CONCAT('thing ', seq) FROM seq_1_to_1000")
	const each = 100
	for _, joined := range []bool{false, true} {
		t.Run(fmt.Sprintf("joined in the middle %v", joined), func(t *testing.T) {
			client := exec.Command("mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", fmt.Sprint(s.port), "-u", "root", "--skip-ssl", "-f", "-n", "shop")
			in, _ := client.StdinPipe()
			out, _ := client.StdoutPipe()
			answers := bufio.NewReader(out)
			ask := func(statements string) {
				fmt.Fprintln(in, statements+" SELECT 'done';")
				for line := ""; line != "done\n"; line, _ = answers.ReadString('\n') {
				}
				answers.ReadString('\n')
			}
			if joined {
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				ask("SELECT name FROM items WHERE id = 5;")
			}
			before := s.commands()
			l := watch(t, roomy, s.key)
			if !joined {
				client.Start()
			}
			run(t, exec.Command("mysqlslap", "--no-defaults", "-h", "127.0.0.1", "-P", fmt.Sprint(s.port), "-u", "root", "--skip-ssl", "--no-drop", "--create-schema=shop",
				"--concurrency=4", "--number-of-queries=4000", "--delimiter=;",
				"--query=SELECT name FROM items WHERE id = 7;UPDATE items SET name = 'x' WHERE id = 8;SELECT count(*) FROM items"))
			for range each {
				ask("SELECT name FROM items WHERE id = 6; SELECT nothing FROM nowhere; DELETE FROM items WHERE id = 5000;")
			}
			in.Close()
			client.Wait()
			l.settle()
			after := s.commands()
			l.settle()
			l.stop()
			for _, op := range []string{"SELECT", "UPDATE", "DELETE"} {
				got := l.count(func(r row) bool {
					return r.role == core.RoleServer && r.protocol == "mysql" && r.method == op
				})
				if want := after[op] - before[op]; got != want {
					t.Errorf("%s: counted %d, the server %d", op, got, want)
				}
			}
			if bad := l.count(func(r row) bool { return r.failed && r.protocol == "mysql" && r.method == "SELECT" }); bad != each {
				t.Errorf("%d failed selects, want %d", bad, each)
			}
			if l.cover.Unknown > 0 {
				t.Errorf("coverage %+v", l.cover)
			}
			l.nothingLost()
			l.report()
		})
	}
}
