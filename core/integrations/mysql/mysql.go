// Package mysql asks MySQL and MariaDB for their global status, a few settings,
// replication and statements, in a session that can only read.
package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say which server to ask.
type Settings struct {
	Address   string `yaml:"address"` // "127.0.0.1:3306", "unix:/run/mysqld/mysqld.sock"
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
}

const port = 3306

const grants = `MariaDB 10.5 and later:
  CREATE USER vitals@localhost IDENTIFIED BY 'PASSWORD' WITH MAX_USER_CONNECTIONS 2;
  GRANT PROCESS, SLAVE MONITOR ON *.* TO vitals@localhost;
  GRANT SELECT ON performance_schema.events_statements_summary_by_digest TO vitals@localhost;
MySQL 5.7 and later:
  CREATE USER vitals@localhost IDENTIFIED BY 'PASSWORD' WITH MAX_USER_CONNECTIONS 2;
  GRANT PROCESS, REPLICATION CLIENT ON *.* TO vitals@localhost;
  GRANT SELECT ON performance_schema.events_statements_summary_by_digest TO vitals@localhost;
Or no password at all: let vitals, as root, log in over the Unix socket as the server's own user, where the server asks
the kernel who connects (unix_socket of MariaDB, auth_socket of MySQL). The session is read-only either way.`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "mysql", Title: "MySQL", Docs: "docs/integrations/mysql.md", Grants: grants, Ambient: true,
		Help:      "what MySQL or MariaDB counts: commands, handlers, InnoDB, connections, replication, statements; costs it three small queries each time, on one connection",
		Defaults:  func() Settings { return Settings{Address: "127.0.0.1:3306"} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  validate,
		Signs: kit.Signs{
			Executables: []string{"mysqld", "mariadbd", "mysqld-debug"},
			Units:       []string{"mysql*.service", "mariadb*.service"},
			Protocols:   []string{"mysql"},
			Sockets:     []string{"*mysqld*.sock", "*mysql.sock", "*mariadb*.sock"},
			Ports:       []uint16{port},
		},
		Candidates: candidates,
		Probe:      probe,
		Open:       open,
		Figures:    figures(),
		Metrics:    described(),
	})
}

func normalise(s *Settings, _ kit.Shared) error {
	e, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	s.Address = e.String()
	return nil
}

func validate(s Settings) error {
	if s.Ambient && !strings.HasPrefix(s.Address, "unix:") {
		return errors.New("ambient: only a Unix socket tells the server who connects (address: unix:/run/mysqld/mysqld.sock)")
	}
	return s.TLS.Validate()
}

// candidates leaves the port of MySQL's X protocol alone.
func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network == "unix" && !strings.Contains(e.Address, "mysqlx") || e.Network == "tcp" && e.Port() != 33060 && e.Port() != 33062 {
			out = append(out, Settings{Address: e.String()})
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	line     kit.Line[*session]
	names    map[string]named
	refused  map[string]pause // parts that the login may not read
	settled  pause            // the settings, which seldom change
	schema   bool             // whether performance_schema is on
}

// pause is what is not asked again before a time.
type pause struct {
	until time.Time
	told  []sample
	err   error
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	c := &collector{settings: s, env: e, names: map[string]named{}, refused: map[string]pause{}}
	c.line.Connect = c.connect
	c.line.Keep = isRefusal
	return c, nil
}

// Collect asks everything, over one connection.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "mysql.collect", func(ctx context.Context) error {
		var told []sample
		missing := core.Parts{}
		err := c.line.Use(ctx, func(s *session) (err error) {
			clear(missing)
			told, err = c.ask(s, b.At, told[:0], missing)
			return err
		})
		if err != nil {
			return fmt.Errorf("mysql: %w", judged(err))
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

// ask appends what the server tells to told.
func (c *collector) ask(s *session, now time.Time, told []sample, missing core.Parts) ([]sample, error) {
	told = append(told, sample{versionInfo, 1, []string{s.comment, s.version}})
	told, err := c.status(s, told)
	if err != nil {
		return told, fmt.Errorf("SHOW GLOBAL STATUS: %w", err)
	}
	for _, p := range []struct {
		name string
		read func(*session, time.Time, []sample) ([]sample, error)
	}{{"settings", c.variables}, {"replication", c.replication}, {"statements", c.statements}} {
		if r, ok := c.refused[p.name]; ok && now.Before(r.until) {
			missing[p.name] = r.err
			continue
		}
		before := len(told)
		told, err = p.read(s, now, told)
		if err == nil {
			continue
		}
		if !isRefusal(err) {
			return told, fmt.Errorf("%s: %w", p.name, err)
		}
		told = told[:before]
		missing[p.name] = judged(err)
		c.refused[p.name] = pause{until: now.Add(10 * time.Minute), err: judged(err)}
	}
	return told, nil
}

// Check asks whether the server answers.
func (c *collector) Check(ctx context.Context) error {
	return c.line.Use(ctx, func(s *session) error { return s.query("SELECT 1", func(row) {}) })
}

// Close ends the session.
func (c *collector) Close() { c.line.Close() }

// probe looks at the socket, or reads the greeting that the server sends to
// whoever connects. The server logs a greeting that nobody answers as an aborted
// connection, so that a socket, which says enough, is only looked at.
func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login = kit.Login{}
	at, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return s, "", err
	}
	if at.Network == "unix" {
		if _, _, err := e.Owner(at.Address); err != nil {
			return s, "", err
		}
		return s, "its socket is there", fmt.Errorf("%w to log in as the server's own user; or give user and password", kit.ErrConsent)
	}
	c, err := e.Dial(ctx, at.Network, at.Address)
	if err != nil {
		return s, "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, version, err := readGreeting(c)
	switch {
	case context.Cause(ctx) != nil:
		return s, "", context.Cause(ctx)
	case errors.Is(err, errGreeting) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return s, "", fmt.Errorf("%w: %w", kit.ErrOther, errGreeting)
	case err != nil:
		return s, "", err
	}
	return s, core.Clean(version, 64) + " greets", fmt.Errorf("%w: give user and password", kit.ErrCredentials)
}
