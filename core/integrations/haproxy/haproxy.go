// Package haproxy asks HAProxy for what "show info" and "show stat" tell: the
// process, its frontends, backends and servers. It asks on the stats socket, or
// on the page of the stats module.
package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// Settings say which server to ask.
type Settings struct {
	// Address is that of the stats socket ("unix:/run/haproxy/admin.sock"), or, with
	// a Path, of the stats page.
	Address   string `yaml:"address"`
	Path      string `yaml:"path"` // of the page, "/stats"
	kit.Login `yaml:",inline"`
	TLS       kit.TLS `yaml:"tls"`
}

const (
	port   = 8404
	socket = "/run/haproxy/admin.sock"
)

const offer = `Either the stats socket, in the section global of haproxy.cfg (the level user is enough):
  stats socket /run/haproxy/admin.sock mode 660 level user
or the page:
  frontend stats
    mode http
    bind 127.0.0.1:8404
    stats enable
    stats uri /stats`

// Kind describes the integration.
func Kind() kit.Kind {
	return kit.New(kit.Definition[Settings]{
		Name: "haproxy", Title: "HAProxy", Docs: "docs/integrations/haproxy.md", Grants: offer,
		Help:      "sessions, requests, errors and times of each frontend, backend and server as HAProxy counts them; costs it one short connection each time",
		Defaults:  func() Settings { return Settings{Address: "unix:" + socket} },
		Normalise: normalise,
		Identity:  func(s Settings) string { return s.Address },
		Validate:  validate,
		Signs: kit.Signs{
			Executables: []string{"haproxy", "hapee-lb"},
			Units:       []string{"haproxy*.service", "hapee*.service"},
			Sockets:     []string{"*haproxy*.sock", "*haproxy*/*.sock", "*haproxy*/stats", "*haproxy*.sock.*.tmp", "*haproxy*/*.*.tmp"},
			Ports:       []uint16{port, 1936},
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

func validate(s Settings) error {
	if s.Path != "" && (!strings.HasPrefix(s.Path, "/") || core.Clean(s.Path, core.MaxRoute) != s.Path) {
		return errors.New("path: it must begin with / and be plain text")
	}
	if s.Path == "" && (!s.Password.Empty() || s.User != "" || s.TLS.Enabled) {
		return errors.New("path: logins and TLS are those of the stats page; the socket knows none")
	}
	return s.TLS.Validate()
}

// passing is what HAProxy adds to the name of a socket until it may be used.
var passing = regexp.MustCompile(`\.\d+\.tmp$`)

// maxSockets bounds how many sockets of one HAProxy are tried.
const maxSockets = 4

// forStats reports whether a socket is called as stats sockets are: another one
// may be a frontend, which would count our question as a broken request.
func forStats(name string) bool {
	name = strings.ToLower(path.Base(name))
	return slices.ContainsFunc([]string{"stat", "admin", "haproxy", "hapee", "master"}, func(word string) bool { return strings.Contains(name, word) })
}

// candidates leaves alone what may be a frontend with traffic of its own.
func candidates(server kit.Server) (out []Settings) {
	sockets := 0
	for _, e := range server.Endpoints {
		switch {
		case e.Network == "unix":
			// HAProxy binds a socket under a passing name, by which the kernel knows it ever after.
			name := passing.ReplaceAllString(e.Address, "")
			if forStats(name) && sockets < maxSockets {
				sockets++
				out = append(out, Settings{Address: "unix:" + name})
			}
		case e.Network == "tcp" && (e.Port() == port || e.Port() == 1936):
			out = append(out, Settings{Address: e.String(), Path: "/stats"}, Settings{Address: e.String(), Path: "/haproxy?stats"})
		}
	}
	return out
}

type collector struct {
	settings Settings
	env      kit.Env
	at       kit.Endpoint
	web      *kit.Web
	line     kit.Line[*answerer]
	buf      []byte
	series   layout
}

func open(s Settings, e kit.Env) (kit.Collector, error) {
	at, err := kit.ParseEndpoint(s.Address, port)
	if err != nil {
		return nil, err
	}
	c := &collector{settings: s, env: e, at: at, series: newLayout()}
	c.line.Connect = func(ctx context.Context) (*answerer, error) {
		stream, err := e.Dial(ctx, at.Network, at.Address)
		if err != nil {
			return nil, err
		}
		return &answerer{stream}, nil
	}
	if s.Path != "" {
		c.web = e.Web(at, s.TLS)
	}
	return c, nil
}

// answerer is one connection to the stats socket, which HAProxy closes after
// its answer.
type answerer struct{ io.ReadWriteCloser }

// errAnswered makes the line drop a connection that has answered.
var errAnswered = errors.New("answered")

// command asks on the socket and reads the whole answer.
func (c *collector) command(ctx context.Context, command string) ([]byte, error) {
	var answer []byte
	err := c.line.Use(ctx, func(a *answerer) error {
		if _, err := io.WriteString(a, command+"\n"); err != nil {
			return err
		}
		var err error
		if answer, err = readAnswer(a, c.buf); err != nil {
			return err
		}
		c.buf = answer
		return errAnswered
	})
	if errors.Is(err, errAnswered) {
		err = nil
	}
	if err == nil && bytes.HasPrefix(bytes.TrimSpace(answer), []byte("Permission denied")) {
		err = fmt.Errorf("%w: the socket answers: permission denied", kit.ErrRights)
	}
	return answer, err
}

// page reads the table from the stats page.
func (c *collector) page(ctx context.Context) ([]byte, error) {
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.web.Get(ctx, c.settings.Path+";csv", c.buf, maxAnswer, func(r *http.Request) {
		if password != "" || c.settings.User != "" {
			r.SetBasicAuth(c.settings.User, password)
		}
	})
	if a.Body != nil {
		c.buf = a.Body
	}
	if a.Status == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", kit.ErrNotOffered, err)
	}
	return a.Body, err
}

// Collect asks for everything.
func (c *collector) Collect(ctx context.Context, b *kit.Batch) error {
	return core.Do(ctx, c.env.Recorder, "haproxy.collect", func(ctx context.Context) (err error) {
		var answer []byte
		if c.web != nil {
			answer, err = c.page(ctx)
		} else {
			answer, err = c.command(ctx, "show info;show stat")
		}
		if err != nil {
			return fmt.Errorf("haproxy: %w", err)
		}
		info, stat := split(answer)
		if c.web == nil && len(info) == 0 {
			return fmt.Errorf("haproxy: %w", errNotStats)
		}
		c.series.info(info, b)
		t, err := newTable(stat)
		if err != nil {
			return fmt.Errorf("haproxy: %w", err)
		}
		c.series.stat(t, b)
		return nil
	})
}

// split takes the two answers apart.
func split(answer []byte) (info, stat []byte) {
	if bytes.HasPrefix(answer, []byte("# pxname")) {
		return nil, answer
	}
	if i := bytes.Index(answer, []byte("\n# pxname")); i >= 0 {
		return answer[:i+1], answer[i+1:]
	}
	return answer, nil
}

// Close ends what is under way.
func (c *collector) Close() {
	c.line.Close()
	if c.web != nil {
		c.web.Close()
	}
}

func probe(ctx context.Context, s Settings, e kit.Env) (Settings, string, error) {
	s.Login = kit.Login{}
	opened, err := open(s, e)
	if err != nil {
		return s, "", err
	}
	c := opened.(*collector)
	defer c.Close()
	if c.web != nil {
		answer, err := c.page(ctx)
		if err == nil {
			_, err = newTable(answer)
		}
		if errors.Is(err, errNotStats) || errors.Is(err, kit.ErrNotOffered) {
			err = fmt.Errorf("%w: no page of statistics at %s. %s", kit.ErrNotOffered, s.Path, offer)
		}
		return s, "it answers " + s.Path, err
	}
	answer, err := c.command(ctx, "show info")
	if err != nil {
		return s, "", err
	}
	name, version := "", ""
	eachInfo(answer, func(k, v []byte) {
		switch string(k) {
		case "Name":
			name = string(v)
		case "Version":
			version = string(v)
		}
	})
	if version == "" {
		return s, "", fmt.Errorf("%w: the socket does not answer \"show info\"", kit.ErrOther)
	}
	return s, core.Clean(name+" "+version, core.MaxName) + " answers on its stats socket", nil
}
