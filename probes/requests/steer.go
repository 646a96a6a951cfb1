package requests

import (
	"fmt"
	"sync"

	"vitals/core"
	"vitals/probes/requests/talk"
)

// Modes of exchange.h.
const (
	byExchange = 0
	byChunk    = 1
	mute       = 2
)

// maxHead is MAX_HEAD of exchange.h: what the kernel captures of a transfer at most.
const maxHead = 16384

// steering tells the kernel how to hand sockets over, as user space learns what
// they speak. It is safe for concurrent use; every call is a write or two into
// the kernel.
type steering struct {
	side *side
	lost func(error)

	mu      sync.Mutex
	changes uint32
}

var _ talk.Tuner = (*steering)(nil)

func tuningOf(role core.Role, how talk.Capture) requestsTuning {
	head := uint16(min(max(how.Head, 0), maxHead))
	t := requestsTuning{Mode: byExchange, Role: roleUnknown, ClientCap: head, ServerCap: head}
	switch {
	case how.Mute:
		t.Mode = mute
	case how.Stream:
		t.Mode = byChunk
	}
	switch role {
	case core.RoleServer:
		t.Role = roleServer
	case core.RoleClient:
		t.Role = roleClient
	}
	return t
}

// Connection implements talk.Tuner: it holds from the socket's next transfer on.
func (s *steering) Connection(cookie uint64, role core.Role, how talk.Capture) {
	if err := s.side.tuned.Put(cookie, tuningOf(role, how)); err != nil {
		s.lost(fmt.Errorf("tune a socket: %w", err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if err := s.side.tunings.Set(s.changes); err != nil {
		s.lost(fmt.Errorf("tune a socket: %w", err))
	}
}

// Endpoint implements talk.Tuner: it holds for sockets that talk for the first time.
func (s *steering) Endpoint(at talk.Endpoint, how talk.Capture) {
	place := requestsPlace{Netns: at.NetNS, Port: at.Port, Name: at.Name}
	if at.Client {
		place.Client = 1
	}
	if err := s.side.places.Put(place, tuningOf(core.RoleUnknown, how)); err != nil {
		s.lost(fmt.Errorf("tune the sockets of port %d: %w", at.Port, err))
	}
}

// watchDatagrams makes UDP ports interesting: only their traffic is captured.
func (s *side) watchDatagrams(ports ...uint16) error {
	for _, port := range ports {
		if err := s.datagrams.Put(port, uint8(1)); err != nil {
			return fmt.Errorf("watch UDP port %d: %w", port, err)
		}
	}
	return nil
}
