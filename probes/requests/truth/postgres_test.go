package truth

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern/kerntest"
)

// startPostgres runs a server with pg_stat_statements and pgbench's tables.
func startPostgres(t testing.TB) *server {
	t.Helper()
	needRoot(t)
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("postgresql is not installed: .ci/needs does it")
	}
	bin := bins[len(bins)-1]
	dir, port := room(t, "postgres"), freePort(t)
	data := filepath.Join(dir, "data")
	run(t, as("postgres", dir, bin+"/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8"))
	s := start(t, as("postgres", dir, bin+"/postgres", "-D", data, "-p", fmt.Sprint(port), "-k", dir, "-F",
		"-c", "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.track_utility=on", "-c", "autovacuum=off"), port)
	s.psql("CREATE EXTENSION pg_stat_statements")
	run(t, exec.Command("pgbench", append(s.connect(), "-i", "-q", "postgres")...))
	return s
}

func (s *server) connect() []string {
	return []string{"-h", "127.0.0.1", "-p", fmt.Sprint(s.port), "-U", "postgres"}
}

// psql runs a statement and gives its rows.
func (s *server) psql(statement string) []string {
	s.t.Helper()
	var out string
	for range 50 { // while it starts
		b, err := exec.Command("psql", append(s.connect(), "-X", "-q", "-A", "-t", "-F", "|", "-d", "postgres", "-c", statement)...).CombinedOutput()
		if out = string(b); err == nil {
			return strings.Split(strings.TrimSpace(out), "\n")
		}
		time.Sleep(time.Second)
	}
	s.t.Fatalf("%s: %s", statement, out)
	return nil
}

// alone waits until nobody is connected any more: clients do not wait for that.
func (s *server) alone() {
	s.t.Helper()
	kerntest.Until(s.t, "the server has no clients", func() bool {
		return !slices.ContainsFunc(children(s.t, s.key.PID), func(k core.ProcKey) bool {
			title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", k.PID)) // gone: it is no client
			return strings.Contains(string(title), " 127.0.0.1(")
		})
	})
}

// statements are the calls by operation as the server counts them.
func (s *server) statements() map[string]uint64 {
	calls := map[string]uint64{}
	for _, line := range s.psql("SELECT split_part(upper(ltrim(query)), ' ', 1), sum(calls) FROM pg_stat_statements WHERE query NOT ILIKE '%pg_stat_statements%' GROUP BY 1") {
		op, n, _ := strings.Cut(line, "|")
		calls[strings.TrimRight(op, ";")], _ = strconv.ParseUint(n, 10, 64)
	}
	return calls
}

// Every statement that the server has counted is counted here, in each of the
// three ways in which clients can send them.
func TestPostgresStatementsAreCountedExactly(t *testing.T) {
	s := startPostgres(t)
	script := filepath.Join(s.dir, "broken.sql")
	os.WriteFile(script, []byte("SELECT 1;\nSELECT 1/0;\n"), 0o644)
	for _, mode := range []string{"simple", "extended", "prepared"} {
		t.Run(mode, func(t *testing.T) {
			s.psql("SELECT pg_stat_statements_reset()")
			s.alone()
			l := watch(t, roomy, s.key)
			out := run(t, exec.Command("pgbench", append(s.connect(), "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "500", "postgres")...))
			if !strings.Contains(out, "number of transactions actually processed: 2000/2000") {
				t.Fatal(out)
			}
			// Each client gives up at its first error.
			exec.Command("pgbench", append(s.connect(), "-n", "-M", mode, "-c", "3", "-t", "1", "-f", script, "postgres")...).Run()
			l.settle()
			want := s.statements()
			l.settle()
			l.stop()
			ours := func(r row) bool {
				return r.role == core.RoleServer && r.protocol == "postgresql" && !strings.Contains(strings.ToLower(r.route), "pg_stat_statements")
			}
			if mode == "prepared" { // the server counts these when they are planned
				want["BEGIN"], want["END"] = 2000, 2000
			}
			for op, n := range want {
				got := l.count(func(r row) bool { return ours(r) && r.method == op })
				// Statements that fail are not in the server's statistics.
				bad := l.count(func(r row) bool { return ours(r) && r.method == op && r.failed })
				if got-bad != n {
					t.Errorf("%s: counted %d, %d of them failed, the server %d", op, got, bad, n)
				}
			}
			if want["UPDATE"] != 6000 || want["INSERT"] != 2000 {
				t.Errorf("the server counted %v", want)
			}
			if bad := l.count(func(r row) bool { return r.code == "22012" && r.failed }); bad != 3 {
				t.Errorf("%d divisions by zero, want 3", bad)
			}
			if l.cover.Unknown+l.cover.Unpaired > 0 {
				t.Errorf("coverage %+v", l.cover)
			}
			l.nothingLost()
			l.report()
		})
	}
}
