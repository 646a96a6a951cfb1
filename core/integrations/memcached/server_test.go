package memcached

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

func start(t testing.TB, more ...string) (*servertest.Server, string) {
	t.Helper()
	address := servertest.Loopback(servertest.Port(t))
	args := append([]string{servertest.Need(t, "memcached"), "-u", "nobody", "-l", "127.0.0.1", "-p", strings.TrimPrefix(address, "127.0.0.1:"), "-t", "2"}, more...)
	return servertest.Start(t, "", args...).Listens("tcp", address), address
}

// say sends lines to the server and returns the first line of each answer.
func say(t testing.TB, address string, lines ...string) {
	t.Helper()
	c, err := kittest.Env(t).Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	for _, l := range lines {
		fmt.Fprintf(c, "%s\r\n", l)
		line, err := readLine(r)
		for err == nil && strings.HasPrefix(string(line), "VALUE") { // the value and END follow
			if _, err = readLine(r); err == nil {
				line, err = readLine(r)
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
}

// No exporter of memcached is packaged: the truth is what the test did.
func TestFiguresAreWhatWasDone(t *testing.T) {
	_, address := start(t, "-m", "32")
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("set k%d 0 0 1\r\n%d", i, i%10), fmt.Sprintf("get k%d", i))
	}
	lines = append(lines, "get none", "get none", "delete k0", "delete none", "incr k1 1", "incr none 1", "touch k2 100")
	say(t, address, lines...)
	c := kittest.Open(t, Kind(), Settings{Address: address})
	r, err := kittest.Round(t, Kind(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		metric string
		want   float64
		labels []string
	}{
		{"memcached_commands_total", 40, []string{"command", "get", "status", "hit"}}, {"memcached_commands_total", 2, []string{"command", "get", "status", "miss"}},
		{"memcached_commands_total", 40, []string{"command", "set"}}, {"memcached_commands_total", 1, []string{"command", "delete", "status", "hit"}},
		{"memcached_commands_total", 1, []string{"command", "delete", "status", "miss"}}, {"memcached_commands_total", 1, []string{"command", "incr", "status", "miss"}},
		{"memcached_commands_total", 1, []string{"command", "touch", "status", "hit"}}, {"memcached_current_items", 39, nil}, {"memcached_items_total", 40, nil},
		{"memcached_limit_bytes", 32 << 20, nil}, {"memcached_slab_current_items", 39, []string{"slab", "1"}}, {"memcached_slab_commands_total", 40, []string{"slab", "1", "command", "get"}},
		{"memcached_threads", 2, nil}, {"memcached_items_evicted_total", 0, nil}, {"memcached_malloced_bytes", 1 << 20, nil},
	} {
		if got := kittest.Value(r, w.metric, w.labels...); got != w.want {
			t.Errorf("%s%v is %v, want %v", w.metric, w.labels, got, w.want)
		}
	}
	listed := map[string]bool{}
	for _, m := range Kind().Metrics {
		listed[m.Name] = true
	}
	for _, f := range r.Families {
		if !listed[f.Name] {
			t.Errorf("%s is told and not listed", f.Name)
		}
	}
	connections := kittest.Value(r, "memcached_connections_total")
	for range 4 {
		if r, err = kittest.Round(t, Kind(), c); err != nil {
			t.Fatal(err)
		}
	}
	if n := kittest.Value(r, "memcached_connections_total"); n != connections || r.Dropped != 0 || !(n > 0) {
		t.Errorf("%v connections, %v after the first round, %d dropped", n, connections, r.Dropped)
	}
	if n := kittest.Value(r, "memcached_commands_total", "command", "set"); n != 40 {
		t.Errorf("%v sets: something was written", n)
	}
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	s, address := start(t)
	c := kittest.Open(t, Kind(), Settings{Address: address})
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := kittest.Round(t, Kind(), c); err == nil {
		t.Error("a dead server tells something")
	}
	for _, when := range []string{"restarted", "restarted between two rounds"} {
		s.Restart()
		s.Listens("tcp", address)
		if _, err := kittest.Round(t, Kind(), c); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	servertest.Frozen(t, s, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestLogin(t *testing.T) {
	users := servertest.Write(t, servertest.Dir(t, ""), "users", "vitals:s3cret-word\n")
	_, closed := start(t, "-Y", users)
	_, unlocked := start(t)
	right := kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}
	for name, c := range map[string]struct {
		address string
		login   kit.Login
		want    error
	}{
		"none":   {closed, kit.Login{}, kit.ErrCredentials},
		"wrong":  {closed, kit.Login{User: "vitals", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials},
		"right":  {closed, right, nil},
		"unused": {unlocked, right, nil},
	} {
		r, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: c.address, Login: c.login}))
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "unused" && kittest.Value(r, "memcached_current_items") != 0 {
			t.Error("a password was stored as an item")
		}
	}
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: closed}); !errors.Is(err, kit.ErrCredentials) {
		t.Errorf("probe: %v", err)
	}
}

// A server that refuses something else would store the password as an item.
func TestThePasswordIsOnlyForWhoAsksForIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		defer c.Close()
		all := ""
		for lines := bufio.NewScanner(c); lines.Scan(); all += lines.Text() + "\n" {
			fmt.Fprint(c, "SERVER_ERROR out of memory writing stats\r\n")
		}
		heard <- all
	}()
	c := kittest.Open(t, Kind(), Settings{Address: l.Addr().String(), Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}})
	if _, err := kittest.Round(t, Kind(), c); err == nil {
		t.Error("a server out of memory tells something")
	}
	c.Close()
	if all := <-heard; !strings.Contains(all, "stats") || strings.Contains(all, "s3cret") {
		t.Errorf("it was told %q", all)
	}
}

func TestProbe(t *testing.T) {
	_, address := start(t)
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: address}); err != nil || !strings.HasPrefix(saw, "memcached 1.") {
		t.Errorf("%q, %v", saw, err)
	}
	for name, answer := range map[string]string{"web": "HTTP/1.1 400 Bad Request\r\n\r\n", "endless": strings.Repeat("x", 1<<20)} {
		if _, _, err := kittest.Probe(t, Kind(), Settings{Address: servertest.Answer(t, answer)}); !errors.Is(err, kit.ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
