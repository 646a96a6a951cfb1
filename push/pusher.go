package push

import (
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
)

// pusher pushes single snapshots. Not safe for concurrent use.
type pusher struct {
	*settings
	sender sender
}

func newPusher(s *settings) (*pusher, error) {
	to, err := s.kind.open(s)
	if err != nil {
		return nil, err
	}
	return &pusher{s, to}, nil
}

// result is how a push ended.
type result struct {
	answer
	payload payload
	bytes   int // of the body, on the wire
	took    time.Duration
}

// push sends one snapshot, bounded by the timeout and ctx.
func (p *pusher) push(ctx context.Context, snap *core.Snapshot) result {
	return p.pushFamilies(ctx, func() []*dto.MetricFamily { return p.Families(snap) })
}

func (p *pusher) pushFamilies(ctx context.Context, gather func() []*dto.MetricFamily) result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	r := p.try(ctx, gather())
	r.took = time.Since(began)
	return r
}

func (p *pusher) try(ctx context.Context, families []*dto.MetricFamily) (r result) {
	load, err := p.shape(families)
	if err != nil {
		r.answer = answer{verdict: permanent, err: fmt.Errorf("push to %s: %w", p.shown, err)}
		return r
	}
	r.payload = load
	if len(load.families) == 0 {
		r.verdict = nothing
		return r
	}
	r.answer, r.bytes = p.sender.deliver(ctx, load)
	return r
}

// shape makes of all families what this destination is to get: the chosen ones,
// changed, without what it would refuse. Nothing of families is modified.
func (s *settings) shape(families []*dto.MetricFamily) (payload, error) {
	if s.filter != nil {
		families = s.filter.Apply(families)
	}
	if s.change != nil {
		var err error
		if families, err = s.change(families); err != nil {
			return payload{}, fmt.Errorf("transform: %w", err)
		}
	}
	return prepare(families, s.group, s.kind.strict)
}

// remove takes away what was delivered.
func (p *pusher) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	return p.sender.remove(ctx)
}

func (p *pusher) close() { p.sender.close() }

// fresh returns a snapshot of now, or the newest one when that is not to be had
// in time.
func (s *settings) fresh(ctx context.Context, within time.Duration) *core.Snapshot {
	if s.Fresh != nil {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if snap := s.Fresh(ctx); snap != nil {
			return snap
		}
	}
	return s.Source.Latest()
}
