package requests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("VITALS_TEST_HELPER"); mode != "" {
		helper(mode, os.Getenv("VITALS_TEST_ADDR"))
		return
	}
	os.Exit(m.Run())
}

// helper is another process: our own is never observed.
func helper(mode, addr string) {
	switch mode {
	case "serve":
		l, err := listen(addr)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(l.Addr())
		lines := make(chan string)
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" { // it says that it does, and ends with a line
				fmt.Println("waiting")
				<-lines
				io.WriteString(w, "late\n")
				return
			}
			answer(w, r)
		}))
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	case "serve-tls":
		serveTLS(addr)
	case "uring":
		mustRing()
	case "fetch": // one line "N" on stdin: N requests by net/http, then "ok"
		network, address := split(addr)
		tr := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		client := &http.Client{Transport: tr}
		fmt.Println("ready")
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			n, _ := strconv.Atoi(in.Text())
			fmt.Println(fetch(client, n))
		}
	}
}

func fetch(client *http.Client, n int) string {
	var wg sync.WaitGroup
	var mu sync.Mutex
	result := "ok"
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < n; i += 4 {
				resp, err := client.Get(fmt.Sprintf("http://shop.example/users/%d?secret=1", i))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil {
					mu.Lock()
					result = err.Error()
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return result
}

func split(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

func listen(addr string) (net.Listener, error) {
	network, address := split(addr)
	return net.Listen(network, address)
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/upload":
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n)
	case r.URL.Path == "/chunked":
		for range 3 {
			io.WriteString(w, strings.Repeat("x", 700))
			w.(http.Flusher).Flush()
		}
	case r.URL.Path == "/early":
		http.Error(w, "no", 413)
		w.(http.Flusher).Flush()
	case strings.HasPrefix(r.URL.Path, "/users/"):
		io.WriteString(w, "a user\n")
	case r.URL.Path == "/busy":
		http.Error(w, "busy", 503)
	default:
		http.NotFound(w, r)
	}
}

type child struct {
	*exec.Cmd
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	key core.ProcKey
}

// start runs a helper and returns it with its first line of output.
func start(t *testing.T, mode, addr string) (*child, string) {
	t.Helper()
	c := &child{Cmd: exec.Command("/proc/self/exe"), t: t}
	c.Env = append(os.Environ(), "VITALS_TEST_HELPER="+mode, "VITALS_TEST_ADDR="+addr)
	c.Stderr = os.Stderr
	c.in, _ = c.StdinPipe()
	out, _ := c.StdoutPipe()
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("helper %s: %v", mode, err)
	}
	c.key = keyOf(t, c.Process.Pid)
	return c, strings.TrimSpace(line)
}

// ask sends a line and waits for the answer.
func (c *child) ask(line string) string {
	c.t.Helper()
	fmt.Fprintln(c.in, line)
	return c.says()
}

// says waits for a line.
func (c *child) says() string {
	c.t.Helper()
	answer, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

func keyOf(t testing.TB, pid int) core.ProcKey {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	birth, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return core.ProcKey{PID: int32(pid), Birth: birth}
}

// sink adds up what the probe tells.
type sink struct {
	mu       sync.Mutex
	counts   map[core.ProcKey]map[string]uint64
	seen     []core.Request
	cover    map[core.ProcKey]core.Coverage
	lost     map[string]uint64
	inFlight []core.InFlight
	keep     bool
}

func newSink() *sink {
	return &sink{counts: map[core.ProcKey]map[string]uint64{}, cover: map[core.ProcKey]core.Coverage{}, lost: map[string]uint64{}, keep: true}
}

func (s *sink) Requests(rs []core.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rs {
		m := s.counts[r.Proc]
		if m == nil {
			m = map[string]uint64{}
			s.counts[r.Proc] = m
		}
		k := fmt.Sprintf("%s %s %s %d", r.Role, r.Method, r.Route, r.Status)
		if r.Error != "" {
			k += " " + r.Error
		}
		m[k] += uint64(max(r.Count, 1))
	}
	if s.keep {
		s.seen = append(s.seen, rs...)
	}
}
func (s *sink) Samples([]core.Sample) {}
func (s *sink) Usage([]core.Usage)    {}
func (s *sink) Lost(stage, reason string, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[stage+"/"+reason] += n
}
func (s *sink) Coverage(cs []core.Coverage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cs {
		v := s.cover[c.Proc]
		v.Add(&c)
		s.cover[c.Proc] = v
	}
}
func (s *sink) InFlight(l []core.InFlight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight = append(s.inFlight[:0], l...)
}

func (s *sink) of(k core.ProcKey) map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]uint64{}
	for k, v := range s.counts[k] {
		out[k] = v
	}
	return out
}

// all is what was seen, in order.
func (s *sink) all() []core.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// number is how many were seen that are so.
func (s *sink) number(so func(core.Request) bool) (n int) {
	for _, r := range s.all() {
		if so(r) {
			n++
		}
	}
	return n
}

func (s *sink) covered(k core.ProcKey) core.Coverage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cover[k]
}

func (s *sink) losses() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.lost)
}

func (s *sink) total(k core.ProcKey) (n uint64) {
	for _, v := range s.of(k) {
		n += v
	}
	return n
}

// roomy is a ring for tests that want nothing lost on a busy machine.
const roomy = 32 << 20

type running struct {
	*probe
	*sink
	t      testing.TB
	cancel context.CancelFunc
	done   chan error
}

// bothPaths runs a test with the programs for this kernel, and with those for the
// oldest ones.
func bothPaths(t *testing.T, f func(t *testing.T)) {
	t.Run("fast", f)
	t.Run("floor", f)
}

func onFloor(t testing.TB) bool { return strings.Contains(t.Name(), "/floor") }

// attach starts the probe, observing the given processes only.
func attach(t testing.TB, ring int, who ...core.ProcKey) *running {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	s := newSink()
	unit, err := Spec(kern.Env{Sink: s, RequestsRing: ring, Floor: onFloor(t), Settling: &kern.Settling{}}).Make()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{probe: unit.(*probe), sink: s, t: t, done: make(chan error, 1)}
	began := time.Now()
	if _, err := r.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("attached in %v", time.Since(began))
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	ready := make(chan struct{})
	go func() { r.done <- r.Serve(ctx, func() { close(ready) }) }()
	<-ready
	r.choose(who...)
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *running) choose(who ...core.ProcKey) {
	r.t.Helper()
	set := map[core.ProcKey]bool{}
	for _, k := range who {
		set[k] = true
	}
	if err := r.Select(core.Selection{Set: set}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	if err := r.Detach(context.Background()); err != nil {
		r.t.Error(err)
	}
}

// many is how often something is done: seldom on an emulated machine.
func many(n int) int {
	if os.Getenv("VITALS_SLOW") != "" {
		return n / 40
	}
	return n
}
