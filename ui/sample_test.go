package ui

import (
	"fmt"
	"math"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"vitals/core"
)

// sampleAt is the moment of the sample snapshot.
var sampleAt = time.Date(2026, 3, 9, 12, 4, 31, 0, time.UTC)

type sampleProc struct {
	pid, ppid          int32
	comm, service, cmd string
	lang, version      string
	listen             string
	rate, err, p50     float64
	cpu                float64
	rss                int64
	age                time.Duration
	state              string // on, off, attaching, failed, skip
}

var sampleProcs = []sampleProc{
	{1, 0, "systemd", "systemd", "/sbin/init", "c", "", "", 0, 0, 0, 0.001, 12 << 20, 48 * time.Hour, "off"},
	{2, 0, "kthreadd", "", "", "", "", "", 0, 0, 0, 0, -1, 48 * time.Hour, "skip"},
	{640, 1, "legacy-cgi", "legacy-cgi", "perl /usr/lib/cgi-bin/legacy.cgi", "perl", "", "tcp 127.0.0.1:9000", 0, 0, 0, 0.001, 8 << 20, 48 * time.Hour, "failed"},
	{712, 1, "redis-server", "redis", "/usr/bin/redis-server 127.0.0.1:6379", "c", "", "tcp 127.0.0.1:6379", 912, 0, 0.0001, 0.009, 33 << 20, 48 * time.Hour, "on"},
	{988, 1, "sshd", "sshd", "sshd: /usr/sbin/sshd -D [listener]", "c", "", "tcp 0.0.0.0:22", 0, 0, 0, 0, 6 << 20, 48 * time.Hour, "off"},
	{1402, 1, "nginx", "nginx", "nginx: master process /usr/sbin/nginx", "c", "", "tcp 0.0.0.0:80", 0, 0, 0, 0.0004, 22 << 20, 48 * time.Hour, "on"},
	{1403, 1402, "nginx", "nginx", "nginx: worker process", "c", "", "tcp 0.0.0.0:80", 1240, 0.008, 0.002, 0.031, 19 << 20, 48 * time.Hour, "on"},
	{1404, 1402, "nginx", "nginx", "nginx: worker process", "c", "", "tcp 0.0.0.0:80", 611, 0.008, 0.002, 0.016, 19 << 20, 48 * time.Hour, "on"},
	{1811, 1, "java", "catalog", "java -Xmx900m -jar /srv/catalog/catalog.jar", "java", "21.0.4", "tcp [::]:8081", 276, 0, 0.006, 0.11, 912 << 20, 47 * time.Hour, "on"},
	{2100, 1, "node", "web-frontend", "node /srv/web/server.js", "node", "22.3.0", "tcp [::]:3000", 820, 0.001, 0.012, 0.094, 210 << 20, 3 * time.Hour, "on"},
	{2871, 1, "checkout", "checkout-api", "/srv/checkout/checkout --listen :8080 --db postgres://db/orders", "go", "go1.26.1", "tcp [::]:8080", 290, 0.021, 0.038, 0.182, 184 << 20, 6 * time.Minute, "on"},
	{3121, 1, "celery", "worker", "celery -A shop worker", "python", "3.12.4", "", 0, 0, 0, 0.02, 141 << 20, 21 * time.Second, "attaching"},
	{3377, 1, "evil", "evil", "evil --name \x1b[31m\u202eexe.sh \a 汉字", "", "", "", 0, 0, 0, 0, 3 << 20, 9 * time.Second, "off"},
}

// sample is a machine with something of everything, the same at every call.
func sample() *core.Snapshot { return sampleSeq(1) }

func sampleSeq(seq uint64) *core.Snapshot {
	rng := rand.New(rand.NewSource(int64(seq)))
	at := sampleAt.Add(time.Duration(seq-1) * time.Second)
	nan := math.NaN()
	s := &core.Snapshot{
		Seq: seq, At: at, Started: sampleAt.Add(-15 * time.Minute), Window: 15 * time.Minute,
		Host: core.Host{Name: "web-01", Instance: "web-01", Kernel: "6.18.5-amd64", CPUs: 8, MemoryBytes: 16 << 30},
		Self: core.Self{PID: 4000, Version: "0.1", CPURatio: 0.004, BPFRatio: 0.0021, RSSBytes: 31 << 20, Events: 1_204_331, Completeness: 0.998, Privileged: true},
		Kinds: []core.KindRow{
			{Kind: "requests", Title: "Requests", Help: "HTTP requests that a process answers or makes", Default: true, PerProcess: true},
			{Kind: "network", Title: "Network", Help: "connections, bytes, round trips and retransmits", Default: true, PerProcess: true},
			{Kind: "lifecycle", Title: "Lifecycle", Help: "processes that start and end", Default: true},
		},
		Toggles: &core.Toggles{Defaults: map[string]bool{"requests": true, "network": true}, Choices: map[core.ToggleKey]core.Choice{}},
	}
	rtt := &core.Desc{Name: "vitals_tcp_rtt_seconds", Help: "smoothed round trip time", Unit: "seconds", Kind: core.Gauge, Short: "RTT", Screen: true}
	sent := &core.Desc{Name: "vitals_tcp_sent_bytes_total", Help: "bytes sent on TCP", Unit: "bytes", Kind: core.Counter, Short: "sent", Screen: true}
	retr := &core.Desc{Name: "vitals_tcp_retransmits_total", Help: "segments sent again", Kind: core.Counter, Short: "retransmits", Screen: true}
	services := map[string]*core.ServiceRow{}
	for _, p := range sampleProcs {
		row := &core.ProcessRow{Alive: true, CPURatio: p.cpu * (0.9 + 0.2*rng.Float64()), Process: &core.Process{
			ProcKey: core.ProcKey{PID: p.pid, Birth: uint64(p.pid) * 100}, PPID: p.ppid, Comm: core.Clean(p.comm, core.MaxName),
			Cmdline: core.Clean(p.cmd, core.MaxCmdline), Exe: "/usr/bin/" + p.comm, User: "www-data", Service: p.service,
			Started: sampleAt.Add(-p.age), Runtime: core.Runtime{Language: p.lang, Version: p.version}, NSPID: p.pid,
		}}
		if p.comm == "evil" {
			row.Cmdline = p.cmd // as if something had forgotten to clean it
		}
		row.Usage = core.Usage{RSS: p.rss, Threads: 8, FDs: 42}
		if p.listen != "" {
			row.Listeners = []core.Listener{{Network: "tcp", Address: p.listen[4:]}}
		}
		row.Server = core.RED{ErrRatio: nan, P50: nan, P90: nan, P99: nan, Max: nan}
		row.Client = row.Server
		row.CPUTrend = trend(rng, p.cpu, 60)
		if p.rate > 0 {
			d := distribution(p.p50)
			row.Server = core.RED{Rate: p.rate, ErrRatio: p.err, P50: p.p50, P90: 5 * p.p50, P99: 12 * p.p50, Max: 55 * p.p50, InFlight: 3,
				Oldest: 40 * time.Millisecond, Count: uint64(p.rate * 900), Errors: uint64(p.err * p.rate * 900)}
			row.Latency, row.RateTrend, row.P99Trend, row.Heat = d, trend(rng, p.rate, 60), trend(rng, 12*p.p50, 60), heat(rng, p.p50, p.rate)
			row.Coverage = core.Coverage{Exchanges: row.Server.Count + 200, Parsed: row.Server.Count, Lost: 0}
			row.Values = []core.Value{{Desc: rtt, V: 0.0002}, {Desc: sent, V: 3.2e9, Rate: 1.1e6}, {Desc: retr, V: 17, Rate: 0.02}}
			s.Requests = append(s.Requests, sampleRequests(row, d)...)
		}
		row.Instr = instr(p.state, at)
		if p.state == "skip" {
			row.Skip = "kernel thread"
		}
		s.Processes = append(s.Processes, row)
		if p.service != "" {
			addService(services, s, row, p)
		}
	}
	finishSample(s, rng)
	return s
}

func instr(state string, at time.Time) []core.InstrState {
	var out []core.InstrState
	for _, kind := range []string{"requests", "network", "lifecycle"} {
		in := core.InstrState{Kind: kind, On: true, Phase: core.PhaseRunning, Reason: "on by default", Since: at.Add(-6 * time.Minute)}
		switch state {
		case "off":
			if kind == "lifecycle" {
				break
			}
			in.On, in.Phase, in.Reason = false, core.PhaseOff, "off by default"
		case "attaching":
			in.Phase = core.PhaseAttaching
		case "failed":
			if kind == "lifecycle" {
				break
			}
			in.Phase, in.Reason = core.PhaseFailed, "binary is stripped: no symbols"
		case "skip":
			in.On, in.Phase, in.Reason = false, core.PhaseOff, "kernel thread"
		}
		out = append(out, in)
	}
	return out
}

func trend(rng *rand.Rand, v float64, n int) *core.Trend {
	t := &core.Trend{Step: 5 * time.Second, Points: make([]float32, n)}
	for i := range t.Points {
		grow := 1.0
		if i > n*2/3 {
			grow = 2.5
		}
		t.Points[i] = float32(v * grow * (0.7 + 0.6*rng.Float64()))
		if i < 4 {
			t.Points[i] = float32(math.NaN())
		}
	}
	return t
}

func heat(rng *rand.Rand, p50, rate float64) *core.Heat {
	h := &core.Heat{Step: 5 * time.Second, Columns: make([]core.HeatColumn, 60)}
	for i := range h.Columns {
		for range int(min(rate, 60)) {
			v := p50 * math.Exp(rng.NormFloat64()*0.6)
			if i > 40 && rng.Intn(8) == 0 {
				v *= 10
			}
			band := 0
			for band+1 < core.HeatRows && v >= core.HeatBound(band+1) {
				band++
			}
			h.Columns[i][band]++
		}
	}
	return h
}

func distribution(p50 float64) *core.Distribution {
	d := &core.Distribution{Scale: 1, Offset: int32(math.Floor(2 * math.Log2(p50/4))), Min: p50 / 4, Max: 55 * p50}
	for i := range 16 {
		n := uint64(1000 * math.Exp(-math.Pow(float64(i)-5, 2)/8))
		d.Buckets = append(d.Buckets, n)
		d.Count += n
		low, high := d.Bounds(i)
		d.Sum += float64(n) * (low + high) / 2
	}
	return d
}

func sampleRequests(row *core.ProcessRow, d *core.Distribution) (out []*core.RequestRow) {
	for i, r := range []struct {
		method, route string
		status        int
		share         float64
	}{{"GET", "/users/{id}", 200, 0.5}, {"POST", "/checkout", 200, 0.3}, {"POST", "/checkout", 503, 0.02}, {"GET", "/static/{file}", 304, 0.1}, {"GET", "/nope", 404, 0.08}} {
		out = append(out, &core.RequestRow{Proc: row.ProcKey, Service: row.Service, Role: core.RoleServer, Protocol: "http", Method: r.method, Route: r.route,
			Status: r.status, Failed: r.status >= 500, Count: uint64(float64(row.Server.Count)*r.share) + uint64(i), Rate: row.Server.Rate * r.share,
			BytesIn: 1 << 20, BytesOut: 40 << 20, Duration: d, FirstByte: d, Last: sampleAt})
	}
	return append(out, &core.RequestRow{Proc: row.ProcKey, Service: row.Service, Role: core.RoleClient, Protocol: "http", Peer: "inventory.internal:8443",
		Method: "GET", Route: "/stock/{id}", Status: 200, Count: 4711, Rate: 12.5, Duration: d, FirstByte: d, Last: sampleAt})
}

func addService(services map[string]*core.ServiceRow, s *core.Snapshot, row *core.ProcessRow, p sampleProc) {
	svc := services[p.service]
	if svc == nil {
		svc = &core.ServiceRow{Name: p.service, Language: p.lang, Health: core.HealthOK, Server: row.Server, Client: row.Client, RateTrend: row.RateTrend,
			P99Trend: row.P99Trend, Heat: row.Heat, Latency: row.Latency}
		services[p.service] = svc
		s.Services = append(s.Services, svc)
	} else if row.Server.Count > 0 {
		svc.Server, svc.Latency, svc.Heat, svc.P99Trend, svc.RateTrend = row.Server, row.Latency, row.Heat, row.P99Trend, row.RateTrend
	}
	svc.PIDs = append(svc.PIDs, p.pid)
	svc.CPURatio += p.cpu
	svc.RSSBytes += p.rss
	svc.On = svc.On || p.state == "on" || p.state == "attaching"
	if p.service == "checkout-api" {
		svc.Health, svc.Message = core.HealthDegraded, "p99 456ms, 4.1x its 5-min median"
	}
}

func finishSample(s *core.Snapshot, rng *rand.Rand) {
	for _, e := range []struct {
		from, to  string
		rate, p99 float64
		errors    uint64
	}{{"outside", "nginx", 1240, 0.024, 90}, {"nginx", "web-frontend", 820, 0.144, 0}, {"nginx", "catalog", 410, 0.072, 0}, {"web-frontend", "checkout-api", 290, 0.456, 61},
		{"checkout-api", "inventory.internal:8443", 12.5, 0.031, 0}} {
		s.Edges = append(s.Edges, &core.EdgeRow{From: e.from, To: e.to, Protocol: "http", Rate: e.rate, P99: e.p99, Count: uint64(e.rate * 900), Errors: e.errors})
	}
	for i, x := range []core.Exemplar{
		{Service: "checkout-api", Proc: core.ProcKey{PID: 2871, Birth: 287100}, Role: core.RoleServer, Method: "POST", Route: "/checkout", Status: 503, Failed: true, FirstByte: 2099 * time.Millisecond, Duration: 2100 * time.Millisecond, Typical: 38 * time.Millisecond},
		{Service: "nginx", Proc: core.ProcKey{PID: 1403, Birth: 140300}, Role: core.RoleServer, Method: "GET", Route: "/users/{id}", Status: 200, FirstByte: 300 * time.Millisecond, Duration: 1020 * time.Millisecond, Typical: 2 * time.Millisecond},
		{Service: "checkout-api", Proc: core.ProcKey{PID: 2871, Birth: 287100}, Role: core.RoleClient, Peer: "inventory.internal:8443", Method: "GET", Route: "/stock/{id}", Error: "timeout", Failed: true, Duration: 5 * time.Second, Typical: 12 * time.Millisecond},
	} {
		x.Seq, x.At, x.Protocol = uint64(i+1), s.At.Add(time.Duration(i-5)*7*time.Second), "http"
		s.Exemplars = append(s.Exemplars, &x)
	}
	sampleDatabase(s)
	s.Units = []*core.UnitRow{
		{ID: "destination/pushgateway", Class: core.ClassDestination, Kind: "pushgateway", Title: "Pushgateway", Phase: core.PhaseRunning, Health: core.HealthOK, Since: s.At.Add(-time.Hour)},
		{ID: "integration/redis/127.0.0.1:6379", Class: core.ClassIntegration, Kind: "redis", Title: "Redis", Phase: core.PhaseRunning, Health: core.HealthOK, Since: s.At.Add(-time.Hour)},
		{ID: "instrumentation/lifecycle", Class: core.ClassInstrumentation, Kind: "lifecycle", Title: "Lifecycle", Phase: core.PhaseRunning, Health: core.HealthOK, Since: s.At.Add(-time.Hour), Processes: 13},
		{ID: "instrumentation/network", Class: core.ClassInstrumentation, Kind: "network", Title: "Network", Phase: core.PhaseRunning, Health: core.HealthDegraded, Message: "accept queue not readable on this kernel",
			Parts: map[string]string{"accept_queue": "iterator has no sk_ack_backlog"}, Since: s.At.Add(-time.Hour), Processes: 9},
		{ID: "instrumentation/requests", Class: core.ClassInstrumentation, Kind: "requests", Title: "Requests", Phase: core.PhaseRunning, Health: core.HealthOK, Since: s.At.Add(-6 * time.Minute), Processes: 9},
	}
	for i, g := range []string{"sock_send_length", "sock_recv_length", "inet_sock_set_state", "sched_process_exec"} {
		runs := uint64(41200 * (i*i + 1) * int(s.Seq))
		s.Programs = append(s.Programs, core.Program{Unit: "instrumentation/requests", Name: g, Attached: "tp_btf/" + g, Runs: runs,
			RunTime: time.Duration(runs) * 210, Measured: time.Duration(s.Seq) * time.Second, MapBytes: 1 << 20 * uint64(i+1),
			Ratio: float64(runs*210) / float64(time.Duration(s.Seq)*time.Second)})
	}
	events := []core.Event{
		{Kind: core.EventExec, Proc: core.ProcKey{PID: 2871, Birth: 287100}, Service: "checkout-api", Reason: "exec /srv/checkout/checkout, parent systemd(1)"},
		{Kind: core.EventPush, Unit: "destination/pushgateway", To: "ok", Reason: "pushed 812 series, 41K"},
		{Kind: core.EventUnit, Unit: "instrumentation/network", From: "starting", To: "running"},
		{Kind: core.EventExit, Proc: core.ProcKey{PID: 2990, Birth: 299000}, Service: "worker", Error: "killed by SIGKILL", Reason: "exit 137, killed by SIGKILL"},
		{Kind: core.EventExec, Proc: core.ProcKey{PID: 3121, Birth: 312100}, Service: "worker", Reason: "exec celery -A shop worker, parent systemd(1)"},
		{Kind: core.EventUnit, Unit: "instrumentation/requests", From: "attaching", To: "running"},
		{Kind: core.EventToggle, Proc: core.ProcKey{PID: 988, Birth: 98800}, Service: "sshd", From: "on", To: "off", Reason: "requests off for this process"},
	}
	for i := range events {
		events[i].Seq, events[i].At = uint64(i+1), sampleAt.Add(time.Duration(i-len(events))*37*time.Second)
	}
	s.Events = events
	s.Push = []*core.PushRow{{Destination: "http://gateway:9091", Unit: "destination/pushgateway", State: "ok", LastSuccess: s.At.Add(-3 * time.Second), Pushes: 240, Bytes: 41 << 10, Series: 812, Interval: 15 * time.Second}}
	all := s.Processes[6]
	s.Integrations = []*core.IntegrationRow{
		{ID: "integration/nginx/127.0.0.1:80", Kind: "nginx", Title: "nginx", Instance: "127.0.0.1:80", State: core.IntegrationSuggested, Needs: core.NeedsServer, Service: "nginx",
			Message: "no status page: add location /nginx_status { stub_status; } to a server of nginx", Why: "executable nginx, port 80"},
		{ID: "integration/postgres/unix:/run/postgresql/.s.PGSQL.5432", Kind: "postgres", Title: "PostgreSQL", Instance: "unix:/run/postgresql/.s.PGSQL.5432", State: core.IntegrationSuggested,
			Needs: core.NeedsConsent, Ambient: true, Login: true, Message: "it asks for a login", Why: "executable postgres, socket .s.PGSQL.5432; PostgreSQL answers", Grants: "GRANT pg_monitor TO vitals;"},
		{ID: "integration/redis/127.0.0.1:6379", Kind: "redis", Title: "Redis", Instance: "127.0.0.1:6379", State: core.IntegrationRunning, Health: core.HealthOK, Service: "redis",
			Why: "executable redis-server, port 6379; redis 7.0.15 answers PING", Interval: 15 * time.Second, LastRun: s.At.Add(-4 * time.Second), NextRun: s.At.Add(11 * time.Second), Duration: 700 * time.Microsecond,
			Runs: 60, Failures: 1, Series: 3, Missing: []string{"slowlog: permission denied"},
			Figures: []core.IntegrationFigure{{Title: "Clients", V: 17}, {Title: "Commands", Unit: "per_second", Chart: true, V: 912, Trend: trend(rng, 912, 60)},
				{Title: "Memory", Unit: "bytes", V: 33 << 20}, {Title: "Hit ratio", Unit: "ratio", V: 0.991}, {Title: "Replication lag", Unit: "seconds", V: math.NaN()}},
			Families: []core.Family{{Name: "redis_up", Kind: core.Gauge, Series: []core.Series{{V: 1}}},
				{Name: "redis_db_keys", Kind: core.Gauge, Series: []core.Series{{Labels: []core.Label{{Name: "db", Value: "db0"}}, V: 4711}, {Labels: []core.Label{{Name: "db", Value: "db1"}, {Name: "x", Value: "y"}}, V: 2}}}}},
	}
	s.Calls = []core.CallRow{
		{Op: "attach instrumentation/requests", Begun: 1, Ended: map[core.Outcome]uint64{core.OutcomeOK: 1}, Last: 41 * time.Millisecond, Duration: distribution(0.04)},
		{Op: "push pushgateway", Begun: 243, Ended: map[core.Outcome]uint64{core.OutcomeOK: 240, core.OutcomeTimeout: 2}, InFlight: 1, Oldest: 30 * time.Millisecond, Last: 6 * time.Millisecond, Duration: distribution(0.006)},
	}
	s.Totals = core.Totals{Processes: len(s.Processes), Instrumented: 7, Attaching: 1, Failed: 1, Server: all.Server, Client: s.Processes[0].Client, CPURatio: 0.61,
		RateTrend: trend(rng, 1240, 300), ErrTrend: trend(rng, 0.008, 300), P99Trend: trend(rng, 0.2, 300), CPUTrend: trend(rng, 0.6, 300), Heat: heat(rng, 0.02, 900), Latency: all.Latency}
	s.Totals.Server.P99 = 0.212
}

// sampleDatabase makes the checkout ask a database and hold sockets open, and
// tells what of it cannot be read.
func sampleDatabase(s *core.Snapshot) {
	k := core.ProcKey{PID: 2871, Birth: 287100}
	slow, quick := distribution(0.2), distribution(0.002)
	for _, r := range []core.RequestRow{
		{Role: core.RoleClient, Protocol: "postgresql", Peer: "db:5432", Method: "SELECT", Route: "SELECT id, total FROM orders WHERE customer_id = ? FOR UPDATE", Count: 106200, Rate: 118, Duration: slow, FirstByte: slow, BytesIn: 9 << 20, BytesOut: 3 << 20},
		{Role: core.RoleClient, Protocol: "postgresql", Peer: "db:5432", Method: "SELECT", Route: "SELECT id, total FROM orders WHERE customer_id = ? FOR UPDATE", Code: "40P01", Failed: true, Count: 17, Rate: 0.1, Duration: slow, FirstByte: slow, BytesIn: 4000, BytesOut: 900},
		{Role: core.RoleClient, Protocol: "redis", Peer: "cache:6379", Method: "GET", Count: 549000, Rate: 610, Duration: quick, FirstByte: quick, BytesIn: 90 << 20, BytesOut: 20 << 20},
		{Role: core.RoleServer, Protocol: "websocket", Method: "GET", Route: "/live", Code: "NORMAL", Stream: true, Count: 41, Rate: 0.3, Duration: distribution(40), BytesIn: 1 << 20, BytesOut: 88 << 20},
	} {
		r.Proc, r.Service, r.Last = k, "checkout-api", s.At
		s.Requests = append(s.Requests, &r)
	}
	for _, row := range s.Processes {
		if row.PID == 2871 {
			row.Runtime.SDK = "OpenTelemetry Go SDK"
			row.Coverage = core.Coverage{Exchanges: 790000, Parsed: 778000, Encrypted: 11700, Why: "Go program without symbols: crypto/tls not found", Unpaired: 12, Unknown: 288, Gaps: 2,
				Connections: 240, Joined: 17, BytesIn: 400 << 20, BytesOut: 2 << 30, BytesParsed: 2300 << 20}
		}
	}
	for _, svc := range s.Services {
		if svc.Name == "checkout-api" {
			svc.Exemplars = s.Exemplars[:1]
		}
	}
}

// calm is a machine on which nothing happens: the state of most machines.
func calm() *core.Snapshot {
	s := sample()
	nan := math.NaN()
	none := core.RED{ErrRatio: nan, P50: nan, P90: nan, P99: nan, Max: nan}
	for _, p := range s.Processes {
		p.Server, p.Heat, p.Latency, p.RateTrend, p.P99Trend, p.Values = none, nil, nil, nil, nil, nil
	}
	for _, v := range s.Services {
		v.Server, v.Heat, v.Latency, v.RateTrend, v.P99Trend, v.Health, v.Message = none, nil, nil, nil, nil, core.HealthOK, ""
	}
	s.Requests, s.Edges, s.Push = nil, nil, nil
	s.Totals.Server, s.Totals.Heat, s.Totals.RateTrend, s.Totals.ErrTrend, s.Totals.P99Trend = none, nil, nil, nil, nil
	s.Self.Notice = "not root: no requests and no network figures; sudo vitals adds them"
	return s
}

// many is a machine with n busy processes.
func many(n int) *core.Snapshot {
	s := sample()
	base := s.Processes[10]
	for i := range n {
		row := *base
		p := *base.Process
		p.PID, p.Birth, p.Comm, p.Service = int32(10000+i), uint64(i), fmt.Sprintf("proc-%d", i), fmt.Sprintf("svc-%d", i%300)
		row.Process = &p
		row.Server.Rate, row.CPURatio = float64(i*7919%9973), float64(i%100)/100
		s.Processes = append(s.Processes, &row)
	}
	return s
}

// fake is a source and a control that tests drive.
type fake struct {
	latest atomic.Pointer[core.Snapshot]
	mu     sync.Mutex
	wait   chan struct{}
	got    []core.Intent
	busy   bool
}

func newFake(s *core.Snapshot) *fake {
	f := &fake{wait: make(chan struct{})}
	f.latest.Store(s)
	return f
}

func (f *fake) Latest() *core.Snapshot { return f.latest.Load() }

func (f *fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait
}

func (f *fake) publish(s *core.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest.Store(s)
	close(f.wait)
	f.wait = make(chan struct{})
}

func (f *fake) Submit(in core.Intent) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return false
	}
	f.got = append(f.got, in)
	return true
}

func (f *fake) intents() []core.Intent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]core.Intent(nil), f.got...)
}

func sampleMetrics(s *core.Snapshot) []core.MetricInfo {
	if len(s.Services) == 0 {
		return nil
	}
	return []core.MetricInfo{
		{Name: "http_server_request_duration_seconds", Help: "Duration of HTTP server requests", Type: "histogram", Series: 31, Samples: 558, Lines: []string{
			`http_server_request_duration_seconds_bucket{service_name="checkout-api",http_route="/checkout",le="0.005"} 17`,
			`http_server_request_duration_seconds_bucket{service_name="checkout-api",http_route="/checkout",le="+Inf"} 78301`,
		}},
		{Name: "process_cpu_seconds_total", Help: "CPU time", Type: "counter", Series: 22, Samples: 22, Lines: []string{`process_cpu_seconds_total{service_name="nginx"} 411.3`}},
		{Name: "vitals_build_info", Help: "What runs", Type: "gauge", Series: 1, Samples: 1, Lines: []string{`vitals_build_info{version="0.1"} 1`}},
	}
}
