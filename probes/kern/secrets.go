package kern

import (
	"sync"

	"vitals/core"
)

// maxSecrets bounds what is remembered of processes whose TLS cannot be read.
const maxSecrets = 1024

// Secrets is what the probes know of each other's encrypted connections: who is
// seen to speak TLS asks, and the probe of TLS libraries answers why its plain
// text cannot be had. It is safe for concurrent use; nil knows nothing.
type Secrets struct {
	mu    sync.Mutex
	all   string // of those that are not in why
	why   map[core.ProcKey]string
	asked map[core.ProcKey]bool
	news  chan core.ProcKey
}

// NewSecrets makes an empty one.
func NewSecrets() *Secrets {
	return &Secrets{why: make(map[core.ProcKey]string), asked: make(map[core.ProcKey]bool), news: make(chan core.ProcKey, 64)}
}

// Why tells why the plain text of a process cannot be had, "" when nobody knows
// yet; the first to ask about a process makes somebody look.
func (s *Secrets) Why(proc core.ProcKey) string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asked[proc] && len(s.asked) < maxSecrets {
		select {
		case s.news <- proc:
			s.asked[proc] = true
		default: // asked again at its next connection
		}
	}
	if why := s.why[proc]; why != "" {
		return why
	}
	return s.all
}

// Asked gives the processes that somebody asked about.
func (s *Secrets) Asked() <-chan core.ProcKey {
	if s == nil {
		return nil
	}
	return s.news
}

// Tell answers for a process; "" says that nothing is known against it.
func (s *Secrets) Tell(proc core.ProcKey, why string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if why == "" {
		delete(s.why, proc)
	} else if len(s.why) < maxSecrets {
		s.why[proc] = why
	}
}

// TellAll answers for every process of which nothing else is known; "" says that
// it depends on the process.
func (s *Secrets) TellAll(why string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = why
}

// Forget drops what is known of a process that ended.
func (s *Secrets) Forget(proc core.ProcKey) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.why, proc)
	delete(s.asked, proc)
}
