package gateway

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	childDir  = "VITALS_TEST_GATEWAY_DIR"
	childHalf = "VITALS_TEST_GATEWAY_HALF" // of the journal, so that it is full often
	smallHalf = childHalf + "=65536"
)

// TestMain makes this program a gateway on a free port, or a pusher, when it is
// told to be one.
func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		fmt.Fprintln(os.Stderr, bePusher(url, os.Getenv(childFile)))
		os.Exit(1)
	}
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, beGateway(dir))
	os.Exit(1)
}

// inMemory as directory makes a gateway without a store.
const inMemory = "memory"

func beGateway(dir string) error {
	c, quarantined := Config{Limits: Limits{Body: CommandBody}}, int64(0)
	if dir != inMemory {
		d, err := OpenDisk(dir, nil, nil)
		if err != nil {
			return err
		}
		if half, err := strconv.ParseInt(os.Getenv(childHalf), 10, 64); err == nil {
			d.half = half
		}
		c.Store = d
	}
	g, err := New(c)
	if err != nil {
		return err
	}
	if d, ok := c.Store.(*DiskStore); ok {
		quarantined = d.Quarantined()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr(), quarantined)
	return g.Serve(context.Background(), l)
}

// child is a gateway in a process of its own.
func child(t testing.TB, dir string, env ...string) (*exec.Cmd, *server) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(append(os.Environ(), env...), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway did not start: %v", err)
	}
	addr, quarantined, _ := strings.Cut(strings.TrimSpace(line), " ")
	if quarantined != "0" {
		t.Fatalf("%s torn files after a kill", quarantined)
	}
	return cmd, &server{t: t, name: "child", url: "http://" + addr}
}

// pusher pushes to one group as fast as it can and remembers what was said.
type pusher struct {
	job          string
	acked, tried int  // numbers of pushes
	gone, going  bool // the last acknowledged, and the last tried, was a deletion
	rng          *rand.Rand
}

func (p *pusher) run(s *server, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		p.tried++
		p.going = p.rng.IntN(8) == 0
		method, body := "PUT", fmt.Sprintf("a %d\nb %d\nc{pad=%q} %d\n", p.tried, p.tried, strings.Repeat("x", p.rng.IntN(8000)), p.tried)
		if p.going {
			method, body = "DELETE", ""
		}
		req, _ := http.NewRequest(method, s.url+"/metrics/job/"+p.job, strings.NewReader(body))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return // killed
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			s.t.Errorf("%s %s: %s", method, p.job, resp.Status)
		}
		p.acked, p.gone = p.tried, p.going
	}
}

// check compares what a restarted gateway has: the last acknowledged push or the
// one that was on its way, whole.
func (p *pusher) check(t *testing.T, have series) {
	t.Helper()
	label := `{instance="",job="` + p.job + `"}`
	v, there := have["a"+label]
	if b, ok := have["b"+label]; ok != there || b != v {
		t.Errorf("%s: half a push: a %v, b %v", p.job, v, b)
	}
	switch {
	case !there && (p.gone || p.going || p.acked == 0):
	case there && !p.gone && int(v) == p.acked:
	case there && !p.going && int(v) == p.tried:
	default:
		t.Errorf("%s: there %v with %v; acknowledged %d (deleted %v), tried %d (deleted %v)", p.job, there, v, p.acked, p.gone, p.tried, p.going)
	}
	p.acked, p.gone = p.tried, !there
	if there {
		p.acked = int(v)
	}
}

// chaosRounds is how often something is killed: few times, or VITALS_CHAOS_ROUNDS.
func chaosRounds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("VITALS_CHAOS_ROUNDS")); err == nil {
		return n
	}
	return few
}

// TestChaosKill kills the gateway at random points: nothing acknowledged is
// lost, nothing torn is accepted. VITALS_CHAOS_ROUNDS sets how often.
func TestChaosKill(t *testing.T) {
	t.Parallel()
	rounds := chaosRounds(25)
	dir, seed := t.TempDir(), rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	pushers := make([]*pusher, 6)
	for i := range pushers {
		pushers[i] = &pusher{job: fmt.Sprintf("j%d", i), rng: rand.New(rand.NewPCG(seed, uint64(i)+2))}
	}
	for round := range rounds {
		cmd, s := child(t, dir, smallHalf)
		have := s.series()
		for _, p := range pushers {
			p.check(t, have)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for _, p := range pushers {
			wait.Go(func() { p.run(s, stop) })
		}
		time.Sleep(time.Duration(rng.IntN(80_000)) * time.Microsecond)
		_ = cmd.Process.Kill()
		close(stop)
		wait.Wait()
		_ = cmd.Wait()
		http.DefaultClient.CloseIdleConnections()
		client.CloseIdleConnections()
	}
	total := 0
	for _, p := range pushers {
		total += p.tried
	}
	t.Logf("%d pushes in %d rounds", total, rounds)
	if total < rounds {
		t.Errorf("%d pushes: the test did not do its work", total)
	}
}
