// Package memcached asks memcached for its statistics. It never reads an item.
package memcached

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say which server to ask.
type Settings struct {
	Address   string `yaml:"address"` // "127.0.0.1:11211", "unix:/run/memcached.sock"
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
}

const port = 11211

const grants = `memcached knows no rights: who may connect may do everything. With -Y FILE it wants a user and password of that
file (lines of user:password).`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "memcached", Title: "Memcached", Docs: "docs/integrations/memcached.md", Grants: grants,
		Help:      "hits, misses, items, memory and slabs as memcached counts them; costs it three small answers each time",
		Defaults:  func() Settings { return Settings{Address: "127.0.0.1:11211"} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  validate,
		Signs: kit.Signs{
			Executables: []string{"memcached"},
			Units:       []string{"memcached*.service"},
			Protocols:   []string{"memcached"},
			Sockets:     []string{"*memcached*.sock"},
			Ports:       []uint16{port},
		},
		Candidates: candidates,
		Probe:      probe,
		Open:       open,
		Figures: []kit.Figure{
			{Title: "Gets", Unit: "per_second", Chart: true, Of: kit.PerSecond("memcached_commands_total", "command", "get")},
			{Title: "Hit ratio", Unit: "ratio", Chart: true, Of: func(r kit.Reading) float64 {
				return r.Rate("memcached_commands_total", "command", "get", "status", "hit") / r.Rate("memcached_commands_total", "command", "get")
			}},
			{Title: "Sets", Unit: "per_second", Chart: true, Of: kit.PerSecond("memcached_commands_total", "command", "set")},
			{Title: "Connections", Chart: true, Of: kit.Level("memcached_current_connections")},
			{Title: "Items", Of: kit.Level("memcached_current_items")},
			{Title: "Memory", Unit: "bytes", Chart: true, Of: kit.Level("memcached_current_bytes")},
			{Title: "Memory limit", Unit: "bytes", Of: kit.Level("memcached_limit_bytes")},
			{Title: "Evicted", Unit: "per_second", Chart: true, Of: kit.PerSecond("memcached_items_evicted_total")},
		},
		Metrics: metrics(),
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
	if strings.ContainsAny(s.User, " \r\n") {
		return errors.New("user: spaces and line ends cannot be sent to memcached")
	}
	return s.TLS.Validate()
}

func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network != "udp" {
			out = append(out, Settings{Address: e.String()})
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	line     kit.Line[*conn]
	general  map[string]*figure
	slabs    map[string]*figure
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	c := &collector{settings: s, env: e, general: byName(generalTable, false), slabs: byName(slabTable, true)}
	c.line.Connect = c.connect
	c.line.Keep = func(err error) bool {
		_, refused := errors.AsType[serverError](err)
		return refused
	}
	return c, nil
}

func (c *collector) connect(ctx context.Context) (*conn, error) {
	e, err := kit.ParseEndpoint(c.settings.Address, port)
	if err != nil {
		return nil, err
	}
	stream, err := c.settings.TLS.Dial(ctx, c.env, e)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	m := newConn(stream)
	if err := c.login(ctx, m); err != nil {
		stream.Close()
		return nil, err
	}
	return m, nil
}

// login sends user and password, which the text protocol wraps in a set of no
// key: nothing is stored. A server that wants no login would store it, so it is
// asked first.
func (c *collector) login(ctx context.Context, m *conn) error {
	if c.settings.Password.Empty() {
		return nil
	}
	if err := m.stats("", func(_, _ []byte) {}); !errors.Is(judged(err), kit.ErrCredentials) {
		return nil // another refusal is no reason to say it either
	}
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return err
	}
	secret := c.settings.User + " " + password
	if _, err := fmt.Fprintf(m, "set vitals 0 0 %d\r\n%s\r\n", len(secret), secret); err != nil {
		return err
	}
	line, err := readLine(m.r)
	if err != nil {
		return err
	}
	if string(line) != "STORED" {
		return fmt.Errorf("log in: %w", judged(refusal(line)))
	}
	return nil
}

func judged(err error) error {
	refused, ok := errors.AsType[serverError](err)
	if ok && strings.HasPrefix(string(refused), "CLIENT_ERROR") && strings.Contains(string(refused), "authenticat") {
		return fmt.Errorf("%w: %w", kit.ErrCredentials, refused)
	}
	return err
}

// Collect asks for everything, over one connection.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "memcached.collect", func(ctx context.Context) error {
		var told []sample
		err := c.line.Use(ctx, func(m *conn) (err error) {
			told, err = c.ask(m, told[:0])
			return err
		})
		if err != nil {
			return fmt.Errorf("memcached stats: %w", judged(err))
		}
		for _, s := range told {
			b.Add(s.metric, s.v, s.labels...)
		}
		return nil
	})
}

// Check asks for the version.
func (c *collector) Check(ctx context.Context) error {
	return c.line.Use(ctx, func(m *conn) error {
		_, err := m.version()
		return err
	})
}

// Close ends the connection.
func (c *collector) Close() { c.line.Close() }

// version asks what the server is.
func (c *conn) version() (string, error) {
	if _, err := io.WriteString(c, "version\r\n"); err != nil {
		return "", err
	}
	line, err := readLine(c.r)
	if err != nil {
		return "", err
	}
	version, ok := strings.CutPrefix(string(line), "VERSION ")
	if !ok {
		return "", refusal(line)
	}
	return version, nil
}

func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login = kit.Login{}
	opened, err := open(s, e)
	if err != nil {
		return s, "", err
	}
	c := opened.(*collector)
	defer c.Close()
	version := ""
	err = c.line.Use(ctx, func(m *conn) (err error) {
		version, err = m.version()
		return err
	})
	_, refused := errors.AsType[serverError](err)
	switch {
	case err == nil:
		return s, core.Clean("memcached "+version, core.MaxName) + " answers version", nil
	case refused:
		return s, "it speaks the memcached protocol", judged(err)
	case errors.Is(err, errProtocol):
		return s, "", fmt.Errorf("%w: %w", kit.ErrOther, err)
	}
	return s, "", err
}
