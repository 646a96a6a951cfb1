package main

import (
	"os"
	"sync"

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
		c.Instance, c.Version, c.Log = s.InstanceName(), version, s.log
		c.Source, c.Fresh, c.Report, c.Event = p.engine, p.engine.Flush, p.engine.Push, p.engine.Event
		c.Now, c.Recorder, c.Out = p.pushNow.of(d.Type+" "+d.Name+" "+d.URL+d.Path), p.pushes, os.Stdout
		out = append(out, c)
	}
	return out
}

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

// bells tells destinations to push now. One that is busy hears it later, once.
type bells struct {
	mu sync.Mutex
	by map[string]chan struct{}
}

// of gives the bell of a destination, the same one each time.
func (b *bells) of(name string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by == nil {
		b.by = map[string]chan struct{}{}
	}
	if b.by[name] == nil {
		b.by[name] = make(chan struct{}, 1)
	}
	return b.by[name]
}

func (b *bells) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bell := range b.by {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}
