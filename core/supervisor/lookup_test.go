package supervisor

import (
	"testing"
	"time"

	"vitals/core"
)

// Lookup gives a unit only while it is attached, and never the one that is on
// its way out.
func TestLookupGivesWhatIsAttached(t *testing.T) {
	p := &plant{}
	first := p.destination("here")
	first.Fingerprint = "1"
	inLab(t, Config{Specs: []core.Spec{first}}, func(l *lab) {
		if _, _, ok := l.Lookup("destination/none"); ok {
			t.Error("a unit that is not there was found")
		}
		spec, unit, ok := l.Lookup("destination/here")
		if !ok || spec.Fingerprint != "1" || unit != core.Unit(p.unit()) {
			t.Errorf("found %v %v %v", spec.ID, unit, ok)
		}
		old := unit
		second := p.destination("here")
		second.Fingerprint = "2"
		l.Apply([]core.Spec{second})
		wait(time.Second)
		if _, unit, _ = l.Lookup("destination/here"); unit == nil || unit == old {
			t.Errorf("after remaking: %v", unit)
		}
		l.Apply(nil)
		wait(time.Second)
		if _, unit, ok = l.Lookup("destination/here"); ok || unit != nil {
			t.Errorf("after removal: %v %v", unit, ok)
		}
	})
}

func TestLookupGivesNothingOfAUnitThatFails(t *testing.T) {
	p := &plant{make: func(int) error { return errFlaky }}
	inLab(t, Config{Specs: []core.Spec{p.destination("bad")}}, func(l *lab) {
		if spec, unit, ok := l.Lookup("destination/bad"); !ok || unit != nil || spec.Kind != "bad" {
			t.Errorf("%v %v %v", spec.ID, unit, ok)
		}
	})
}
