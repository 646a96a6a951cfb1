package requests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vitals/core"
	"vitals/probes/kern"
)

const (
	defaultRing = 2 << 20
	maxWakeAt   = 256 << 10
	readWait    = 100 * time.Millisecond
	readBatch   = 2048
	portDNS     = 53
)

// probe is the unit. Attach makes everything new, Detach leaves nothing.
type probe struct {
	env kern.Env
	tls bool // what it reads was encrypted

	mu       sync.Mutex
	att      *kern.Attachment
	selected selection

	side  *side
	ring  *kern.Ring
	sweep *link.Iter
}

var (
	_ core.Unit      = (*probe)(nil)
	_ core.Selective = (*probe)(nil)
	_ core.Costed    = (*probe)(nil)
)

// Attach implements core.Unit. Nobody is observed before the first Select.
func (p *probe) Attach(ctx context.Context) (core.Parts, error) {
	att := kern.NewAttachment("instrumentation/"+Kind, &p.env)
	if err := p.attach(att); err != nil {
		return nil, errors.Join(err, att.Close(ctx))
	}
	p.mu.Lock()
	p.att = att
	p.selected = selection{side: p.side}
	p.mu.Unlock()
	return nil, nil
}

func (p *probe) attach(att *kern.Attachment) error {
	if err := p.load(att); err != nil {
		return err
	}
	var err error
	if p.ring, err = att.Ring(p.side.ring); err != nil {
		return err
	}
	if p.sweep, err = att.Iterator(p.side.sweep, p.side.sweepOver, p.side.conns); err != nil {
		return err
	}
	if err := p.side.watchDatagrams(portDNS); err != nil {
		return err
	}
	for _, h := range p.side.hooks {
		if err := att.Tracepoint(h.prog, h.tracepoint); err != nil {
			return err
		}
	}
	return p.findSockets()
}

// load puts the programs of the better path into the kernel that it allows.
func (p *probe) load(att *kern.Attachment) error {
	if !p.env.Floor && att.Require(NeedsFast()) == nil {
		var objects requestsObjects
		if err := p.put(att, loadRequests, &objects); err != nil {
			return err
		}
		p.side = objects.side()
		return nil
	}
	if err := att.Require(Needs()); err != nil {
		return err
	}
	var objects floorObjects
	if err := p.put(att, loadFloor, &objects); err != nil {
		return err
	}
	p.side = objects.side()
	return nil
}

func (p *probe) put(att *kern.Attachment, read func() (*ebpf.CollectionSpec, error), objects io.Closer) error {
	spec, err := read()
	if err != nil {
		return fmt.Errorf("read the requests programs: %w", err)
	}
	if err := p.size(spec); err != nil {
		return err
	}
	if err := att.Share(spec, p.env.Shared, sharedMaps()...); err != nil {
		return err
	}
	return att.Load(spec, objects)
}

func (p *probe) size(spec *ebpf.CollectionSpec) error {
	size := uint64(defaultRing)
	if p.env.RequestsRing > 0 {
		size = uint64(p.env.RequestsRing)
	}
	spec.Maps[requestsMapRing].MaxEntries = uint32(size)
	if err := spec.Variables[requestsVarWakeAt].Set(min(size/4, maxWakeAt)); err != nil {
		return fmt.Errorf("set the fill level of the requests ring: %w", err)
	}
	return nil
}

// findSockets tells the kernel side who listens already, and what is connected.
func (p *probe) findSockets() error {
	if p.side.findSockets == nil {
		return nil
	}
	it, err := link.AttachIter(link.IterOptions{Program: p.side.findSockets})
	if err != nil {
		return kern.Explain("attach iter/task_file", err)
	}
	defer it.Close()
	if err := kern.ReadIter[struct{ _ byte }](it, make([]byte, 4096), nil); err != nil {
		return fmt.Errorf("find listening sockets: %w", err)
	}
	return nil
}

// Serve implements core.Unit.
func (p *probe) Serve(ctx context.Context, ready func()) error {
	p.mu.Lock()
	att := p.att
	p.mu.Unlock()
	if att == nil {
		return errors.New("serve requests: not attached")
	}
	leave, ok := att.Enter()
	if !ok {
		return nil
	}
	defer leave()
	ending, release := att.Ending(ctx, func() { p.ring.Flush() })
	defer release()
	ready()
	return p.read(att, ending)
}

// read hands on what comes until the ring is flushed to end it.
func (p *probe) read(att *kern.Attachment, ending <-chan struct{}) error {
	asked := p.env.Settling.Join(func() { p.ring.Flush() })
	defer asked.Leave()
	pair := newIntake(p.env.Sink, &steering{side: p.side, lost: p.untuned})
	if pair.TLS = p.tls; !p.tls {
		pair.Secret = p.secret
	}
	look := newSweeper(p, att, pair)
	wait := readWait
	for {
		n, err := p.ring.Read(wait, readBatch, pair.take)
		// Whoever asks has flushed the ring to end the waiting. Where more comes than
		// is read it never tells of that.
		asked.Answer(look.settle)
		select {
		case <-ending:
			return look.last()
		default:
		}
		if errors.Is(err, kern.ErrFlushed) {
			p.ring.Resume()
			continue
		}
		if err != nil {
			return fmt.Errorf("read requests ring: %w", err)
		}
		if err := look.due(time.Now()); err != nil {
			return err
		}
		pair.deliver()
		if wait, err = look.rest(n); err != nil {
			return err
		}
	}
}

// untuned tells of a socket that goes on as it did.
func (p *probe) untuned(err error) {
	if p.env.Log != nil {
		p.env.Log.Warn("requests: " + err.Error())
	}
}

// Select implements core.Selective.
func (p *probe) Select(s core.Selection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.att == nil {
		return errors.New("select processes for requests: not attached")
	}
	more := s.Default && !p.selected.byDefault
	if err := p.selected.apply(s); err != nil || !more {
		return err
	}
	// What is connected now was connected before anybody looked.
	return p.findSockets()
}

// Programs implements core.Costed.
func (p *probe) Programs() []core.Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.att == nil {
		return nil
	}
	return p.att.Programs()
}

// Detach implements core.Unit.
func (p *probe) Detach(ctx context.Context) error {
	p.mu.Lock()
	att := p.att
	p.att = nil
	p.mu.Unlock()
	if att == nil {
		return nil
	}
	return att.Close(ctx)
}
