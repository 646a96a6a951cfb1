// Package serve is the HTTP side of vitals: metrics to scrape, health, the pages
// and targets of integrations, and the snapshot. It reads; nothing here changes
// anything. For this machine only unless told otherwise.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"

	"vitals/core"
	"vitals/core/diagnose"
	"vitals/core/expose"
)

// Config is what a Server needs; Source is required.
type Config struct {
	Source    core.Source
	Directory core.Directory                           // finds the units themselves; nil serves what the snapshot says
	Board     *diagnose.Board                          // nil: one of its own
	Families  func(*core.Snapshot) []*dto.MetricFamily // of /metrics; nil is expose.Families
	OfKind    func(kind, family string) bool           // whether a kind of instrumentation measures a family; may be nil
	Fresh     func(context.Context) *core.Snapshot     // makes a snapshot for a scrape when the newest is older than MaxAge; may be nil
	Ready     func() bool                              // whether all that is wanted runs, or cannot; nil: with the first snapshot
	Instance  string                                   // of this agent
	Advertise string                                   // "host:port" of targets at this server, see Advertised
	WebConfig string                                   // file of TLS and users in the form of Prometheus' exporters; "" for neither
	Recorder  core.Recorder                            // times answers as "serve ..."; nil for none
	Log       *slog.Logger

	Limits Limits
}

// streams is how many requests one connection of HTTP/2 has at one time.
const streams = 8

// MaxAge is how old a snapshot may be when it is scraped, if a fresh one can be
// had.
const MaxAge = time.Second

// Limits bounds what clients may do. Zero fields take the default in brackets.
type Limits struct {
	Connections int           // [64] at one time; more wait
	Renders     int           // [4] pages that are put together at one time; more wait for Wait
	Wait        time.Duration // [5s] then they are told to come back
	Header      int           // [16 KiB] of a request
	Body        int64         // [1 MiB] of a request, for pages of integrations
	Read        time.Duration // [10s] for a whole request to arrive
	Write       time.Duration // [30s] from there to the end of the answer
	Idle        time.Duration // [60s] between two requests of a connection
	Drain       time.Duration // [5s] for what runs at the end
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections: cmp.Or(l.Connections, 64), Renders: cmp.Or(l.Renders, 4), Wait: cmp.Or(l.Wait, 5*time.Second),
		Header: cmp.Or(l.Header, 16<<10), Body: cmp.Or(l.Body, 1<<20), Read: cmp.Or(l.Read, 10*time.Second),
		Write: cmp.Or(l.Write, 30*time.Second), Idle: cmp.Or(l.Idle, time.Minute), Drain: cmp.Or(l.Drain, 5*time.Second),
	}
}

// Server answers HTTP requests. Its methods may be called from any goroutine.
type Server struct {
	cfg     Config
	board   *diagnose.Board
	runtime *prometheus.Registry // of this process
	renders chan struct{}        // a token for each page that is put together
	mounts  mounts
	kept    kept
	began   time.Time
	said    atomic.Value // string: the warning that was logged last
}

// New makes a server. A web configuration that is wrong is an error.
func New(cfg Config) (*Server, error) {
	if err := CheckWebConfig(cfg.WebConfig); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Families == nil {
		cfg.Families = expose.Families
	}
	if cfg.Ready == nil {
		cfg.Ready = func() bool { return true }
	}
	s := &Server{cfg: cfg, board: cfg.Board, runtime: prometheus.NewRegistry(),
		renders: make(chan struct{}, cfg.Limits.Renders), began: time.Now()}
	if s.board == nil {
		s.board = diagnose.New(diagnose.Config{Source: cfg.Source, Directory: cfg.Directory, Recorder: cfg.Recorder, Log: cfg.Log})
	}
	// Not the library's collector of processes: it tells the traffic of the whole
	// network namespace as ours, and what else it reads vitals tells itself.
	s.runtime.MustRegister(collectors.NewGoCollector())
	return s, nil
}

// CheckWebConfig says what is wrong with a file of TLS and users; "" is fine. The
// parser quotes values, which may be passwords: they are left out.
func CheckWebConfig(file string) error {
	if err := web.Validate(file); err != nil {
		text := regexp.MustCompile("`[^`]*`").ReplaceAllString(err.Error(), "a value")
		return &core.Remedied{Err: fmt.Errorf("web configuration %s: %s", core.Clean(file, core.MaxCmdline), core.Clean(text, core.MaxCmdline)), Permanent: true,
			Remedy: "its form is that of Prometheus' exporters: tls_server_config, http_server_config, basic_auth_users"}
	}
	return nil
}

// warnings passes on what is wrong: that it listens is told by who opened the
// address.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// Serve answers on l until ctx ends, and then finishes what runs. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if !loopback(l.Addr()) && s.cfg.WebConfig == "" {
		s.cfg.Log.Warn("whoever reaches this address can read what every process does: listen on 127.0.0.1, or name users and certificates with --web-config",
			"address", l.Addr().String())
	}
	limits := s.cfg.Limits
	busy := newBusy()
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: limits.Read, ReadTimeout: limits.Read,
		WriteTimeout: limits.Read + limits.Write, // it counts from the end of the header
		IdleTimeout:  limits.Idle, MaxHeaderBytes: limits.Header,
		ErrorLog:    slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		ConnState:   busy.note,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: streams}, // of 250 each would hold a page
	}
	served := make(chan error, 1)
	systemd := false
	go func() {
		served <- web.Serve(netutil.LimitListener(l, limits.Connections), server, &web.FlagConfig{
			WebSystemdSocket: &systemd, WebConfigFile: &s.cfg.WebConfig,
		}, slog.New(warnings{s.cfg.Log.Handler()}))
	}()
	select {
	case err := <-served:
		l.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Drain)
	defer cancel()
	go server.Shutdown(drain)
	busy.wait(drain)
	err := server.Close() // what says nothing, and what does not end, is cut off
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
