package engine

import (
	"testing"

	"vitals/core"
)

// Rows of destinations and of the gateway come and go with their units.
func TestRowsOfUnitsGoWithThem(t *testing.T) {
	cfg := Config{}
	cfg.fill()
	s := newState(cfg)
	s.unit(core.UnitRow{ID: "destination/a"})
	s.push(core.PushRow{Destination: "a", Unit: "destination/a"})
	s.push(core.PushRow{Destination: "b", Unit: "destination/b"})
	s.gateway(&core.GatewayRow{Unit: "gateway/main", Groups: 3})
	before := s.build(true)
	if len(before.Push) != 2 || before.Gateway == nil || before.Gateway.Groups != 3 {
		t.Fatalf("%+v", before)
	}
	s.unitGone("destination/a")
	s.gateway(nil)
	after := s.build(false)
	if len(after.Push) != 1 || after.Push[0].Destination != "b" || after.Gateway != nil {
		t.Errorf("%+v", after)
	}
	if len(before.Push) != 2 || before.Gateway == nil {
		t.Error("a published snapshot changed")
	}
}
