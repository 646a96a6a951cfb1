package truth

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a request took is what the server says it took, and the little that the
// server does before and after it looks at its own clock.
func TestLatencyAgreesWithTheServer(t *testing.T) {
	needRoot(t)
	dir, port := room(t, ""), freePort(t)
	s := start(t, as("", dir, "redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir,
		"--enable-debug-command", "yes", "--slowlog-log-slower-than", "1000", "--slowlog-max-len", "1000"), port)
	l := watch(t, roomy, s.key)
	c, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	const times = 60
	for range times {
		io.WriteString(c, "*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$5\r\n0.005\r\n")
		r.ReadString('\n')
	}
	l.settle()
	l.stop()
	// The log of slow commands: number, time, microseconds, ...
	var server []time.Duration
	lines := strings.Split(run(t, exec.Command("redis-cli", "-p", fmt.Sprint(port), "slowlog", "get", "1000")), "\n")
	for i := range lines {
		if i >= 3 && strings.TrimSpace(lines[i]) == "DEBUG" {
			us, _ := strconv.Atoi(strings.TrimSpace(lines[i-1]))
			server = append(server, time.Duration(us)*time.Microsecond)
		}
	}
	var ours []time.Duration
	for i := range l.seen {
		if strings.HasPrefix(l.seen[i].Method, "DEBUG") {
			ours = append(ours, l.seen[i].Duration)
		}
	}
	if len(ours) != times || len(server) != times {
		t.Fatalf("%d commands counted, %d in the server's log", len(ours), len(server))
	}
	slices.Sort(ours)
	slices.Sort(server)
	median := ours[times/2] - server[times/2]
	t.Logf("median %v, the server says %v", ours[times/2], server[times/2])
	if median < 0 || median > 100*time.Microsecond+server[times/2]/20 {
		t.Errorf("median %v, the server says %v", ours[times/2], server[times/2])
	}
}
