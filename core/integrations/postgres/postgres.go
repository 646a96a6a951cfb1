// Package postgres asks PostgreSQL what its statistics views know, in a session
// that can only read, waits for no lock and ends every query after two seconds.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say which server to ask.
type Settings struct {
	Address   string `yaml:"address"` // "127.0.0.1:5432", "unix:/run/postgresql/.s.PGSQL.5432"
	kit.Login `yaml:",inline"`
	// Database is the one to log in to: its tables are told one by one, the others
	// as a whole.
	Database string  `yaml:"database"`
	TLS      kit.TLS `yaml:"tls"`
}

const port = 5432

const grants = `PostgreSQL 10 and later, as a superuser:
  CREATE ROLE vitals LOGIN PASSWORD 'PASSWORD' CONNECTION LIMIT 2;
  GRANT pg_monitor TO vitals;
Statements one by one, in the database that vitals logs in to (shared_preload_libraries = 'pg_stat_statements'):
  CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
Or no password at all: let vitals, as root, log in over the Unix socket as the server's own user (peer
authentication); it then gives up that user's rights for those of pg_monitor before it asks anything.`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "postgres", Title: "PostgreSQL", Docs: "docs/integrations/postgres.md", Grants: grants, Ambient: true,
		Help:      "what PostgreSQL counts for each database, table, lock and statement; costs it a dozen small queries each time, on one connection",
		Defaults:  func() Settings { return Settings{Address: "127.0.0.1:5432"} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  validate,
		Signs: kit.Signs{
			Executables: []string{"postgres", "postmaster"},
			Units:       []string{"postgresql*.service"},
			Protocols:   []string{"postgres", "postgresql", "pgsql"},
			Sockets:     []string{"*/.s.PGSQL.*"},
			Ports:       []uint16{port},
		},
		Candidates: candidates,
		Probe:      probe,
		Open:       open,
		Figures:    figures(),
		Metrics:    metrics(),
	})
}

func normalise(s *Settings, _ kit.Shared) error {
	e, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if e.Network == "unix" && !strings.Contains(e.Address, ".s.PGSQL.") {
		e.Address = strings.TrimSuffix(e.Address, "/") + fmt.Sprintf("/.s.PGSQL.%d", port) // the directory, as libpq has it
	}
	s.Address = e.String()
	if s.Database == "" {
		s.Database = "postgres"
	}
	return nil
}

func validate(s Settings) error {
	if s.Ambient && !strings.HasPrefix(s.Address, "unix:") {
		return errors.New("ambient: only a Unix socket tells the server who connects (address: unix:/run/postgresql)")
	}
	return s.TLS.Validate()
}

func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network == "tcp" || e.Network == "unix" && strings.Contains(e.Address, ".s.PGSQL.") {
			out = append(out, Settings{Address: e.String()})
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	line     kit.Line[*session]
	queries  []query
	slow     map[string]slowly // by query
	refused  map[string]slowly // by query
}

// slowly is what is not asked at each round.
type slowly struct {
	until   time.Time
	samples []sample
	err     error
}

type sample struct {
	metric *kit.Metric
	v      float64
	labels []string
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	c := &collector{settings: s, env: e, queries: queries(), slow: map[string]slowly{}, refused: map[string]slowly{}}
	c.line.Connect = c.connect
	c.line.Keep = isRefusal
	return c, nil
}

// Collect asks all queries one after the other.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "postgres.collect", func(ctx context.Context) error {
		var told []sample
		missing := core.Parts{}
		err := c.line.Use(ctx, func(s *session) (err error) {
			clear(missing)
			told, err = c.ask(s, b.At, told[:0], missing)
			return err
		})
		if err != nil {
			return fmt.Errorf("postgres: %w", err)
		}
		for _, s := range told {
			b.Add(s.metric, s.v, s.labels...)
		}
		for part, err := range missing {
			b.Missing(part, err)
		}
		return nil
	})
}

// Check runs the smallest query there is.
func (c *collector) Check(ctx context.Context) error {
	return c.line.Use(ctx, func(s *session) error { return s.query("SELECT 1", 1, func(row) error { return nil }) })
}

// Close ends the session.
func (c *collector) Close() { c.line.Close() }

// ask appends what the queries tell to told. What the server refuses goes to
// missing; only a broken connection is an error.
func (c *collector) ask(s *session, now time.Time, told []sample, missing core.Parts) ([]sample, error) {
	for i := range c.queries {
		q := &c.queries[i]
		if !q.fits(s) {
			continue
		}
		if r, ok := c.refused[q.part]; ok && now.Before(r.until) {
			missing[q.part] = r.err
			continue
		}
		if kept, ok := c.slow[q.part]; ok && now.Before(kept.until) {
			told = append(told, kept.samples...)
			continue
		}
		before := len(told)
		err := s.query(q.sql(s), q.rows(), func(r row) error {
			told = q.read(r, told)
			return nil
		})
		if err != nil && !isRefusal(err) {
			return told, fmt.Errorf("%s: %w", q.part, err)
		}
		if err != nil {
			told = told[:before]
			err = judged(err)
			missing[q.part] = err
			if errors.Is(err, kit.ErrRights) {
				// Each refusal is a line in the server's log.
				c.refused[q.part] = slowly{until: now.Add(10 * time.Minute), err: err}
			}
			continue
		}
		if q.every > 0 {
			c.slow[q.part] = slowly{until: now.Add(q.every), samples: append([]sample(nil), told[before:]...)}
		}
	}
	return told, nil
}
