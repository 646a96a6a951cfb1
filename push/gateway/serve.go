package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"

	"vitals/core"
)

// Deadlines and bounds of Serve. A gateway embedded in another server has that
// one's.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 90 * time.Second
	writeTimeout   = 60 * time.Second // more than a push and a scrape take
	drainTimeout   = 10 * time.Second
	maxHeader      = 64 << 10
	maxConnections = 1024
)

// DefaultAddr is where the command listens when it is not told otherwise: at
// the Pushgateway's port, for this machine only.
const DefaultAddr = "127.0.0.1:9091"

// Serve answers on l until ctx ends, then finishes the requests that run,
// applies what waits and closes the store. It closes l.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	if err := g.checkWeb(); err != nil {
		return errors.Join(err, l.Close(), g.Close())
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && g.WebConfig == "" {
		g.Log.Warn("whoever reaches this address can push and delete: give it a web configuration with users and TLS, or a firewall", "address", a.String())
	}
	server := &http.Server{
		Handler: g, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ReadTimeout:  headerTimeout + g.Timeout, // of bodies that nobody reads, too
		WriteTimeout: max(writeTimeout, 2*g.Timeout), MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(g.Log.Handler(), slog.LevelDebug),
	}
	// The writer outlives the requests that wait for it.
	writer := make(chan error, 1)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() { writer <- g.Run(running) }()

	served := make(chan error, 1)
	go func() { served <- g.answer(server, netutil.LimitListener(l, maxConnections)) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	case err = <-writer: // closed from elsewhere
		writer <- nil
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if e := server.Shutdown(drain); e != nil {
		err = errors.Join(err, fmt.Errorf("gateway: requests were cut off: %w", e), server.Close())
	}
	stop()
	return errors.Join(err, <-writer)
}

// answer serves plainly, or as the web configuration says.
func (g *Gateway) answer(server *http.Server, l net.Listener) error {
	if g.WebConfig == "" {
		return server.Serve(l)
	}
	quiet := slog.New(slog.DiscardHandler) // it tells every request with a wrong certificate
	return web.Serve(l, server, &web.FlagConfig{WebConfigFile: &g.WebConfig}, quiet)
}

// checkWeb says what is wrong with the web configuration and its certificates.
func (c *Config) checkWeb() error {
	if c.WebConfig == "" {
		return nil
	}
	if err := web.Validate(c.WebConfig); err != nil {
		// The parser quotes values, which may be keys.
		return fmt.Errorf("gateway: web configuration %s: %s", core.Clean(c.WebConfig, core.MaxCmdline), unquoted(err))
	}
	return nil
}

func unquoted(err error) string {
	text := regexp.MustCompile("`[^`]*`").ReplaceAllString(err.Error(), "a value")
	return core.Clean(strings.Join(strings.Fields(text), " "), 512)
}
