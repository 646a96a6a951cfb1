package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a server under load: whose CPU counts, and one round of load, which
// gives how many requests it answered in how long.
type served struct {
	pid  int
	load func(b *testing.B) (requests float64, took time.Duration)
}

// BenchmarkOverhead is what being observed costs a server: CPU of a request, off
// and on by turns in one run, and throughput where server, load and vitals share
// the processors. The spread is reported with the median.
func BenchmarkOverhead(b *testing.B) {
	for _, c := range []struct {
		name  string
		start func(b *testing.B) served
	}{
		{"nginx", func(b *testing.B) served { return servedNginx(b, false) }},
		{"redis", servedRedis},
		{"nginx-https", func(b *testing.B) served { return servedNginx(b, true) }},
	} {
		b.Run(c.name, func(b *testing.B) { measureOverhead(b, c.start(b)) })
	}
}

func measureOverhead(b *testing.B, s served) {
	vitals := benchBinary(b, "vitals", ".")
	round := func() (us, rate float64) {
		before := schedstat(b, s.pid)
		n, took := s.load(b)
		return float64(schedstat(b, s.pid)-before) / n / 1e3, n / took.Seconds()
	}
	round()
	var added, base, loss, ours []float64
	for range 7 {
		off, offRate := round()
		v := exec.Command(vitals, "snapshot", "--for", "1h", "-o", "json", "--include", fmt.Sprintf("pid=%d", s.pid))
		if err := v.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		cpu, began := cpuSeconds(b, v.Process.Pid), time.Now()
		on, onRate := round()
		own := (cpuSeconds(b, v.Process.Pid) - cpu) / (onRate * time.Since(began).Seconds()) * 1e6
		v.Process.Kill()
		v.Wait()
		time.Sleep(300 * time.Millisecond)
		added, base, loss, ours = append(added, on-off), append(base, off), append(loss, 100*(1-onRate/offRate)), append(ours, own)
	}
	reportSpread(b, base, "us-base")
	reportSpread(b, added, "us-added")
	reportSpread(b, ours, "us-ours")
	reportSpread(b, loss, "%-throughput")
}

func servedNginx(b *testing.B, https bool) served {
	dir := b.TempDir()
	os.Chmod(dir, 0o755)
	port, scheme, extra := 19473, "http", ""
	if https {
		port, scheme = 19474, "https"
		key, cert := filepath.Join(dir, "key"), filepath.Join(dir, "cert")
		if msg, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost").CombinedOutput(); err != nil {
			b.Fatalf("openssl: %v\n%s", err, msg)
		}
		extra = fmt.Sprintf(" ssl; ssl_certificate %s; ssl_certificate_key %s", cert, key)
	}
	conf := filepath.Join(dir, "nginx.conf")
	os.WriteFile(conf, []byte(fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/err; worker_processes 1; events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen 127.0.0.1:%[2]d%[4]s; location / { return 200 "%[3]s"; } } }`, dir, port, strings.Repeat("x", 1024), extra)), 0o644)
	nginx := exec.Command("nginx", "-c", conf, "-p", dir)
	if err := nginx.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nginx.Process.Signal(syscall.SIGTERM); nginx.Wait() })
	time.Sleep(500 * time.Millisecond)
	out, _ := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(nginx.Process.Pid)).Output()
	worker, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		b.Fatalf("nginx worker: %v (%s)", err, out)
	}
	return served{worker, func(b *testing.B) (float64, time.Duration) {
		out, err := exec.Command("wrk", "-t1", "-c8", "-d3s", fmt.Sprintf("%s://127.0.0.1:%d/", scheme, port)).CombinedOutput()
		if err != nil {
			b.Fatalf("wrk: %v\n%s", err, out)
		}
		return number(b, out, `(\d+) requests in`), 3 * time.Second
	}}
}

func servedRedis(b *testing.B) served {
	const port = "19475"
	redis := exec.Command("redis-server", "--port", port, "--save", "", "--dir", b.TempDir())
	if err := redis.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { redis.Process.Kill(); redis.Wait() })
	time.Sleep(500 * time.Millisecond)
	const n = 200000
	return served{redis.Process.Pid, func(b *testing.B) (float64, time.Duration) {
		began := time.Now()
		if out, err := exec.Command("redis-benchmark", "-p", port, "-c", "8", "-P", "1", "-n", strconv.Itoa(n), "-t", "get", "-q").CombinedOutput(); err != nil {
			b.Fatalf("redis-benchmark: %v\n%s", err, out)
		}
		return n, time.Since(began)
	}}
}

func number(b *testing.B, out []byte, pattern string) float64 {
	m := regexp.MustCompile(pattern).FindSubmatch(out)
	if m == nil {
		b.Fatalf("no %s in\n%s", pattern, out)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
