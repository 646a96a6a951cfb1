package memcached

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core/wire/wiretest"
)

// server runs a real one and gives its address.
func server(t *testing.T) string {
	t.Helper()
	port := wiretest.FreePort(t)
	addr := "127.0.0.1:" + strconv.Itoa(port)
	args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-I", "1m"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	wiretest.Serve(t, "tcp", addr, wiretest.Program(t, "memcached"), args...)
	return addr
}

func stats(t *testing.T, addr string) map[string]int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "stats\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	all := make(map[string]int)
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "END" {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			if n, err := strconv.Atoi(f[2]); err == nil {
				all[f[1]] = n
			}
		}
	}
	if lines.Text() != "END" || len(all) < 20 {
		t.Fatalf("no statistics: %v", lines.Err())
	}
	return all
}

// The server's own statistics are the truth.
func TestCountsAgreeWithStats(t *testing.T) {
	addr := server(t)
	proxy := wiretest.NewProxy(t, "tcp", addr)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			conn, err := net.Dial("tcp", proxy.Addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for i := range 200 {
				key := fmt.Sprintf("k%d-%d", worker, i%50)
				fmt.Fprintf(conn, "get %s none %s\r\nset %s 0 0 %d\r\n%s\r\nincr %s 1\r\ndelete none\r\n", key, key, key, i, strings.Repeat("9", i), key)
				for answers := 0; answers < 4; {
					line, err := r.ReadString('\n')
					if err != nil {
						t.Error(err)
						return
					}
					if f := strings.Fields(line); f[0] == "VALUE" {
						n, _ := strconv.Atoi(f[3])
						_, _ = r.Discard(n + 2)
					} else {
						answers++
					}
				}
			}
		}()
	}
	wg.Wait()
	wiretest.Talk(t, proxy.Addr, "mg k0-1 v\r\n", "mg nothing v\r\n", "ms m 2\r\nab\r\n", "gat 5 m nothing\r\n", "touch m 5\r\n", "frob\r\n")
	proxy.Wait()
	truth, all := stats(t, addr), proxy.Exchanges(&Protocol)
	got := wiretest.Count(all)
	var keys, found, failed int
	for i := range all {
		x := &all[i]
		if x.Method != "GAT" { // the server counts it with touch
			keys, found = keys+int(x.MessagesAsked), found+int(x.MessagesAnswered)
		}
		if x.FailedServer {
			failed++
		}
		if x.Partial {
			t.Errorf("%+v", *x)
		}
	}
	misses := map[string]int{}
	for i := range all {
		if all[i].Code != "" {
			misses[all[i].Method+" "+all[i].Code]++
		}
	}
	for what, pair := range map[string][2]int{
		"keys":        {keys, truth["cmd_get"]},
		"values":      {found, truth["get_hits"]},
		"set":         {got["SET"] + got["MS"], truth["cmd_set"]},
		"incr":        {got["INCR"] - misses["INCR CLIENT_ERROR"], truth["incr_hits"] + truth["incr_misses"]},
		"delete":      {got["DELETE"], truth["delete_hits"] + truth["delete_misses"]},
		"not deleted": {misses["DELETE NOT_FOUND"], truth["delete_misses"]},
		"touch":       {got["TOUCH"] + int(2*got["GAT"]), truth["cmd_touch"]},
	} {
		if pair[0] != pair[1] || pair[1] == 0 {
			t.Errorf("%s: %d, the server counts %d", what, pair[0], pair[1])
		}
	}
	if failed != 1+misses["INCR CLIENT_ERROR"] {
		t.Errorf("%d failed: %v", failed, misses)
	}
}

// TestRecord makes the recordings in testdata with VITALS_RECORD=1, and tests
// that the server still speaks like that without.
func TestRecord(t *testing.T) {
	addr := server(t)
	var long strings.Builder
	long.WriteString("get")
	for i := range 120 {
		fmt.Fprintf(&long, " key-%d", i)
	}
	long.WriteString("\r\n")
	for name, pieces := range map[string][]string{
		"text": {
			"set key-1 0 0 5\r\nhello\r\n", "get key-1\r\n", "get none\r\n", "gets key-1 none key-2\r\n", "add key-1 0 0 1\r\nx\r\n",
			"cas key-1 0 0 1 999999\r\nx\r\n", "set key-2 0 0 3 noreply\r\nabc\r\nget key-2\r\n", "incr key-1 1\r\n", "set n 0 0 2\r\n41\r\nincr n 1\r\ndelete n\r\ndelete n\r\n",
			"touch key-1 100\r\ngat 100 key-1\r\n", "nonsense\r\n", "version\r\n", "stats\r\n", "flush_all\r\n", "verbosity 1 noreply\r\nstats reset\r\n",
			"set big 0 0 1200\r\n" + strings.Repeat("b", 1200) + "\r\nget big\r\n", long.String(), "quit\r\n",
		},
		"meta": {
			"ms m 5\r\nhello\r\n", "mg m v s\r\n", "mg none v\r\n", "mg m\r\n", "mg none v q\r\nmg m v q\r\nmg none v q\r\nmn\r\n",
			"ms a 1 q\r\nx\r\nms b 1 q ME\r\nx\r\nmd zz q\r\nmn\r\n", "md m\r\nmd m\r\n", "ma c\r\nma c N0\r\nma c\r\n", "me c\r\n",
		},
		"binary": {"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k"},
	} {
		proxy := wiretest.NewProxy(t, "tcp", addr)
		wiretest.Talk(t, proxy.Addr, pieces...)
		recs := proxy.Recordings()
		wiretest.Save(t, name, recs...)
		for _, rec := range recs {
			r := wiretest.Feed(&Protocol, rec.Spans(), false, "reset")
			if r.Unpaired != 0 || r.Skipped != 0 && name != "binary" || r.Wrong || (r.Blind != "") != (name == "binary") {
				t.Errorf("%s: %+v", name, r)
			}
			if os.Getenv("VITALS_RECORD") == "1" {
				t.Logf("%s:\n%s", name, strings.Join(wiretest.Lines(r.Exchanges), "\n"))
			}
		}
	}
}
