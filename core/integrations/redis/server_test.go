package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

// start runs a Redis without persistence and returns its address.
func start(t testing.TB, more ...string) (*servertest.Server, string) {
	t.Helper()
	port := servertest.Port(t)
	args := append([]string{servertest.Need(t, "redis-server"), "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", servertest.Dir(t, "")}, more...)
	address := servertest.Loopback(port)
	return servertest.Start(t, "", args...).Listens("tcp", address), address
}

func command(t testing.TB, address string, args ...string) {
	t.Helper()
	c, err := kittest.Env(t).Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := newConn(c)
	if err := r.send(args...); err != nil {
		t.Fatal(err)
	}
	if _, err := readReply(r.r, nil); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func TestFiguresEqualThoseOfTheExporter(t *testing.T) {
	_, address := start(t)
	for i := range 50 {
		command(t, address, "SET", fmt.Sprint("k", i), "v", "EX", "1000")
		command(t, address, "GET", fmt.Sprint("k", i*2))
	}
	port := servertest.Port(t)
	servertest.Start(t, "", servertest.Need(t, "prometheus-redis-exporter"), "-redis.addr", "redis://"+address, "-web.listen-address", servertest.Loopback(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
	servertest.Scrape(t, url) // its commands are in the statistics from now on
	before := servertest.Scrape(t, url)
	ours := servertest.PageOf(kittest.Collect(t, Kind(), Settings{Address: address}))
	after := servertest.Scrape(t, url)
	servertest.Oracle{
		Moving: map[string]float64{
			// Each look is a connection and some commands itself.
			"redis_connections_received_total": 10, "redis_commands_processed_total": 50, `redis_commands_total{cmd="info"}`: 10,
			`redis_commands_total{cmd="config|get"}`: 10, `redis_commands_total{cmd="client|setname"}`: 10, `redis_commands_total{cmd="slowlog|`: 20,
			`redis_commands_total{cmd="latency|`: 20, "redis_commands_duration_seconds_total": 0.05,
			"redis_total_reads_processed": 50, "redis_total_writes_processed": 50, "redis_net_input_bytes_total": 5000, "redis_net_output_bytes_total": 200000,
			"redis_connected_clients": 1, "redis_client_recent_max": 1 << 16, "redis_cpu_": 0.1, "redis_uptime_in_seconds": 2,
			"redis_start_time_seconds": 2, "redis_memory_used": 1 << 20, "redis_mem_clients_normal": 1 << 17, "redis_mem_fragmentation": 1 << 22,
			"redis_mem_fragmentation_ratio": 5, "redis_allocator_": 1 << 22, "redis_allocator_rss_ratio": 2, "redis_allocator_frag_ratio": 1,
			"redis_db_avg_ttl_seconds": 2, "redis_total_error_replies": 0,
		},
		Absent: []string{
			"redis_exporter_", "redis_up", "redis_target_scrape", "redis_last_key_groups", "redis_config_io_threads", "redis_config_maxmemory",
			"redis_slowlog_last_id", "redis_last_slow_execution", "redis_latency_percentiles_usec", `redis_db_keys{db="db1`, `redis_db_keys_expiring{db="db1`,
			"redis_db_keys{", "redis_db_keys_expiring{", "go_", "process_", "promhttp_",
		},
		Least: 100,
	}.Between(t, before, ours, after)
	for series, want := range map[string]float64{
		`redis_db_keys{db="db0"}`: 50, `redis_db_keys_expiring{db="db0"}`: 50, "redis_keyspace_hits_total": 1, "redis_keyspace_misses_total": 49,
		`redis_commands_total{cmd="set"}`: 50, `redis_commands_latencies_usec_count{cmd="set"}`: 50,
	} {
		if ours[series] != want {
			t.Errorf("%s is %v, want %v", series, ours[series], want)
		}
	}
}

func TestServerKilledRestartedAndFrozen(t *testing.T) {
	s, address := start(t)
	c := kittest.Open(t, Kind(), Settings{Address: address})
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := kittest.Round(t, Kind(), c); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("killed: %v", err)
	}
	again := time.Now()
	s.Restart()
	s.Listens("tcp", address)
	first, err := kittest.Round(t, Kind(), c)
	if err != nil {
		t.Fatalf("restarted: %v", err)
	}
	if up := kittest.Value(first, "redis_uptime_in_seconds"); !(up <= time.Since(again).Seconds()+1) {
		t.Errorf("uptime %v of a fresh server", up)
	}
	s.Restart()
	s.Listens("tcp", address)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("restarted between two rounds: %v", err)
	}
	servertest.Frozen(t, s, c)
	if _, err := kittest.Round(t, Kind(), c); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

func TestOneConnectionAndNothingWritten(t *testing.T) {
	_, address := start(t)
	c := kittest.Open(t, Kind(), Settings{Address: address})
	var first, last kit.Result
	for n := range 5 {
		var err error
		if last, err = kittest.Round(t, Kind(), c); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = last
		}
	}
	const connections = "redis_connections_received_total"
	if was, n := kittest.Value(first, connections), kittest.Value(last, connections); n != was || !(n > 0) {
		t.Errorf("%v connections in the first round, %v after five", was, n)
	}
	if kittest.Value(last, "redis_total_error_replies") != 0 || kittest.Value(last, "redis_rdb_changes_since_last_save") != 0 {
		t.Error("an error was caused or something was written")
	}
	for _, s := range familyOf(last, "redis_commands_total") {
		if name := s.Labels[0].Value; !strings.HasPrefix(name, "info") && !strings.HasPrefix(name, "slowlog|len") && !strings.HasPrefix(name, "latency|") {
			t.Errorf("we ran %s", name)
		}
	}
}

func TestPasswordsAndRights(t *testing.T) {
	_, address := start(t, "--requirepass", "s3cret-of-default",
		"--user", "vitals", "on", ">s3cret-of-vitals", "resetkeys", "resetchannels", "-@all", "+ping", "+info", "+slowlog|len", "+latency|latest", "+latency|histogram",
		"--user", "poor", "on", ">s3cret-of-poor", "-@all", "+ping", "+info", "--user", "none", "on", ">s3cret-of-none", "-@all", "+ping")
	for name, c := range map[string]struct {
		login   kit.Login
		want    error
		missing int
	}{
		"none":                   {kit.Login{}, kit.ErrCredentials, 0},
		"wrong":                  {kit.Login{Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"wrong of user":          {kit.Login{User: "vitals", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"default":                {kit.Login{Password: kit.Plain("s3cret-of-default")}, nil, 0},
		"granted as documented":  {kit.Login{User: "vitals", Password: kit.Plain("s3cret-of-vitals")}, nil, 0},
		"without slowlog":        {kit.Login{User: "poor", Password: kit.Plain("s3cret-of-poor")}, nil, 3},
		"without the right INFO": {kit.Login{User: "none", Password: kit.Plain("s3cret-of-none")}, kit.ErrRights, 0},
	} {
		r, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: address, Login: c.login}))
		if !errors.Is(err, c.want) || len(r.Missing) != c.missing {
			t.Errorf("%s: %v, missing %v", name, err, r.Missing)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: address}); !errors.Is(err, kit.ErrCredentials) {
		t.Errorf("probe: %v", err)
	}
}

func TestProbe(t *testing.T) {
	s, address := start(t)
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: address}); err != nil || !strings.HasPrefix(saw, "redis ") {
		t.Errorf("%q, %v", saw, err)
	}
	listener := servertest.Answer(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	if _, _, err := kittest.Probe(t, Kind(), Settings{Address: listener}); !errors.Is(err, kit.ErrOther) {
		t.Errorf("a web server: %v", err)
	}
	s.Freeze()
	defer s.Thaw()
	if _, _, err := kittest.ProbeWithin(t, 500*time.Millisecond, Kind(), Settings{Address: address}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen: %v", err)
	}
}

func TestReplication(t *testing.T) {
	_, master := start(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(master, ":")
	_, replica := start(t, "--replicaof", host, port)
	c := kittest.Open(t, Kind(), Settings{Address: replica})
	servertest.Eventually(t, func() error {
		r, err := kittest.Round(t, Kind(), c)
		if err == nil && kittest.Value(r, "redis_master_link_up", "master_port", port) != 1 {
			return fmt.Errorf("the link is down: %v", r.Missing)
		}
		return err
	})
	servertest.Eventually(t, func() error {
		r := kittest.Collect(t, Kind(), Settings{Address: master})
		if kittest.Value(r, "redis_connected_slaves") != 1 || !(kittest.Value(r, "redis_connected_slave_lag_seconds", "slave_state", "online") <= 2) {
			return fmt.Errorf("%v replicas", kittest.Value(r, "redis_connected_slaves"))
		}
		return nil
	})
}

func TestUnixSocket(t *testing.T) {
	path := servertest.Dir(t, "") + "/redis.sock"
	s, _ := start(t, "--unixsocket", path)
	s.Listens("unix", path)
	r := kittest.Collect(t, Kind(), Settings{Address: path})
	if r.Series < 100 || r.Dropped != 0 {
		t.Errorf("%d series, %d dropped", r.Series, r.Dropped)
	}
}

func TestTLS(t *testing.T) {
	dir, port := servertest.Dir(t, ""), servertest.Port(t)
	cert, key, _ := servertest.Certificate(t, dir, time.Now().Add(time.Hour))
	start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "yes")
	ours := kit.TLS{Enabled: true, CA: cert, Cert: cert, Key: key}
	for name, c := range map[string]struct {
		tls  kit.TLS
		good bool
	}{
		"both certificates": {ours, true},
		"none of ours":      {kit.TLS{Enabled: true, CA: cert}, false},
		"not trusted":       {kit.TLS{Enabled: true, Cert: cert, Key: key}, false},
		"no file":           {kit.TLS{Enabled: true, CA: dir + "/none.pem"}, false},
	} {
		_, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: servertest.Loopback(port), TLS: c.tls}))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
