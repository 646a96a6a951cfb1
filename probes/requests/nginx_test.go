package requests

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vitals/core"
)

// startNginx serves 1 KiB at the URL it returns.
func startNginx(t testing.TB, count int) (workers []core.ProcKey, url string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Repeat("x", 1024)), 0o644)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	os.WriteFile(conf, fmt.Appendf(nil, `daemon off; worker_processes %[3]d; pid %[1]s/pid; error_log %[1]s/err;
events { worker_connections 256; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
server { listen 127.0.0.1:%[2]d reuseport; root %[1]s; } }`, dir, port, count), 0o644)
	nginx := exec.Command("nginx", "-p", dir, "-c", conf)
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nginx.Process.Signal(os.Interrupt)
		nginx.Wait()
	})
	var pids []string // it listens before it has workers
	wait(func() bool {
		out, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nginx.Process.Pid))
		pids = strings.Fields(string(out))
		return len(pids) == count
	})
	if len(pids) != count {
		t.Fatalf("%d workers", len(pids))
	}
	for _, w := range pids {
		var pid int
		fmt.Sscan(w, &pid)
		workers = append(workers, keyOf(t, pid))
	}
	return workers, fmt.Sprintf("http://127.0.0.1:%d/page.html", port)
}

func TestNginxUnderApacheBench(t *testing.T) { bothPaths(t, nginxUnderApacheBench) }

func nginxUnderApacheBench(t *testing.T) {
	workers, url := startNginx(t, 2)
	p := attach(t, roomy, workers...)
	got := func() map[string]uint64 {
		all := p.of(workers[0])
		for k, v := range p.of(workers[1]) {
			all[k] += v
		}
		delete(all, "server GET /stub_status 404") // asked by whoever watches this machine
		return all
	}
	want := map[string]uint64{}
	for _, args := range [][]string{{"-k", "-n", "50000"}, {"-n", "5000"}} {
		out, err := exec.Command("ab", append(args, "-q", "-c", "16", url)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		settle()
		n, _ := strconv.ParseUint(args[len(args)-1], 10, 64)
		want["server GET /page.html 200"] += n
		wait(func() bool { return maps.Equal(got(), want) })
		same(t, fmt.Sprint("ab ", args), got(), want)
	}
}
