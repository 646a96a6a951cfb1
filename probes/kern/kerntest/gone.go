package kerntest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Gone fails the test when one of the objects is still in the kernel after 30 s:
// the kernel frees them behind its own back, after all processors have passed by.
func Gone(t testing.TB, list map[Object]bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for o := range list {
		for exists(t, o) {
			if time.Now().After(deadline) {
				t.Errorf("left in the kernel: %v", o)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func exists(t testing.TB, o Object) bool {
	t.Helper()
	var closer interface{ Close() error }
	var err error
	switch o.Kind {
	case "prog":
		closer, err = ebpf.NewProgramFromID(ebpf.ProgramID(o.ID))
	case "map":
		closer, err = ebpf.NewMapFromID(ebpf.MapID(o.ID))
	case "link":
		closer, err = link.NewFromID(link.ID(o.ID))
	}
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatalf("look for %v: %v", o, err)
	}
	closer.Close()
	return true
}
