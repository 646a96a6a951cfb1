package push

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"vitals/core"
)

// pusher pushes single snapshots and remembers which encoding its gateway
// takes. Not safe for concurrent use.
type pusher struct {
	*client
	enc       encoder
	encodings []encoding
	chosen    int  // index of the encoding to begin with
	proven    bool // the gateway has taken the chosen one
}

func newPusher(s *settings) (*pusher, error) {
	c, err := newClient(s)
	if err != nil {
		return nil, err
	}
	return &pusher{client: c, encodings: encodings()}, nil
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
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	r := p.try(ctx, snap)
	r.took = time.Since(began)
	return r
}

func (p *pusher) try(ctx context.Context, snap *core.Snapshot) (r result) {
	load, err := prepare(p.Families(snap), p.group)
	if err != nil {
		r.answer = answer{verdict: permanent, err: fmt.Errorf("push to %s: %w", p.shown, err)}
		return r
	}
	r.payload = load
	if len(load.families) == 0 {
		r.verdict = nothing
		return r
	}
	for i := p.chosen; i < len(p.encodings); i++ {
		enc := p.encodings[i]
		body, zipped, err := p.enc.encode(load.families, enc)
		if err != nil {
			r.answer = answer{verdict: permanent, err: fmt.Errorf("push to %s: encode: %w", p.shown, err)}
			return r
		}
		a := p.send(ctx, p.Method, body, string(enc.format), zipped)
		if a.verdict == delivered {
			if zipped || i > 0 {
				p.chosen, p.proven = i, true
			}
			r.answer, r.bytes = a, len(body)
			return r
		}
		// The first refusal tells most; the later ones are about our fall-backs.
		if r.err == nil {
			r.answer = a
		}
		if !p.refusedEncoding(a) {
			return r
		}
		if enc.gzip && !zipped {
			i++ // too small to compress: the next encoding would be the same bytes
		}
	}
	return r
}

// refusedEncoding reports whether another encoding is worth a try. A 400 has
// many reasons, so it counts only until an encoding was proven.
func (p *pusher) refusedEncoding(a answer) bool {
	return a.status == http.StatusUnsupportedMediaType || a.status == http.StatusBadRequest && !p.proven
}

// remove deletes the group.
func (p *pusher) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	a := p.send(ctx, http.MethodDelete, nil, "", false)
	return a.err
}

func (p *pusher) close() { p.http.CloseIdleConnections() }

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
