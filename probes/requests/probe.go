package requests

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vitals/core"
	"vitals/probes/kern"
)

const (
	defaultRing = 2 << 20
	maxWakeAt   = 128 << 10
	readWait    = 100 * time.Millisecond
	readBatch   = 2048
)

// probe is the unit. Attach makes everything new, Detach leaves nothing.
type probe struct {
	env kern.Env

	mu       sync.Mutex
	att      *kern.Attachment
	selected selection

	objs  requestsObjects
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
	p.selected = selection{objs: &p.objs}
	p.mu.Unlock()
	return nil, nil
}

func (p *probe) attach(att *kern.Attachment) error {
	if err := att.Require(Needs()); err != nil {
		return err
	}
	spec, err := loadRequests()
	if err != nil {
		return fmt.Errorf("read the requests programs: %w", err)
	}
	size := uint64(defaultRing)
	if p.env.RequestsRing > 0 {
		size = uint64(p.env.RequestsRing)
	}
	spec.Maps[requestsMapRing].MaxEntries = uint32(size)
	if err := spec.Variables[requestsVarWakeAt].Set(min(size/4, maxWakeAt)); err != nil {
		return fmt.Errorf("set the fill level of the requests ring: %w", err)
	}
	if err := att.Load(spec, &p.objs); err != nil {
		return err
	}
	if p.ring, err = att.Ring(p.objs.Ring); err != nil {
		return err
	}
	if p.sweep, err = att.Iterator(p.objs.Sweep, "bpf_sk_storage_map", p.objs.Conns); err != nil {
		return err
	}
	for _, t := range []struct {
		prog *ebpf.Program
		name string
	}{
		{p.objs.SetState, "inet_sock_set_state"},
		{p.objs.Forked, "sched_process_fork"},
		{p.objs.Executed, "sched_process_exec"},
		{p.objs.Exited, "sched_process_exit"},
		{p.objs.Destroyed, "tcp_destroy_sock"},
		{p.objs.SockRecv, "sock_recv_length"},
		{p.objs.SockSend, "sock_send_length"},
	} {
		if err := att.Tracepoint(t.prog, t.name); err != nil {
			return err
		}
	}
	return p.findSockets()
}

// findSockets tells the kernel side who listens already, and what is connected.
func (p *probe) findSockets() error {
	it, err := link.AttachIter(link.IterOptions{Program: p.objs.FindSockets})
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
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-ctx.Done():
		case <-att.Stopping():
		case <-stop:
			return
		}
		p.ring.Flush()
	}()
	ready()
	return p.read(att)
}

// read hands on what comes until the ring is flushed.
func (p *probe) read(att *kern.Attachment) error {
	pair := newIntake(p.env.Sink, nil)
	look := newSweeper(p, att, pair)
	for {
		_, err := p.ring.Read(readWait, readBatch, pair.take)
		if errors.Is(err, kern.ErrFlushed) {
			return look.last()
		}
		if err != nil {
			return fmt.Errorf("read requests ring: %w", err)
		}
		if err := look.due(time.Now()); err != nil {
			return err
		}
		pair.deliver()
	}
}

// Select implements core.Selective.
func (p *probe) Select(s core.Selection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.att == nil {
		return errors.New("select processes for requests: not attached")
	}
	return p.selected.apply(s)
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
