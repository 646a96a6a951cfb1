package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vitals/core"
	"vitals/push"
)

const (
	childURL  = "VITALS_TEST_PUSHER_URL"
	childFile = "VITALS_TEST_PUSHER_FILE"
)

// bePusher pushes a number and its copy to a gateway and a text file, again and
// again with the next number, and says what it tries and what was taken.
func bePusher(url, file string) error {
	start, _ := strconv.Atoi(os.Getenv("VITALS_TEST_PUSHER_START"))
	for n := start + 1; ; n++ {
		fmt.Println("try", n)
		render := func(*core.Snapshot) []*dto.MetricFamily {
			return []*dto.MetricFamily{gauge("a", float64(n)), gauge("b", float64(n)), gauge("pad", 1, "x", strings.Repeat("x", n*37%8000))}
		}
		to := push.Config{URL: url, Job: "j", Instance: "i", Source: still{}, Families: render, Format: push.FormatAuto, Timeout: 20 * time.Second}
		beside := to
		beside.Kind, beside.Path = push.Textfile, file
		if err := push.Once(context.Background(), to, beside); err != nil {
			fmt.Println("no", n)
			time.Sleep(2 * time.Millisecond)
			continue
		}
		fmt.Println("ok", n)
	}
}

// lines keeps what a pusher said last.
type lines struct {
	mu           sync.Mutex
	tried, taken int
}

func (l *lines) read(in io.Reader) {
	for s := bufio.NewScanner(in); s.Scan(); {
		word, number, _ := strings.Cut(s.Text(), " ")
		n, _ := strconv.Atoi(number)
		l.mu.Lock()
		switch word {
		case "try":
			l.tried = n
		case "ok":
			l.taken = n
		}
		l.mu.Unlock()
	}
}

func (l *lines) get() (tried, taken int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried, l.taken
}

// TestChaosKillPusher kills pusher, gateway, or both, at random points: what was
// acknowledged is there, in the gateway and in the file, and nothing is half.
func TestChaosKillPusher(t *testing.T) {
	t.Parallel()
	rounds, seed := chaosRounds(15), rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	store, files := t.TempDir(), t.TempDir()
	file := filepath.Join(files, "v.prom")
	said := &lines{}
	for round := range rounds {
		gateway, s := child(t, store, smallHalf)
		begin, acked := said.get()
		checkWhole(t, "gateway", s.series()[`a{instance="i",job="j"}`], s.series()[`b{instance="i",job="j"}`], acked, begin)
		if text, err := os.ReadFile(file); err == nil {
			f := parseFile(t, text)
			checkWhole(t, "file", f["a"], f["b"], acked, begin)
		} else if acked > 0 {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		pusher := exec.Command(os.Args[0], "-test.run=^$")
		pusher.Env = append(os.Environ(), childURL+"="+s.url, childFile+"="+file, fmt.Sprint("VITALS_TEST_PUSHER_START=", begin))
		pusher.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := pusher.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := pusher.Start(); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() { said.read(out) })
		eventually(t, "a push is taken", func() bool { _, taken := said.get(); return taken > acked })
		time.Sleep(time.Duration(rng.IntN(60_000)) * time.Microsecond)
		who := rng.IntN(3)
		if who != 0 {
			_ = gateway.Process.Kill()
		}
		if who == 1 { // the pusher meets a dead gateway
			time.Sleep(5 * time.Millisecond)
		}
		_ = pusher.Process.Kill()
		wait.Wait()
		_, _ = pusher.Wait(), gateway.Process.Kill()
		_ = gateway.Wait()
		client.CloseIdleConnections()
	}
	tried, taken := said.get()
	t.Logf("%d pushes tried, the last taken was %d, in %d rounds", tried, taken, rounds)
	left, _ := filepath.Glob(filepath.Join(files, ".v.prom.tmp*"))
	if len(left) > 1 {
		t.Errorf("left behind by kills: %v", left)
	}
}

func checkWhole(t *testing.T, where string, a, b float64, acked, tried int) {
	t.Helper()
	if a != b || int(a) < acked || int(a) > tried {
		t.Errorf("the %s has %v and %v, acknowledged was %d, tried %d", where, a, b, acked, tried)
	}
}

func parseFile(t *testing.T, text []byte) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil || !strings.HasSuffix(string(text), "\n") || len(families) != 3 {
		t.Errorf("a torn file: %v\n%.200q", err, text)
	}
	out := map[string]float64{}
	for name, f := range families {
		out[name] = f.Metric[0].GetGauge().GetValue()
	}
	return out
}
