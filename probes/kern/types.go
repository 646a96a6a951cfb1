package kern

import (
	"sync"
	"weak"

	"github.com/cilium/ebpf/btf"
)

// Types shares the kernel's type information among the probes of a program.
// Reading it costs more than everything else at start, and keeping it costs
// megabytes: it is kept only as long as somebody loads programs. It is safe for
// concurrent use, and nil shares nothing.
type Types struct {
	mu     sync.Mutex
	shared weak.Pointer[btf.Cache]
}

// cache returns what is shared now. Who holds it keeps it alive.
func (t *Types) cache() *btf.Cache {
	if t == nil {
		return btf.NewCache()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.shared.Value(); c != nil {
		return c
	}
	c := btf.NewCache()
	t.shared = weak.Make(c)
	return c
}
