package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/config"

	"vitals/core"
	"vitals/core/expose"
	"vitals/push/filter"
	"vitals/push/transform"
)

// Limits and defaults of a destination.
const (
	DefaultTimeout  = 10 * time.Second // of one push, answer included
	DefaultInterval = 15 * time.Second
	FinalTimeout    = 5 * time.Second // of the last push and the DELETE after it
)

// Kinds of destinations.
const (
	Pushgateway = "pushgateway" // a Prometheus Pushgateway, or what speaks its protocol
	Textfile    = "textfile"    // a file for the textfile collector of node_exporter
	Stdout      = "stdout"      // a stream of expositions, for pipes
)

// Config describes one destination. Nothing is sent before all of it is found valid.
type Config struct {
	// Kind is Pushgateway (also when empty), Textfile or Stdout.
	Kind string
	// Name tells destinations apart when there are several: on screens, in labels
	// and in the unit's id. Empty is the address.
	Name string

	// URL is the gateway's address; "host:9091" means http. A user and password
	// in it become basic authentication and are shown nowhere.
	URL string
	// Path is the file of a Textfile, absolute and ending in .prom; Mode are its
	// permissions, 0 means 0644.
	Path string
	Mode fs.FileMode
	// Out is where Stdout writes. One goroutine at a time writes to it.
	Out io.Writer

	// Interval is the time between pushes, usually DefaultInterval. NewSpec
	// refuses 0 and less; Once and DryRun ignore it.
	Interval time.Duration
	// Job, Instance and Grouping, in this order, are the grouping key: the group
	// that a push replaces. A gateway needs Job and Instance, others none of them.
	Job, Instance string
	Grouping      []Label
	// Method is PUT (the default: the group is replaced, so series that vanished
	// here vanish there) or POST (only families of the same name are replaced).
	Method string
	// Timeout bounds one push; 0 means DefaultTimeout.
	Timeout time.Duration
	// DeleteOnExit removes the group, or the file, after the final push.
	DeleteOnExit bool
	// Format is how the body is written; empty is FormatText. FormatAuto is what
	// the kind takes best.
	Format Format
	// Compression is of a gateway's bodies; empty is Gzip. What a gateway refuses
	// is sent plain.
	Compression Compression
	// HTTP has authentication, TLS, proxy and headers; nil means none. Without a
	// proxy of its own, HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold. It is not
	// modified and must not be while the unit lives. Files that it names are read
	// again when they change.
	HTTP *config.HTTPClientConfig

	// As, when not nil, runs what reads the files that HTTP names, and what touches
	// that of a Textfile, with the rights of whoever wrote the settings.
	As func(f func() error) error
	// Keep and Drop are selectors (filter.Parse) of what is pushed, no Keep means
	// all; Change is what happens to that on its way.
	Keep, Drop []string
	Change     transform.Rules

	// Source gives the snapshots to push. It is required.
	Source core.Source
	// Shared, when not nil, gives several destinations the same snapshot and
	// families at each point in time; its Source and Families are used then.
	Shared *Shared
	// Fresh gives a snapshot that holds everything known at the call. Once,
	// DryRun and the final push use it; nil means Source.Latest. It must return
	// when its context ends, then possibly nil.
	Fresh func(context.Context) *core.Snapshot
	// Families renders a snapshot; nil means expose.Families. Its result is not modified.
	Families func(*core.Snapshot) []*dto.MetricFamily
	// Report is told the state after every change, from one goroutine at a time;
	// it must not block for long. It may be nil.
	Report func(core.PushRow)
	// Event is told when the state changes; it may be nil.
	Event func(core.Event)
	// Now, when not nil, asks for a push at once with every value received.
	Now <-chan struct{}
	// Recorder times the requests; it may be nil.
	Recorder core.Recorder
	// Log is told of the first failure, some of those that follow, and recovery;
	// nil discards.
	Log *slog.Logger
	// Version is told to the gateway as User-Agent vitals/Version.
	Version string
}

// Label is one name and value of a grouping key.
type Label struct{ Name, Value string }

// settings is a Config that was found valid, with its defaults filled in.
type settings struct {
	Config
	kind    kind
	filter  *filter.Filter // nil: everything
	change  transform.Func // nil: nothing
	id      string         // of the unit
	group   []Label        // the whole grouping key, job first
	target  string         // the group's address, without user and password; or the path
	shown   string         // the destination, as screens and errors name it
	secrets []string
}

const (
	maxValue = 1024 // bytes of one grouping value
	maxPath  = 8192 // bytes of the whole path
)

// Check says what is wrong with c, before anything is sent or written.
func Check(c Config) error {
	_, err := c.regular()
	return err
}

// regular validates everything, the interval included.
func (c Config) regular() (*settings, error) {
	if c.Interval <= 0 {
		return nil, fmt.Errorf("push interval %v: give a positive duration such as --interval 15s", c.Interval)
	}
	return c.check()
}

// check validates everything but the interval.
func (c Config) check() (*settings, error) {
	s := &settings{Config: c}
	var err error
	if s.kind, err = kindOf(c.Kind); err != nil {
		return nil, err
	}
	s.Kind = s.kind.name
	s.id = "destination/" + s.Kind
	if c.Name != "" {
		s.id += "/" + core.Clean(c.Name, core.MaxName)
	}
	if c.Shared != nil {
		s.Source, s.Families = c.Shared.source, c.Shared.families
	}
	if s.Source == nil {
		return nil, errors.New("push: a source of snapshots is required")
	}
	if s.Families == nil {
		s.Families = expose.Families
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("push timeout %v: give a positive duration such as 10s", c.Timeout)
	}
	if c.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if c.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if err := s.checkFormat(); err != nil {
		return nil, err
	}
	if err := s.checkPipeline(); err != nil {
		return nil, err
	}
	return s, s.kind.check(s)
}

// called is the name that screens and labels use.
func (s *settings) called() string {
	if s.Name != "" {
		return core.Clean(s.Name, core.MaxName)
	}
	return s.shown
}

// checkPipeline compiles what is chosen and changed.
func (s *settings) checkPipeline() (err error) {
	if len(s.Keep)+len(s.Drop) > 0 {
		if s.filter, err = filter.Of(s.Keep, s.Drop); err != nil {
			return fmt.Errorf("push %w", err)
		}
	}
	if s.Change.Timestamps && s.kind.strict {
		return fmt.Errorf("push timestamps: a %s refuses metrics that have some: leave them out", s.Kind)
	}
	if s.change, err = s.Change.Func(); err != nil {
		return fmt.Errorf("push %w", err)
	}
	return nil
}
