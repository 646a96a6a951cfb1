package cli

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vitals/core/config"
)

// GatewayOptions is what vitals gateway was told.
type GatewayOptions struct {
	Listen string // host and port; the host may be empty
	Store  string // memory, disk or log
	Dir    string // of store disk
	TTL    time.Duration
	// Timeout bounds one request, MaxBody its body in bytes as sent.
	Timeout   time.Duration
	MaxBody   int64
	Rate      float64 // pushes a second of one client, 0 is no limit
	WebConfig string  // file with TLS and users
	Unchecked bool    // no check against other groups
	UTF8Names bool
	Admin     bool // PUT /api/v1/admin/wipe is allowed
	Lifecycle bool // PUT and POST /-/quit are allowed
	// Flags are all flags with their values, as the gateway's status shows them.
	Flags map[string]string
}

const (
	maxTTL       = 10 * 365 * 24 * time.Hour
	maxTimeout   = time.Hour
	mostBodySize = 1 << 30
)

func (a *app) gateway() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gateway [flags]",
		Short: "a Pushgateway-compatible receiver",
		Long: "Takes metrics pushed by batch jobs and by vitals --push, and offers them to Prometheus on /metrics. It speaks\n" +
			"the whole HTTP API of a Pushgateway, for this machine only unless --listen says otherwise. A push is\n" +
			"acknowledged when it is stored.",
		Example: "  vitals gateway --store disk:/var/lib/vitals/gateway\n" +
			"  echo 'backup_bytes 42' | curl --data-binary @- http://127.0.0.1:9091/metrics/job/backup",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := gatewayOptions(cmd)
			if err != nil {
				return err
			}
			if a.Gateway == nil {
				return notBuilt("gateway", "use Prometheus' own Pushgateway")
			}
			r, err := a.loadGateway(cmd)
			if err != nil {
				return err
			}
			r.Gateway = g
			warn(r)
			return a.Gateway(cmd.Context(), r)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.String("listen", "127.0.0.1:9091", "`ADDR` to receive on; :9091 is every address of this machine")
	f.String("store", "memory", "where pushed metrics are kept: `STORE` is memory, disk:DIR, or log (memory, and every push is logged)")
	f.String("ttl", "0s", "remove groups that were not pushed to for this `TIME`; 0s never; a push may ask with X-Push-TTL")
	f.String("timeout", "10s", "`TIME` that a request may take")
	f.String("max-body", "16MiB", "`SIZE` of a request, as sent; decompressed it may have 8 times that")
	f.Float64("rate", 0, "pushes a second that one client may make on average: `N`; over it the answer is 429; 0 is no limit")
	f.String("web-config", "", "`FILE` with TLS and users, in the form that Prometheus' exporters have")
	f.Bool("unchecked", false, "do not check pushes against other groups")
	f.Bool("utf8-names", false, "allow any UTF-8 in names of metrics and labels")
	f.Bool("enable-admin", false, "allow PUT /api/v1/admin/wipe, which removes all groups")
	f.Bool("enable-quit", false, "allow PUT and POST /-/quit, which ends the gateway")
	complete(cmd, "store", "memory", "disk:", "log")
	return cmd
}

// loadGateway loads the configuration; --listen is this command's own here.
func (a *app) loadGateway(cmd *cobra.Command) (*Options, error) {
	o := a.options(cmd)
	var flags []config.Flag
	for _, f := range o.Flags {
		if f.Name != "listen" {
			flags = append(flags, f)
		}
	}
	o.Flags = flags
	l, err := config.Load(o)
	if err != nil {
		return nil, err
	}
	return &Options{Loaded: l, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr(), TTY: a.TTY}, nil
}

func gatewayOptions(cmd *cobra.Command) (*GatewayOptions, error) {
	f := cmd.Flags()
	g := &GatewayOptions{Flags: map[string]string{}}
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			g.Flags[f.Name] = f.Value.String()
		}
	})
	g.Unchecked, _ = f.GetBool("unchecked")
	g.UTF8Names, _ = f.GetBool("utf8-names")
	g.Admin, _ = f.GetBool("enable-admin")
	g.Lifecycle, _ = f.GetBool("enable-quit")
	g.WebConfig, _ = f.GetString("web-config")
	if g.Rate, _ = f.GetFloat64("rate"); !(g.Rate >= 0 && g.Rate <= 1e6) {
		return nil, usagef("--rate: %g is not a number of pushes a second: write for example 10, or 0 for no limit", g.Rate)
	}
	g.Listen, _ = f.GetString("listen")
	if _, port, err := net.SplitHostPort(g.Listen); err != nil || !isPort(port) {
		return nil, usagef("--listen: %s is not an address to listen on: write for example 127.0.0.1:9091", quoted(g.Listen))
	}
	var err error
	if g.TTL, err = duration(cmd, "ttl", maxTTL); err != nil {
		return nil, err
	}
	if g.Timeout, err = duration(cmd, "timeout", maxTimeout); err != nil {
		return nil, err
	}
	if g.Timeout < time.Millisecond {
		return nil, usagef("--timeout: nothing can be done in %v: write for example 10s", g.Timeout)
	}
	if g.MaxBody, err = bodySize(cmd); err != nil {
		return nil, err
	}
	store, _ := f.GetString("store")
	if g.Store, g.Dir, err = storeOf(store); err != nil {
		return nil, err
	}
	return g, nil
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func storeOf(s string) (store, dir string, err error) {
	store, dir, _ = strings.Cut(s, ":")
	switch {
	case s == "memory" || s == "log":
		return store, "", nil
	case store == "disk" && dir != "":
		if dir, err = filepath.Abs(dir); err == nil {
			return store, dir, nil
		}
	case s == "disk" || s == "disk:":
		return "", "", usagef("--store: disk needs a directory: write for example disk:/var/lib/vitals/gateway")
	}
	return "", "", usagef("--store: %s is not a store: use memory, disk:DIR or log", quoted(s))
}

func bodySize(cmd *cobra.Command) (int64, error) {
	text, _ := cmd.Flags().GetString("max-body")
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}} {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n > 0 && n*u.bytes <= mostBodySize {
			return n * u.bytes, nil
		}
		break
	}
	return 0, usagef("--max-body: %s is not a size from 1B to 1GiB: write for example 512KiB or 16MiB", quoted(text))
}
