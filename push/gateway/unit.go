package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"vitals/core"
)

// Kind is the kind of unit that NewSpec describes.
const Kind = "gateway"

// UnitConfig describes a gateway that runs inside another program.
type UnitConfig struct {
	Config
	// Listen is the address to receive on.
	Listen string
	// Dir is where groups are kept; empty keeps them in memory. Config.Store is
	// not used: the directory is opened when the unit is attached.
	Dir string
	// As runs what touches files there, see OpenDisk.
	As func(f func() error) error
	// Report is told the state when it changed, at most once a second, and Gone
	// when there is none any more; Event what the user should know. They must
	// not block for long and may be nil.
	Report func(core.GatewayRow)
	Gone   func()
	Event  func(core.Event)
	// Delete asks for the removal of the group with this id (core.GatewayGroup).
	// It may be nil.
	Delete <-chan string
}

// NewSpec validates c and describes the gateway as a unit.
func NewSpec(c UnitConfig) (core.Spec, error) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return core.Spec{}, fmt.Errorf("gateway address %q: give one such as %s", core.Clean(c.Listen, 128), DefaultAddr)
	}
	if err := c.checkWeb(); err != nil {
		return core.Spec{}, err
	}
	where := "in memory"
	if c.Dir != "" {
		where = "in " + core.Clean(c.Dir, core.MaxCmdline)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %+v %v %v %v %v %v %v %v %q %q %t", c.Listen, c.Dir, c.Limits, c.Timeout, c.TTL, c.Unchecked, c.UTF8Names, c.Admin, c.Rate, c.Burst, c.WebConfig, c.Version, c.As == nil)
	return core.Spec{
		ID: "gateway/" + Kind, Class: core.ClassGateway, Kind: Kind, Title: "gateway",
		Help:        "Receives pushes at " + c.Listen + " and keeps them " + where,
		Fingerprint: hex.EncodeToString(h.Sum(nil)[:16]),
		Default:     true,
		Make:        func() (core.Unit, error) { return newUnit(c), nil },
	}, nil
}

// unit is a gateway with a life.
type unit struct {
	UnitConfig
	gateway  *Gateway
	listener net.Listener
	stop     context.CancelFunc
	stopping context.Context
	done     chan struct{} // closed when Serve has returned

	mu      sync.Mutex
	serving bool
}

func newUnit(c UnitConfig) *unit {
	u := &unit{UnitConfig: c, done: make(chan struct{})}
	u.stopping, u.stop = context.WithCancel(context.Background())
	return u
}

// Attach takes the address first: nothing is touched when somebody has it.
func (u *unit) Attach(ctx context.Context) (core.Parts, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", u.Listen)
	if err != nil {
		return nil, &core.Remedied{Err: fmt.Errorf("gateway: %w", err), Remedy: "end the other gateway, or give this one another address"}
	}
	c := u.Config
	c.Store = nil
	if u.Dir != "" {
		d, err := OpenDisk(u.Dir, u.As, u.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gateway: %w", err), l.Close())
		}
		c.Store = d
	}
	g, err := New(c) // closes the store when it fails
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	u.gateway, u.listener = g, l
	return nil, nil
}

// Serve receives until ctx ends or Detach is called; what was acknowledged is
// stored by then.
func (u *unit) Serve(ctx context.Context, ready func()) error {
	u.mu.Lock()
	if u.stopping.Err() != nil {
		u.mu.Unlock()
		return nil
	}
	u.serving = true
	u.mu.Unlock()
	defer close(u.done)

	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stopping, cancel)()
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	wait.Go(func() { u.report(running) })
	wait.Go(func() { u.deletions(running) })
	ready()
	err := u.gateway.Serve(running, u.listener)
	if u.Gone != nil {
		cancel()
		wait.Wait()
		u.Gone()
	}
	return err
}

// Detach stops receiving and waits until everything is stored.
func (u *unit) Detach(ctx context.Context) error {
	u.mu.Lock()
	u.stop()
	serving := u.serving
	u.mu.Unlock()
	switch {
	case serving:
		select {
		case <-u.done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("gateway: requests or the store take too long: %w", context.Cause(ctx))
		}
	case u.gateway != nil:
		err := u.listener.Close()
		if errors.Is(err, net.ErrClosed) {
			err = nil
		}
		return errors.Join(err, u.gateway.Close())
	}
	return nil
}

// reportEvery is the shortest time between two reports. Making one must not cost
// more than a fiftieth of a core, however many groups there are.
const (
	reportEvery = time.Second
	reportShare = 50
)

func (u *unit) report(ctx context.Context) {
	if u.Report == nil {
		return
	}
	for {
		began := time.Now()
		row := u.gateway.Row()
		row.Unit, row.Address = "gateway/"+Kind, u.listener.Addr().String()
		u.Report(row)
		pause := time.NewTimer(max(reportEvery, reportShare*time.Since(began)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		select {
		case <-u.gateway.tally.changed:
		case <-ctx.Done():
			return
		}
	}
}

func (u *unit) deletions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-u.Delete:
			u.tell(u.gateway.deleteByID(ctx, id))
		}
	}
}

// deleteByID removes a group and says which.
func (g *Gateway) deleteByID(ctx context.Context, id string) (string, error) {
	g.mu.RLock()
	grp := g.state.groups[id]
	g.mu.RUnlock()
	if grp == nil {
		return "", errors.New("gateway: the group is gone already")
	}
	ctx, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	return grp.key.String(), g.submit(ctx, &change{op: opDelete, key: grp.key})
}

func (u *unit) tell(group string, err error) {
	e := core.Event{At: time.Now(), Kind: core.EventNotice, Unit: "gateway/" + Kind, Reason: "the group " + group + " was deleted from the gateway"}
	if err != nil {
		e.Reason, e.Error = "no group was deleted from the gateway", err.Error()
	}
	if u.Event != nil {
		u.Event(e)
	}
}

// CheckHealth is that of /-/healthy: do changes get through to the store?
func (u *unit) CheckHealth(context.Context, core.CheckRequest) (core.Finding, error) {
	if u.gateway == nil {
		return core.Finding{}, errors.New("gateway: not attached")
	}
	if err := u.gateway.unwell(); err != nil {
		return core.Finding{}, err
	}
	row := u.gateway.Row()
	return core.Healthy(fmt.Sprintf("%d groups, %d series", row.Groups, row.Series)).With(map[string]any{
		"groups": row.Groups, "series": row.Series, "bytes": row.Bytes, "pushes": row.Pushes, "refused": row.Refused, "store": row.Store,
	}), nil
}
