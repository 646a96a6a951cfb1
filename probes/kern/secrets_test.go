package kern

import (
	"testing"

	"vitals/core"
)

// Where nobody's plain text can be had, every process has the reason, and nobody
// is asked to look; otherwise who asks first makes somebody look.
func TestSecretsTellWhy(t *testing.T) {
	s, proc := NewSecrets(), core.ProcKey{PID: 7, Birth: 70}
	s.Tell(proc, "another library")
	s.TellAll("an old kernel")
	if why := s.Why(proc); why != "an old kernel" {
		t.Errorf("%q", why)
	}
	select {
	case p := <-s.Asked():
		t.Errorf("asked about %v", p)
	default:
	}
	s.TellAll("")
	if why := s.Why(proc); why != "another library" {
		t.Errorf("%q", why)
	}
	select {
	case p := <-s.Asked():
		if p != proc {
			t.Errorf("asked about %v", p)
		}
	default:
		t.Error("not asked")
	}
	s.Forget(proc)
	if why := s.Why(proc); why != "" {
		t.Errorf("%q after its end", why)
	}
}
