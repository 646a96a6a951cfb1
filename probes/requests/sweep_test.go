package requests

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// A connection that ends while the sweep looks at it has told everything all the
// same, however often it looks.
func TestSweepsTakeNothingAway(t *testing.T) { bothPaths(t, sweepsTakeNothingAway) }

func sweepsTakeNothingAway(t *testing.T) {
	workers, url := startNginx(t, 2)
	p := attach(t, roomy, workers...)
	stop := make(chan struct{})
	var sweeping sync.WaitGroup
	for range 2 {
		sweeping.Go(func() {
			buf := make([]byte, kern.IterBuffer)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := kern.ReadIter(p.probe.sweep, buf, func(*requestsOpen) {}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	asked := uint64(many(5000)) // each on a connection of its own
	out, err := exec.Command("ab", "-q", "-c", "16", "-n", fmt.Sprint(asked), url).CombinedOutput()
	close(stop)
	sweeping.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.stop()
	counted := uint64(0)
	for _, w := range workers {
		counted += p.of(w)["server GET /page.html 200"]
	}
	// Where the machine takes a processor away in the middle of a look, a transfer
	// is missed: that is counted.
	missed := p.losses()["kernel/contended"]
	if counted > asked || counted+missed < asked {
		t.Errorf("counted %d and missed %d transfers, want %d", counted, missed, asked)
	}
}

// However often it is fetched what a process lost, while it loses more, all of it
// is told, and in the end the kernel keeps nothing of it.
func TestLossesAreFetchedWhileTheyGrow(t *testing.T) { bothPaths(t, lossesAreFetchedWhileTheyGrow) }

func lossesAreFetchedWhileTheyGrow(t *testing.T) {
	kerntest.NeedRoot(t)
	server, addr := start(t, "serve", "127.0.0.1:0")
	s := newSink()
	p := &probe{env: kern.Env{Sink: s, RequestsRing: os.Getpagesize(), Floor: onFloor(t)}}
	if _, err := p.Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Detach(t.Context())
	if err := p.Select(selectionOf(server.key)); err != nil {
		t.Fatal(err)
	}
	look := newSweeper(p, p.att, newIntake(s, nil))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				look.byProcess()
			}
		}
	}()
	storm("server ", many(3000), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr))
	kerntest.CallsEnded(t, server.Process.Pid)
	close(stop)
	<-stopped
	look.byProcess()
	look.pair.deliver()
	var lost uint64
	if err := p.side.lostExchanges.Get(&lost); err != nil {
		t.Fatal(err)
	}
	if told := s.covered(server.key).Lost; told != lost || lost == 0 {
		t.Errorf("told %d of %d", told, lost)
	}
	for key, k := range look.known {
		k.at = time.Now().Add(-2 * keepTroubles)
		look.known[key] = k
	}
	look.byProcess()
	look.pair.deliver()
	key := requestsProcess{Tgid: uint32(server.key.PID), Birth: server.key.Birth}
	if err := p.side.troubles.Lookup(key, new(requestsTrouble)); err == nil || len(look.known) > 0 || s.covered(server.key).Lost != lost {
		t.Errorf("%v, %d are known, told %+v", err, len(look.known), s.covered(server.key))
	}
}
