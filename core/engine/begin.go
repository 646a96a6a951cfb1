package engine

// Begin makes now the start of the window that counts and rates refer to. It is
// for a look that lasts a given time: the window should not hold the moments in
// which the probes were still being attached. What was counted in those moments
// stays. It may be called from any goroutine and takes effect with the next
// snapshot.
func (e *Engine) Begin() {
	e.put(call(func(s *state) {
		s.sampleClock()
		s.started, s.startedMono = s.now, s.mono
	}))
}
