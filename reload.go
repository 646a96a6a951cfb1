package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"vitals/core"
	"vitals/core/config"
	"vitals/core/supervisor"
)

// live are the settings that a reload applies; a name stands for its section.
var live = []string{"include", "exclude", "instrumentation", "services", "groups", "push", "gateway", "integrations", "budget"}

// reload reads the configuration again and applies what changed, and nothing
// else. What is wrong leaves everything as it was. The outcome is an event.
func (p *program) reload() {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	says, err := p.readAgain()
	if err != nil {
		p.log.Error("the configuration was not read again", "error", err)
		p.engine.Event(core.Event{Kind: core.EventNotice, Error: err.Error(),
			Reason: "the configuration was not read again, what was read before holds"})
		return
	}
	p.log.Info("the configuration was read again", "outcome", says)
	p.engine.Event(core.Event{Kind: core.EventNotice, Reason: "the configuration was read again: " + says})
}

func (p *program) readAgain() (says string, err error) {
	was := p.loaded()
	next, err := was.Reload()
	if err != nil {
		return "", err
	}
	if len(next.Problems) > 0 {
		var all []error
		for _, problem := range next.Problems {
			all = append(all, errors.New(problem.String()))
		}
		return "", errors.Join(all...)
	}
	now := p.settings
	options := *now.Options
	options.Loaded = next
	now.Options = &options
	if _, err := p.units(now); err != nil { // before anything changes
		return "", err
	}
	if err := p.discover.Select(selection(next.Config)); err != nil {
		return "", err
	}
	if _, err := p.supervisor.Prefer(next.Choices()); err != nil {
		return "", err
	}
	asked := p.servers.Apply(servers(now))
	specs, err := p.units(now)
	if err != nil {
		return "", err
	}
	results := p.supervisor.Apply(specs)
	p.newest.Store(next)
	select {
	case p.rebudget <- struct{}{}:
	default:
	}
	return outcome(was.Changed(next), together(results, asked)), nil
}

// loaded is the configuration that holds.
func (p *program) loaded() *config.Loaded {
	if l := p.newest.Load(); l != nil {
		return l
	}
	return p.settings.Loaded
}

// outcome says in one line what a reload did.
func outcome(changed []string, results []supervisor.Result) string {
	var words, later []string
	for _, key := range changed {
		section, _, _ := strings.Cut(key, ".")
		if slices.Contains(live, section) {
			words = append(words, key)
		} else {
			later = append(later, key)
		}
	}
	for _, r := range results {
		switch {
		case r.Err != nil:
			words = append(words, fmt.Sprintf("%s %s: %v", r.ID, r.Change, r.Err))
		case r.Change != supervisor.Unchanged:
			words = append(words, fmt.Sprintf("%s %s", r.ID, r.Change))
		}
	}
	if len(later) > 0 {
		words = append(words, strings.Join(later, ", ")+" with the next start")
	}
	if len(words) == 0 {
		return "nothing changed"
	}
	return strings.Join(words, "; ")
}

// watchConfig reloads when the file changes and, without a screen, on SIGHUP.
// With one, SIGHUP is the end of the terminal.
func (p *program) watchConfig(ctx context.Context) error {
	if !p.settings.screen {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-hup:
					p.reload()
				}
			}
		}()
	}
	if err := p.settings.Watch(ctx, p.reload); err != nil {
		p.log.Warn("a changed configuration is read on request only", "error", err)
	}
	<-ctx.Done()
	return nil
}

// untilHangup ends with ctx or with the terminal, unless nohup said otherwise.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}
