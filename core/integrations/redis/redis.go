// Package redis asks Redis, and what speaks its protocol (Valkey, KeyDB), what
// it knows of itself: INFO, the length of the slow log, latency events and
// histograms of commands. It never reads a key.
package redis

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
	Address   string `yaml:"address"` // "127.0.0.1:6379", "unix:/run/redis/redis.sock"
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
}

const port = 6379

const grants = `Redis 6 and later, Valkey (users and rights):
  ACL SETUSER vitals on >PASSWORD resetkeys resetchannels -@all +ping +info +slowlog|len +latency|latest +latency|histogram
Redis 5 and earlier, KeyDB (one password for everything):
  the password of requirepass, without a user`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "redis", Title: "Redis", Docs: "docs/integrations/redis.md", Grants: grants,
		Help:      "what Redis, Valkey or KeyDB counts: commands, hits, memory, replication; costs it one INFO each time",
		Defaults:  func() Settings { return Settings{Address: "127.0.0.1:6379"} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  func(s Settings) error { return s.TLS.Validate() },
		Signs: kit.Signs{
			// Debian's redis-server is a link to redis-check-rdb, which is what a process shows.
			Executables: []string{"redis-server", "redis-check-rdb", "redis-sentinel", "valkey-server", "valkey-check-rdb", "keydb-server"},
			Units:       []string{"redis*.service", "valkey*.service", "keydb*.service"},
			Protocols:   []string{"redis"},
			Sockets:     []string{"*redis*.sock", "*valkey*.sock", "*keydb*.sock"},
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
	s.Address = e.String()
	return nil
}

func candidates(server kit.Server) (out []Settings) {
	for _, e := range server.Endpoints {
		if e.Network != "udp" {
			out = append(out, Settings{Address: e.String()})
		}
	}
	return out
}

// collector is one server.
type collector struct {
	settings Settings
	env      kit.Env
	line     kit.Line[*conn]
	fields   map[string]*field
	refused  map[string]refusal
	usec     map[string]float64 // time spent in each command, of the newest INFO
	run      string             // run_id of the server's life that started refers to
	started  float64
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	c := &collector{settings: s, env: e, fields: fieldsByKey(), refused: map[string]refusal{}, usec: map[string]float64{}}
	c.line.Connect = c.connect
	c.line.Keep = func(err error) bool {
		_, refused := errors.AsType[serverError](err)
		return refused
	}
	return c, nil
}

// connect dials and logs in.
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
	r := newConn(stream)
	clear(c.refused) // another server may stand there now
	if err := c.login(ctx, r); err != nil {
		stream.Close()
		return nil, err
	}
	return r, nil
}

func (c *collector) login(ctx context.Context, r *conn) error {
	if c.settings.Password.Empty() {
		return nil
	}
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return err
	}
	args := []string{"AUTH", password}
	if c.settings.User != "" {
		args = []string{"AUTH", c.settings.User, password}
	}
	if _, err = r.text(args...); err != nil {
		return fmt.Errorf("log in: %w", judged(err))
	}
	return nil
}

// judged says what a refusal means.
func judged(err error) error {
	refused, ok := errors.AsType[serverError](err)
	if !ok {
		return err
	}
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH"} {
		if strings.HasPrefix(string(refused), prefix) {
			return fmt.Errorf("%w: %w", kit.ErrCredentials, refused)
		}
	}
	if strings.HasPrefix(string(refused), "NOPERM") || strings.HasPrefix(string(refused), "DENIED") {
		return fmt.Errorf("%w: %w", kit.ErrRights, refused)
	}
	return err
}

// Collect asks for everything, over one connection.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "redis.collect", func(ctx context.Context) error {
		var text []byte
		err := c.line.Use(ctx, func(r *conn) (err error) {
			text, err = r.text("INFO", "all")
			return err
		})
		if err != nil {
			return fmt.Errorf("redis INFO: %w", judged(err))
		}
		if err := c.info(text, b); err != nil {
			return err
		}
		return c.line.Use(ctx, func(r *conn) error { return c.rest(r, b) })
	})
}

// Check asks whether the server answers.
func (c *collector) Check(ctx context.Context) error {
	return c.line.Use(ctx, func(r *conn) error {
		if _, err := r.text("PING"); err != nil {
			return fmt.Errorf("redis PING: %w", judged(err))
		}
		return nil
	})
}

// Close ends the connection.
func (c *collector) Close() { c.line.Close() }

// probe greets the server. PING needs no login where none is asked for; the
// version is in INFO, which may be refused where PING is not.
func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login = kit.Login{}
	opened, err := open(s, e)
	if err != nil {
		return s, "", err
	}
	c := opened.(*collector)
	defer c.Close()
	saw := ""
	err = c.line.Use(ctx, func(r *conn) error {
		if _, err := r.text("PING"); err != nil {
			return err
		}
		text, err := r.text("INFO", "server")
		if err != nil {
			return err
		}
		saw = greeting(text)
		return nil
	})
	if _, refused := errors.AsType[serverError](err); refused {
		return s, "it speaks the Redis protocol", judged(err)
	}
	if errors.Is(err, errProtocol) {
		return s, "", fmt.Errorf("%w: %w", kit.ErrOther, err)
	}
	if err == nil && saw == "" {
		return s, "", fmt.Errorf("%w: INFO names no version", kit.ErrOther)
	}
	return s, saw, err
}

// greeting tells what an answer to INFO says of the program, "" when nothing.
func greeting(text []byte) string {
	name, version := "redis", ""
	eachInfo(text, func(key, value []byte) {
		switch string(key) {
		case "redis_version":
			if version == "" {
				version = string(value)
			}
		case "server_name":
			name = string(value)
		case "valkey_version":
			name, version = "valkey", string(value)
		}
	})
	if version == "" {
		return ""
	}
	return core.Clean(name+" "+version, core.MaxName) + " answers PING and INFO"
}

// uptime keeps the start of one life of the server from moving by the second
// to which the server rounds.
func (c *collector) uptime(run string, now time.Time, seconds float64) float64 {
	start := float64(now.UnixNano())/1e9 - seconds
	if run != c.run || start < c.started-2 || start > c.started+2 {
		c.run, c.started = run, start
	}
	return c.started
}
