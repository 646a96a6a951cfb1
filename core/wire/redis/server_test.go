package redis

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitals/core/wire/wiretest"
)

// server runs a real one and gives its address.
func server(t *testing.T) string {
	t.Helper()
	path := wiretest.Program(t, "redis-server")
	port := wiretest.FreePort(t)
	addr := "127.0.0.1:" + strconv.Itoa(port)
	wiretest.Serve(t, "tcp", addr, path, "--port", strconv.Itoa(port), "--save", "", "--dir", t.TempDir())
	return addr
}

// The server's own statistics are the truth.
func TestRedisCountsAgreeWithCommandstats(t *testing.T) {
	addr := server(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	host, port, _ := net.SplitHostPort(proxy.Addr)
	bench := wiretest.Program(t, "redis-benchmark")
	for _, pipeline := range []string{"1", "16"} {
		wiretest.Run(t, bench, "-h", host, "-p", port, "-c", "4", "-n", "2000", "-P", pipeline, "-q", "-t", "set,get,lpush,lrange_100,mset")
	}
	wiretest.Talk(t, proxy.Addr, "GET mylist\r\nLPUSH key:000000000000 x\r\nNOSUCH x\r\n", "MULTI\r\nSET a 1\r\nINCR a\r\nEXEC\r\n")
	proxy.Wait()
	all := proxy.Exchanges(&Protocol)
	got := wiretest.Count(all)
	stats := commandstats(t, addr)
	for name, n := range stats {
		if got[name] != n {
			t.Errorf("%s: %d, the server counts %d", name, got[name], n)
		}
	}
	if stats["SET"] != 4001 || stats["GET"] < 4000 {
		t.Errorf("the test is not what it was meant to be: %v", stats)
	}
	failed := 0
	for i := range all {
		if all[i].FailedServer {
			failed++
		}
	}
	if failed != 2 && failed != 3 { // LPUSH may or may not meet a string
		t.Errorf("%d failed, want those of the wrong type and of the unknown command", failed)
	}
}

// What the kernel hands over by default, the beginnings of whole turns, is enough
// for one command at a time; of a pipeline, what was captured is counted.
func TestRedisCountsAgreeWithDefaultHeads(t *testing.T) {
	addr := server(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	host, port, _ := net.SplitHostPort(proxy.Addr)
	bench := wiretest.Program(t, "redis-benchmark")
	wiretest.Run(t, bench, "-h", host, "-p", port, "-c", "4", "-n", "1000", "-d", "900", "-q", "-t", "set,get,lpush,lrange_100,mset")
	proxy.Wait()
	got, stats := wiretest.Count(proxy.Turns(&Protocol, 256, 64)), commandstats(t, addr)
	for name, n := range stats {
		if got[name] != n {
			t.Errorf("%s: %d, the server counts %d", name, got[name], n)
		}
	}
	before := stats["SET"]
	proxy = wiretest.NewProxy(t, "tcp", addr)
	host, port, _ = net.SplitHostPort(proxy.Addr)
	wiretest.Run(t, bench, "-h", host, "-p", port, "-c", "2", "-n", "1600", "-P", "16", "-q", "-t", "set")
	proxy.Wait()
	truth := commandstats(t, addr)["SET"] - before
	if n := wiretest.Count(proxy.Turns(&Protocol, 1024, 1024))["SET"]; n != truth {
		t.Errorf("pipelines within 1024 bytes: %d, the server counts %d", n, truth)
	}
	all := proxy.Turns(&Protocol, 256, 64)
	partial := 0
	for i := range all {
		if all[i].Partial {
			partial++
		}
	}
	if n := wiretest.Count(all)["SET"]; n >= truth || n < truth/4 || partial == 0 {
		t.Errorf("pipelines within 256 bytes: %d, %d of them partial; the server counts %d", n, partial, truth)
	}
}

// ours are the commands that the tests send. Others may come from whoever looks
// at the servers of this machine meanwhile.
var ours = []string{"SET", "GET", "LPUSH", "LRANGE", "MSET", "MULTI", "INCR", "EXEC"}

// commandstats asks the server for its counts, as METHOD: calls.
func commandstats(t *testing.T, addr string) map[string]int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "INFO commandstats\r\n")
	stats := make(map[string]int)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		name, rest, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "cmdstat_"), ":calls=")
		if !ok {
			if len(stats) > 0 && lines.Text() == "" {
				break
			}
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		calls, err := strconv.Atoi(n)
		if err != nil {
			t.Fatal(lines.Text())
		}
		if name = strings.ToUpper(strings.ReplaceAll(name, "|", " ")); slices.Contains(ours, name) {
			stats[name] = calls
		}
	}
	if lines.Err() != nil || len(stats) == 0 {
		t.Fatalf("no statistics: %v", lines.Err())
	}
	return stats
}

// TestRecord makes the recordings in testdata with VITALS_RECORD=1, and is a
// test that the server still speaks like that without.
func TestRecord(t *testing.T) {
	addr := server(t)
	for name, pieces := range map[string][]string{
		"commands": {
			"*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$5\r\nhello\r\n", "*2\r\n$3\r\nget\r\n$5\r\nkey:1\r\n", "*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n",
			"*3\r\n$5\r\nLPUSH\r\n$5\r\nkey:1\r\n$1\r\nx\r\n", "*1\r\n$4\r\nNOPE\r\n", "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\nmaxmemory\r\n",
			"*2\r\n$6\r\nOBJECT\r\n$4\r\nhelp\r\n", "ping\r\n", wiretest.Unanswered + "*4\r\n$4\r\nMSET\r\n", "$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n",
		},
		"pipeline": {
			"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*2\r\n$4\r\nINCR\r\n$4\r\nlist\r\n*1\r\n$4\r\nPING\r\n\r\nPING hi\r\n",
			"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*2\r\n$4\r\nLPOP\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n",
			"*6\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$2\r\naa\r\n$2\r\nbb\r\n$0\r\n\r\n$2\r\ndd\r\n*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n",
			"*4\r\n$4\r\nEVAL\r\n$28\r\nreturn {1,{2,{3,'x'}},false}\r\n$1\r\n0\r\n$1\r\nz\r\n",
		},
		"big": {
			"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2000\r\n" + strings.Repeat("v", 2000) + "\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n", "*2\r\n$6\r\nSTRLEN\r\n$1\r\nb\r\n",
		},
		"pubsub": {
			"*3\r\n$9\r\nSUBSCRIBE\r\n$2\r\nc1\r\n$2\r\nc2\r\n", "*1\r\n$4\r\nPING\r\n", "*1\r\n$11\r\nUNSUBSCRIBE\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nx\r\n",
		},
		"resp3": {
			"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\non\r\n", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
			"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n", "*2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nc1\r\n", "*3\r\n$7\r\nPUBLISH\r\n$2\r\nc1\r\n$2\r\nhi\r\n",
			"*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$1\r\nv\r\n", "*2\r\n$7\r\nHGETALL\r\n$1\r\nh\r\n", "*1\r\n$5\r\nDEBUG\r\n",
		},
		"silent": {
			"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n*1\r\n$4\r\nPING\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n",
			"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
		},
		"waits": {
			"*3\r\n$5\r\nBLPOP\r\n$5\r\nempty\r\n$3\r\n0.1\r\n", "*6\r\n$5\r\nXREAD\r\n$5\r\nblock\r\n$2\r\n50\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\n$\r\n",
			"*1\r\n$7\r\nMONITOR\r\n", "*1\r\n$4\r\nPING\r\n",
		},
	} {
		proxy := wiretest.NewProxy(t, "tcp", addr)
		wiretest.Talk(t, proxy.Addr, pieces...)
		recs := slices.DeleteFunc(proxy.Recordings(), func(rec wiretest.Recording) bool { // of somebody else
			return !strings.HasPrefix(string(rec[0].Data), strings.TrimPrefix(pieces[0], wiretest.Unanswered))
		})
		wiretest.Save(t, name, recs...)
		if len(recs) != 1 {
			t.Errorf("%s: %d connections", name, len(recs))
		} else {
			wiretest.Check(t, &Protocol, recs[0])
		}
	}
}
