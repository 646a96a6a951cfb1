package requests

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"vitals/probes/kern"
)

// What a path is said to need are the hooks of its programs, no more, no less.
func TestNeedsAreTheHooksOfThePrograms(t *testing.T) {
	for name, path := range map[string]struct {
		load  func() (*ebpf.CollectionSpec, error)
		needs kern.Needs
	}{"fast": {loadRequests, NeedsFast()}, "floor": {loadFloor, Needs()}, "tls": {loadSecret, NeedsTLS()}} {
		spec, err := path.load()
		if err != nil {
			t.Fatal(err)
		}
		var tracepoints, iterators []string
		for _, p := range spec.Programs {
			switch p.AttachType {
			case ebpf.AttachTraceRawTp:
				tracepoints = append(tracepoints, p.AttachTo)
			case ebpf.AttachTraceIter:
				iterators = append(iterators, p.AttachTo)
			}
		}
		for _, both := range [][2][]string{{tracepoints, slices.Clone(path.needs.Tracepoints)}, {iterators, slices.Clone(path.needs.Iterators)}} {
			slices.Sort(both[0])
			slices.Sort(both[1])
			if !slices.Equal(slices.Compact(both[0]), both[1]) {
				t.Errorf("%s hooks %v, is said to hook %v", name, both[0], both[1])
			}
		}
	}
}
