package kern

import (
	"context"
	"testing"
	"time"
)

func TestReadersSettleWhenAsked(t *testing.T) {
	s := &Settling{}
	woken := make(chan struct{}, 1)
	r := s.Join(func() { woken <- struct{}{} })
	if r.Answer(func() { t.Error("nobody asked") }) {
		t.Error("answered nobody")
	}
	settled := false
	go func() {
		<-woken
		if !r.Answer(func() { settled = true }) {
			t.Error("woken, but not asked")
		}
	}()
	s.Settle(t.Context())
	if !settled {
		t.Error("returned before the reader had settled")
	}
	// One that leaves, or never answers, holds nobody up for ever.
	go func() {
		<-woken
		r.Leave()
	}()
	s.Settle(t.Context())
	s.Settle(t.Context())
	s.Join(func() {})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	s.Settle(ctx)
	var nobody *Settling
	nobody.Settle(t.Context())
	nobody.Join(nil).Leave()
}
