package supervisor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"vitals/core"
)

// recountEvery is how often the number of processes of a unit is told at most.
const recountEvery = 100 * time.Millisecond

// Run attaches what is wanted and keeps it so until ctx ends, then takes
// everything out again: probes and integrations first, so that destinations
// can send the last counts, each group in parallel. It returns when all is
// out, or when the shutdown budget is spent, with an error that names what
// could not be taken out. It may be called once.
func (s *Supervisor) Run(ctx context.Context) error {
	if !s.began.CompareAndSwap(false, true) {
		return fmt.Errorf("run supervisor: it runs or ran already")
	}
	told, telling := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(telling)
		var calling sync.WaitGroup
		calling.Go(func() { s.post.deliver(told) })
		s.out.run(told)
		calling.Wait()
	}()
	s.begin()
	updates, requests := s.cfg.Updates, s.cfg.Requests
	for ctx.Err() == nil {
		s.turns++
		select {
		case <-ctx.Done():
		case <-s.in.wake:
			s.lookAtProcesses()
		case i := <-s.intents:
			s.carryOut(i)
		case <-s.mail.wake:
			s.configure()
		case set, open := <-updates:
			if !open {
				updates = nil
			} else if err := s.Configure(set); err != nil {
				s.notice("settings were left out", err)
			}
		case i, open := <-requests:
			if !open {
				requests = nil
			} else {
				s.carryOut(i)
			}
		case call := <-s.calls:
			call()
		case <-s.recount.C:
			s.tellCounts()
		}
	}
	close(s.over)
	err := s.shutdown()
	close(told)
	waitFor(telling, s.cfg.Limits.Grace)
	return err
}

// begin reads the state file and makes an actor for each spec.
func (s *Supervisor) begin() {
	s.recount = time.NewTimer(time.Hour)
	s.recount.Stop()
	if s.cfg.StatePath != "" {
		s.restore()
	}
	for _, r := range s.commit(s.cfg.Specs) {
		if r.Err != nil {
			s.notice(fmt.Sprintf("unit %s was left out", r.ID), r.Err)
		}
	}
	s.choices.rebuild()
	s.procs.setToggles(s.choices.current)
	s.out.toggles(s.choices.current)
	s.settle()
}

// restore takes over the choices of the state file; what is wrong with it is
// told, and never keeps vitals from starting.
func (s *Supervisor) restore() {
	owner := s.cfg.StateOwner
	if owner == nil {
		owner = InvokingUser()
	}
	file := stateFile{path: s.cfg.StatePath, owner: *owner}
	kept, err := file.read()
	if err != nil {
		s.notice("the choices of earlier runs were not read, starting fresh", err)
	}
	for key, choice := range kept {
		s.choices.put(key, choice)
	}
	s.saver = newSaver(file, func(err error) {
		s.notice("the choices could not be kept for the next run", err)
	})
}

// lookAtProcesses takes in all facts that wait.
func (s *Supervisor) lookAtProcesses() {
	forgot := false
	s.procs.now = time.Now()
	for _, f := range s.in.take() {
		ended, ends := s.procs.take(f)
		if ends {
			delete(s.procs.settings, place{scope: core.ScopeProcess, proc: ended})
		}
		forgot = ends && s.choices.forget(ended) || forgot
	}
	if forgot {
		s.choices.rebuild()
		s.procs.toggles = s.choices.current
		s.out.toggles(s.choices.current)
	}
	s.settle()
}

// settle gives every actor its order and lets those whose selection changed
// know. Orders that say what the last one said cost nothing.
func (s *Supervisor) settle() {
	untold := false
	for _, a := range s.actors {
		s.command(a)
		if a.unaware() {
			nudge(a.wake)
		}
		untold = untold || a.untold()
	}
	if untold && !s.procs.countsDue {
		s.procs.countsDue = true
		s.recount.Reset(recountEvery)
	}
}

func (s *Supervisor) tellCounts() {
	s.procs.countsDue = false
	for _, a := range s.actors {
		if a.untold() {
			a.refresh()
		}
	}
}

// command tells an actor whether its unit is wanted, and why.
func (s *Supervisor) command(a *actor) {
	spec := a.spec()
	if spec.PerProcess && !s.procs.seen && !s.choices.suspended {
		return // undecided: nobody has been looked at yet
	}
	on, why := s.wanted(a, spec)
	a.command(on, why)
}

// wanted says whether a unit shall be attached, and why.
func (s *Supervisor) wanted(a *actor, spec core.Spec) (bool, string) {
	machine := s.choices.current.Decide(spec.Kind, &core.Process{})
	switch {
	case spec.Class != core.ClassInstrumentation:
		// Only a choice switches these off; detach-all is about the kernel.
		off := s.choices.current.Choices[core.ToggleKey{Kind: spec.Kind, Scope: core.ScopeGlobal}] == core.Off
		if off {
			return false, "off"
		}
		return true, "configured"
	case !spec.PerProcess:
		return machine.On, machine.Reason
	}
	n := s.procs.users(spec.Kind)
	a.users.Store(int64(n))
	switch {
	case n > 0:
		return true, "in use"
	case !machine.On:
		return false, machine.Reason
	}
	return false, "no process uses it"
}

// notice tells of something that is nobody's unit.
func (s *Supervisor) notice(what string, err error) {
	s.out.event(core.Event{Kind: core.EventNotice, Reason: what, Error: errorText(err)})
}

// shutdown takes everything out within the budget.
func (s *Supervisor) shutdown() error {
	budget := time.NewTimer(s.cfg.Limits.Shutdown)
	defer budget.Stop()
	half := time.NewTimer(s.cfg.Limits.Shutdown / 2)
	defer half.Stop()

	sources, rest := s.partition()
	dismiss(sources)
	spent := waitAll(sources, half.C)
	dismiss(rest)
	if !waitAll(rest, budget.C) && spent {
		waitAll(sources, budget.C)
	}
	var left []string
	for _, a := range slices.Concat(sources, rest) {
		if why := a.residue(); why != "" {
			left = append(left, fmt.Sprintf("%s (%s)", a.id, why))
		}
	}
	s.finishChores(budget.C)
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	return fmt.Errorf("shutdown: still attached after %v: %s; the kernel removes it when vitals ends",
		s.cfg.Limits.Shutdown, strings.Join(left, ", "))
}

// partition splits the actors into those that make facts and those that send them away.
func (s *Supervisor) partition() (sources, rest []*actor) {
	for _, a := range slices.AppendSeq(s.leaving, maps.Values(s.actors)) {
		switch a.spec().Class {
		case core.ClassInstrumentation, core.ClassIntegration:
			sources = append(sources, a)
		default:
			rest = append(rest, a)
		}
	}
	return sources, rest
}

func dismiss(actors []*actor) {
	for _, a := range actors {
		a.dismiss("vitals ends", false)
	}
}

// waitAll waits for all actors to end; true when the time ran out before.
func waitAll(actors []*actor, end <-chan time.Time) bool {
	for _, a := range actors {
		select {
		case <-a.done:
		case <-end:
			return true
		}
	}
	return false
}

// finishChores waits for the last write of the state file and for callbacks.
func (s *Supervisor) finishChores(end <-chan time.Time) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.saver != nil {
			s.saver.close()
		}
		s.chores.Wait()
	}()
	select {
	case <-done:
	case <-end:
	case <-time.After(s.cfg.Limits.Grace):
	}
}

func waitFor(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}
