package integrations

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// A process that listens at ever new places must not fill the memory.
func TestEndpointsThatWereProbedAreForgotten(t *testing.T) {
	m := New(Config{})
	now := time.Now()
	fill := func(n int, at time.Time) {
		for i := range n {
			m.finder.probed[fmt.Sprint(at.Unix(), i)] = at
		}
	}
	var probes sync.WaitGroup
	fill(maxProbed, now.Add(-time.Hour))
	if m.look(t.Context(), now, &probes); len(m.finder.probed) != maxProbed {
		t.Errorf("%d endpoints are remembered, want %d", len(m.finder.probed), maxProbed)
	}
	fill(1, now)
	if m.look(t.Context(), now, &probes); len(m.finder.probed) != 1 {
		t.Errorf("%d endpoints are remembered, want 1", len(m.finder.probed))
	}
}

func TestPatternsOfAddressesWithBrackets(t *testing.T) {
	for pattern, want := range map[string]bool{
		"redis/[::1]:6379": true, "redis/*:6379": true, "redis": true, "redis/?::1?:6379": true,
		"redis/[::1]:6380": false, "redis/1:6379": false,
	} {
		if got := matches([]string{pattern}, "redis", "[::1]:6379"); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}
