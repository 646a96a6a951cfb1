package main

import (
	"os"
	"sync"

	"vitals/core"
	"vitals/core/calls"
	"vitals/core/cli"
	"vitals/core/config"
	"vitals/push"
	"vitals/push/filter"
	"vitals/push/transform"
)

// destinations are those of the configuration, ready for push. A dashboard is
// drawn on standard output, so that is left out beside one (unfit tells).
func (p *program) destinations(s settings) (out []push.Config) {
	for _, d := range s.Pushes() {
		if d.Type == push.Stdout && s.screen {
			continue
		}
		c := destination(d)
		c.As = as(s.PushAuthor())
		c.Instance, c.Version, c.Log = s.InstanceName(), version, s.log
		c.Source, c.Fresh, c.Report, c.Event = p.engine, p.engine.Flush, p.engine.Push, p.engine.Event
		own := p.pushes.of(lineOf(c), p.calls)
		c.Now, c.Recorder, c.Out = own.bell, own.tracker, os.Stdout
		out = append(out, c)
	}
	return out
}

// as runs something with a user's rights on files, nil when those are ours.
func as(u config.User) func(func() error) error {
	if !u.Other {
		return nil
	}
	return u.Do
}

// pushUnits are the recipes of the destinations.
func (p *program) pushUnits(s settings) ([]core.Spec, error) {
	all := p.destinations(s)
	specs, err := push.NewSpecs(all)
	if err != nil {
		return nil, err
	}
	units := map[string]string{}
	for i, spec := range specs {
		units[lineOf(all[i])] = spec.ID
	}
	p.pushes.settle(units)
	return specs, nil
}

// lineOf names a destination from one reading of the configuration to the next.
func lineOf(c push.Config) string { return c.Kind + " " + c.Name + " " + c.URL + c.Path }

// destination says to push what the configuration says of one destination.
func destination(d config.Push) push.Config {
	c := push.Config{
		Kind: d.Type, Name: d.Name, URL: d.URL, Path: d.Path, Mode: d.Mode,
		Interval: d.Interval, Timeout: d.Timeout, Job: d.Job, Method: d.Method, DeleteOnExit: d.DeleteOnExit,
		Format: push.Format(d.Format), Compression: push.Compression(d.Compression),
		Keep: d.Keep, Drop: d.Drop,
		Change: transform.Rules{
			RemoveLabels: d.RemoveLabels, RenameLabels: byName(d.RenameLabels), AddLabels: byName(d.AddLabels),
			RenameFamilies: byName(d.RenameFamilies), Timestamps: d.Timestamps,
		},
	}
	c.HTTP, _, _ = push.ParseHTTPClient(d.HTTP) // judged when it was read
	for _, l := range d.Group {
		c.Grouping = append(c.Grouping, push.Label{Name: l.Name, Value: l.Value})
	}
	return c
}

func byName(labels []config.Label) map[string]string {
	out := make(map[string]string, len(labels))
	for _, l := range labels {
		out[l.Name] = l.Value
	}
	return out
}

// unfit are destinations that do not go with a dashboard.
func unfit(r *cli.Options) (warnings []string) {
	for _, d := range r.Pushes() {
		if d.Type == push.Stdout {
			warnings = append(warnings, "nothing is pushed to standard output while the dashboard is drawn on it: use --headless")
		}
	}
	return warnings
}

// What push says of settings that the configuration only carries.

func checkSelector(s string) error {
	_, err := filter.Parse(s)
	return err
}

func checkHTTPClient(yaml string) (line int, err error) {
	_, line, err = push.ParseHTTPClient(yaml)
	return line, err
}

// lines are what main keeps of each destination while the configuration has it.
// The zero value has none.
type lines struct {
	mu sync.Mutex
	by map[string]*line
}

type line struct {
	unit    string         // id
	bell    chan struct{}  // rung to push now; one that is busy hears it later, once
	tracker *calls.Tracker // of its requests
}

// of gives the line of a destination, the same one each time.
func (l *lines) of(key string, next calls.Rower) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]*line{}
	}
	if l.by[key] == nil {
		l.by[key] = &line{bell: make(chan struct{}, 1), tracker: calls.NewTracker(next, failingAfter, failingAfter)}
	}
	return l.by[key]
}

// settle forgets the destinations that are no more, and learns the units of the others.
func (l *lines) settle(units map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.by {
		if one.unit = units[key]; one.unit == "" {
			delete(l.by, key)
		}
	}
}

func (l *lines) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.by {
		select {
		case one.bell <- struct{}{}:
		default:
		}
	}
}

// stuck calls tell for the destinations that nothing reached for a while.
func (l *lines) stuck(tell func(unit string, f calls.Failing)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.by {
		for _, f := range one.tracker.Stuck() {
			tell(one.unit, f)
		}
	}
}
