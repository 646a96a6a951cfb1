// Package gateway receives pushed metrics: the HTTP API of a Prometheus
// Pushgateway, with limits, deadlines, durable storage and an expiry that
// groups may ask for.
//
// A push is read (body), decoded (codec), checked by itself and brought into the
// form in which it is kept (build) by the goroutine of its request. One writer
// then takes pushes and deletions in order (writer), checks them against what is
// there (state), has them stored (Store) and acknowledges. What is kept are
// encoded metrics, so that a scrape as protobuf copies them and others decode
// them piece by piece (expose).
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"vitals/push/codec"
	"vitals/push/transform"
)

// Config describes a gateway. The zero value is a working one that keeps
// everything in memory.
type Config struct {
	// Store keeps groups over restarts; nil keeps them in memory only. The
	// gateway closes it.
	Store Store
	// Sinks are told of every push that was taken, with Transforms applied.
	// What they do with it does not change the answer: failures are counted and
	// logged.
	Sinks []Sink
	// Transforms apply to what sinks get, never to what is exposed. Nil means
	// AddTimestamps; empty means none.
	Transforms []transform.Func
	// Format is how sinks get a push; unset means the format it came in.
	Format codec.Format

	// Limits bound sizes and counts; a zero field has its default.
	Limits Limits
	// Timeout bounds one request, reading its body included; 0 means 10 s.
	Timeout time.Duration
	// TTL removes groups that were not pushed to for so long. A push may ask for
	// another one with the header X-Push-TTL. 0 means never.
	TTL time.Duration

	// Rate is how many pushes and deletions a second one client may make on
	// average, Burst how many at once; over it the answer is 429. 0 is no limit,
	// and a Burst of 0 two seconds' worth. A client is an IPv4 address or an IPv6 /64.
	Rate  float64
	Burst int
	// WebConfig is the file with TLS, users and headers of Serve, in the form of
	// Prometheus' exporters. It is read again when it changes. Empty is plain HTTP
	// for everybody.
	WebConfig string

	// Unchecked switches off the check against other groups: answers are 202.
	Unchecked bool
	// UTF8Names allows any UTF-8 as name of metrics and labels; in a path they
	// are escaped as U__....
	UTF8Names bool
	// Admin enables PUT /api/v1/admin/wipe.
	Admin bool
	// Quit, when not nil, is called by PUT and POST /-/quit. It must not block.
	Quit func()

	// Flags are shown by /api/v1/status.
	Flags   map[string]string
	Version string
	Log     *slog.Logger // nil discards
}

// Limits of a gateway. What exceeds one is refused as a whole, with the numbers.
type Limits struct {
	Body         int64 // bytes of a request as sent, 1,024,000
	Decompressed int64 // bytes of a request decompressed, 8 x Body
	// InFlight is about how much memory all bodies that are being read may take,
	// decoding included: 8 x Decompressed, from 64 MiB to 1 GiB.
	InFlight int64
	Queue    int // changes that wait for the writer, 1000

	Groups       int // 100,000
	Series       int // of all groups, 5,000,000
	PushFamilies int // of one push, 10,000
	PushSeries   int // of one push, 500,000
	Labels       int // of one series, grouping labels included, 64
	Name         int // bytes of a name, 512
	Value        int // bytes of a label value or help text, 8192
}

// Defaults of a gateway.
const (
	DefaultTimeout = 10 * time.Second
	// DefaultBody is the limit of an embedded gateway, CommandBody that of the
	// command, since real pushes are larger.
	DefaultBody = 1_024_000
	CommandBody = 16 << 20
)

func (l Limits) withDefaults() Limits {
	set(&l.Body, DefaultBody)
	set(&l.Decompressed, 8*l.Body)
	set(&l.InFlight, min(max(8*l.Decompressed, 64<<20), 1<<30))
	set(&l.Queue, 1000)
	set(&l.Groups, 100_000)
	set(&l.Series, 5_000_000)
	set(&l.PushFamilies, 10_000)
	set(&l.PushSeries, 500_000)
	set(&l.Labels, 64)
	set(&l.Name, 512)
	set(&l.Value, 8192)
	return l
}

func set[T int | int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Gateway is an http.Handler. Pushes are taken while Run runs.
type Gateway struct {
	Config
	started time.Time
	own     *ownMetrics
	origin  *http.CrossOriginProtection
	intake  intake
	pace    *pace
	tally   tally

	mu    sync.RWMutex // held by the writer while it changes state, and by readers
	state *state

	queue    chan *change
	closing  atomic.Bool
	stop     chan struct{} // closed by Close
	stopOnce sync.Once
	running  atomic.Bool
	stopped  chan struct{} // closed when the writer has ended
	storeErr atomic.Pointer[string]
}

// New makes a gateway and loads what its store has. Groups that cannot be read
// are set aside by the store.
func New(c Config) (*Gateway, error) {
	c.Limits = c.Limits.withDefaults()
	if c.Timeout < 0 || c.TTL < 0 || c.Rate < 0 || c.Burst < 0 {
		return nil, errors.New("gateway: timeout, ttl, rate and burst must not be negative")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Transforms == nil {
		c.Transforms = []transform.Func{transform.AddTimestamps(nil)}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{
		Config: c, started: time.Now(), origin: http.NewCrossOriginProtection(),
		intake: intake{limits: c.Limits, timeout: c.Timeout},
		state:  newState(!c.Unchecked, c.Limits), queue: make(chan *change, c.Limits.Queue),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		pace: newPace(c.Rate, c.Burst), tally: tally{changed: make(chan struct{}, 1)},
	}
	g.own = newOwnMetrics(g)
	if c.Store != nil {
		if err := g.restore(); err != nil {
			return nil, errors.Join(fmt.Errorf("gateway: %w", err), c.Store.Close())
		}
	}
	return g, nil
}

// restore takes over what the store has. TTLs go on from the last push, but
// never longer than they are, however the clock was changed meanwhile.
func (g *Gateway) restore() error {
	now := time.Now()
	err := g.Store.Load(func(data []byte) error {
		grp, err := decodeGroup(data)
		if err != nil {
			return err
		}
		if grp.ttl > 0 {
			left := max(0, min(grp.ttl, time.Unix(0, grp.pushed).Add(grp.ttl).Sub(now)))
			grp.expires = now.Add(left)
		}
		if twice := g.state.adopt(grp); twice > 0 {
			g.Log.Warn("a restored group has series that another one has too", "group", grp.key.String(), "series", twice)
		}
		return nil
	})
	if err == nil && len(g.state.groups) > 0 {
		g.Log.Info("groups restored", "groups", len(g.state.groups), "series", g.state.count)
	}
	return err
}

// Run applies changes until ctx ends or Close is called, then those that wait,
// and closes the store. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errors.New("gateway: Run was called twice")
	}
	return g.write(ctx)
}

// Close ends Run and waits for it. Without Run it closes the store.
func (g *Gateway) Close() error {
	g.closing.Store(true)
	g.stopOnce.Do(func() { close(g.stop) })
	if g.running.CompareAndSwap(false, true) {
		return g.write(context.Background())
	}
	<-g.stopped
	return nil
}
