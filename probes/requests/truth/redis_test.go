package truth

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func startRedis(t testing.TB) *server {
	t.Helper()
	needRoot(t)
	dir, port := room(t, ""), freePort(t)
	return start(t, as("", dir, "redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir), port)
}

// stats are the calls and failures by command as the server counts them.
func redisStats(t testing.TB, s *server) (calls, failed map[string]uint64) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "INFO commandstats\r\nQUIT\r\n")
	calls, failed = map[string]uint64{}, map[string]uint64{}
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		name, figures, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "cmdstat_"), ":")
		if !ok || !strings.HasPrefix(lines.Text(), "cmdstat_") {
			continue
		}
		name = strings.ToUpper(strings.ReplaceAll(name, "|", " "))
		for _, f := range strings.Split(figures, ",") {
			k, v, _ := strings.Cut(f, "=")
			n, _ := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
			switch k {
			case "calls":
				calls[name] = n
			case "failed_calls", "rejected_calls":
				failed[name] += n
			}
		}
	}
	return calls, failed
}

// Each command that the server has counted is counted here, in pipelines, too.
func TestRedisCommandsAreCountedExactly(t *testing.T) {
	for _, c := range []struct{ name, pipeline, more string }{
		{"one by one", "1", ""}, {"pipelines of 4", "4", ""}, {"pipelines of 16", "16", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startRedis(t)
			args := []string{"-p", fmt.Sprint(s.port), "-q", "-c", "8", "-n", "20000", "-P", c.pipeline, "-r", "1000", "-t", "ping_mbulk,set,get,incr,lpush,lpop,sadd,hset,mset"}
			l := watch(t, 4*roomy, s.key) // pipelines are captured whole: each takes some KiB
			// The first connections show that there are pipelines: those to come are
			// captured accordingly.
			run(t, exec.Command("redis-benchmark", "-p", fmt.Sprint(s.port), "-q", "-n", "1000", "-P", c.pipeline, "-t", "set,get"))
			l.settle()
			before, failedBefore := redisStats(t, s)
			l.forget()
			run(t, exec.Command("redis-benchmark", args...))
			// Some fail: of the wrong type, and unknown to the server.
			script := strings.Repeat("LPUSH key:__rand_int__x 1\r\nSET str 1\r\nLPUSH str 1\r\nGET list\r\n", 50)
			cli := exec.Command("redis-cli", "-p", fmt.Sprint(s.port))
			cli.Stdin = strings.NewReader(strings.ReplaceAll(script, "__rand_int__", "1"))
			run(t, cli)
			after, failedAfter := redisStats(t, s)
			l.settle()
			l.stop()
			for name, n := range after {
				n -= before[name]
				if name == "INFO" || name == "QUIT" {
					continue // asked by this test, the answer of the last is on its way
				}
				got := l.count(func(r row) bool { return r.protocol == "redis" && r.method == name })
				if got != n {
					t.Errorf("%s: counted %d, the server %d", name, got, n)
				}
				bad := l.count(func(r row) bool { return r.protocol == "redis" && r.method == name && r.failed })
				if want := failedAfter[name] - failedBefore[name]; bad != want {
					t.Errorf("%s: %d failures counted, the server %d", name, bad, want)
				}
			}
			l.nothingLost()
			l.report()
			if l.cover.Unknown > 0 {
				t.Errorf("%d exchanges of an unknown protocol", l.cover.Unknown)
			}
		})
	}
}
