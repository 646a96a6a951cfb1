package servertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"vitals/core/integrations/kit"
)

// Frozen fails the test when a collection from a server that does not answer
// ends in anything but its deadline, or not soon after it. The server runs again
// afterwards.
func Frozen(t testing.TB, s *Server, c kit.Collector) {
	t.Helper()
	s.Freeze()
	defer s.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := c.Collect(ctx, kit.NewBatch(began, 0, 0))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("frozen: a collection with half a second took %v", took)
	}
}
