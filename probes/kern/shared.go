package kern

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
)

// Shared holds maps that several units have in common. A map is made when the
// first of them asks for it and is closed when the last one is detached. It is
// safe for concurrent use.
type Shared struct {
	mu   sync.Mutex
	maps map[string]*sharedMap
}

type sharedMap struct {
	*ebpf.Map
	users int
}

// Share makes programs of spec, which is loaded next, use the maps of these
// names together with other units that share them. Their descriptions must agree.
func (a *Attachment) Share(spec *ebpf.CollectionSpec, shared *Shared, names ...string) error {
	if shared == nil {
		return nil // alone: the maps are its own
	}
	for _, name := range names {
		m, err := shared.take(name, spec.Maps[name])
		if err != nil {
			return Explain("share map "+name, err)
		}
		if a.shared == nil {
			a.shared = make(map[string]*ebpf.Map)
		}
		a.shared[name] = m
		if err := a.Keep(&share{shared, name}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shared) take(name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.maps[name]
	if m == nil {
		if spec == nil {
			return nil, fmt.Errorf("no map of that name")
		}
		made, err := ebpf.NewMap(spec)
		if err != nil {
			return nil, err
		}
		if s.maps == nil {
			s.maps = make(map[string]*sharedMap)
		}
		m = &sharedMap{Map: made}
		s.maps[name] = m
	}
	m.users++
	return m.Map, nil
}

// share is one unit's hold on a map.
type share struct {
	of   *Shared
	name string
}

// Close gives the map back.
func (h *share) Close() error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	m := h.of.maps[h.name]
	if m.users--; m.users > 0 {
		return nil
	}
	delete(h.of.maps, h.name)
	return m.Close()
}
