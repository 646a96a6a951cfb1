package requests

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"vitals/probes/kern"
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
