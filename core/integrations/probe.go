package integrations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// probe asks the candidates of a server, one after the other, in a goroutine of
// its own, until one of them answers.
func (m *Manager) probe(ctx context.Context, s *server, now time.Time, probes *sync.WaitGroup) {
	f := &m.finder
	f.probing++
	var ask []candidate
	for _, c := range s.candidates {
		if c.other || m.again(s, c).After(now) {
			continue
		}
		ask = append(ask, c)
		f.probed[unitID(s.kind.Name, c.name)] = now
	}
	s.probing, s.due = true, time.Time{}
	kind, where := s.kind, s.where
	probes.Go(func() {
		o := m.askAll(ctx, kind, ask, m.env("probe/"+kind.Name, where))
		m.mu.Lock()
		f.probing--
		m.answered(s, ask, o, time.Now())
		m.mu.Unlock()
		m.in.nudge()
	})
}

// outcome is what the probes of one server came to.
type outcome struct {
	at    int // of the candidates
	found any
	saw   string
	err   error
	other []int // candidates where something else answers
}

func (m *Manager) askAll(ctx context.Context, k kit.Kind, ask []candidate, e kit.Env) (o outcome) {
	for i, c := range ask {
		found, saw, err := m.ask(ctx, k, c.settings, e)
		switch {
		case err == nil:
			o.at, o.found, o.saw, o.err = i, found, saw, nil
			return o
		case errors.Is(err, kit.ErrOther):
			o.other = append(o.other, i)
		case o.err == nil || rank(err) > rank(o.err):
			o.at, o.err, o.saw = i, err, saw
		}
		if ctx.Err() != nil || errors.Is(err, kit.ErrConsent) || errors.Is(err, kit.ErrCredentials) {
			return o
		}
	}
	if o.err == nil {
		o.err = kit.ErrOther
	}
	return o
}

// rank orders errors by how much they say of the server.
func rank(err error) int {
	switch {
	case errors.Is(err, kit.ErrConsent):
		return 4
	case errors.Is(err, kit.ErrCredentials), errors.Is(err, kit.ErrRights):
		return 3
	case errors.Is(err, kit.ErrNotOffered):
		return 2
	}
	return 0
}

// ask is one probe, which has its second and not more.
func (m *Manager) ask(ctx context.Context, k kit.Kind, settings any, e kit.Env) (found any, saw string, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Limits.Probe)
	defer cancel()
	type answer struct {
		found any
		saw   string
		err   error
	}
	done := make(chan answer, 1)
	call := core.StartCall(m.cfg.Recorder, "integration.probe")
	go func() {
		var a answer
		defer func() { done <- a }()
		defer contain(&a.err)
		a.found, a.saw, a.err = k.Probe(ctx, settings, e)
	}()
	select {
	case a := <-done:
		call.End(a.err)
		return a.found, a.saw, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-done:
		call.End(a.err)
		return a.found, a.saw, a.err
	case <-time.After(closing): // it ignores its deadline
		err = fmt.Errorf("the probe did not return: %w", context.DeadlineExceeded)
		call.End(err)
		return nil, "", err
	}
}

// answered takes what the probes came to.
func (m *Manager) answered(s *server, ask []candidate, o outcome, now time.Time) {
	s.probing, s.probed = false, true
	index := func(name string) int {
		return slices.IndexFunc(s.candidates, func(c candidate) bool { return c.name == name })
	}
	for _, i := range o.other {
		if k := index(ask[i].name); k >= 0 {
			s.candidates[k].other = true
		}
	}
	if o.err != nil && s.err != nil && rank(o.err) < rank(s.err) {
		o.err, o.saw, o.at = s.err, s.saw, -1 // another endpoint said more
	}
	s.err, s.saw = o.err, core.Clean(o.saw, core.MaxCmdline)
	if k := index(nameAt(ask, o.at)); k >= 0 && (o.err == nil || rank(o.err) > 0) {
		s.chosen = k
		if o.err == nil {
			s.candidates[k].settings = o.found
		}
	}
	if o.err == nil {
		s.pause = 0
		return
	}
	s.pause = min(max(2*s.pause, m.cfg.Limits.Again), m.cfg.Limits.AgainMax)
	s.due = now.Add(s.pause)
}

// nameAt is the name of a candidate, "" of none.
func nameAt(list []candidate, i int) string {
	if i < 0 || i >= len(list) {
		return ""
	}
	return list[i].name
}

// maxProbed is how many endpoints are remembered for long: a process can listen
// at new ones as often as it likes.
const maxProbed = 4096

func (m *Manager) forgetProbes(now time.Time) {
	keep := 2 * m.cfg.Limits.AgainMax
	if len(m.finder.probed) > maxProbed {
		keep = m.cfg.Limits.Again
	}
	maps.DeleteFunc(m.finder.probed, func(_ string, at time.Time) bool { return now.Sub(at) > keep })
}
