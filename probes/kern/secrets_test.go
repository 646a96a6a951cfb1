package kern

import (
	"testing"

	"vitals/core"
)

// Who asks first makes somebody look; until there is an answer for the process,
// what holds for all is told.
func TestSecretsTellWhy(t *testing.T) {
	s, proc := NewSecrets(), core.ProcKey{PID: 7, Birth: 70}
	s.TellAll("an old kernel")
	for range 2 {
		if why := s.Why(proc); why != "an old kernel" {
			t.Errorf("%q", why)
		}
	}
	if n := len(s.Asked()); n != 1 || <-s.Asked() != proc {
		t.Errorf("asked %d times", n)
	}
	s.Tell(proc, "another library")
	if why := s.Why(proc); why != "another library" {
		t.Errorf("%q", why)
	}
	s.TellAll("")
	s.Forget(proc)
	if why := s.Why(proc); why != "" {
		t.Errorf("%q after its end", why)
	}
}
