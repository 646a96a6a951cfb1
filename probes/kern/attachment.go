package kern

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"vitals/core"
)

// Attachment is what one unit holds in the kernel between Attach and Detach.
// It makes Attach all or nothing (Close what was taken so far), joins Serve
// with Detach, and gives everything back in the right order: first the hooks, so
// that nothing new arrives, then Serve has its last word, then the rest.
//
// Methods may be called from any goroutine.
type Attachment struct {
	unit  string
	meter *Meter
	from  *Types

	mu      sync.Mutex
	hooks   []io.Closer
	objects []io.Closer
	untrack []func()
	types   *btf.Cache // from the first use until everything is loaded
	closed  bool
	shared  map[string]*ebpf.Map // before Load only
	tracked map[*ebpf.Program]bool

	stopping chan struct{}
	serving  sync.WaitGroup
}

// NewAttachment makes an empty one for the unit of that id.
func NewAttachment(unit string, env *Env) *Attachment {
	return &Attachment{unit: unit, meter: env.Meter, from: env.Types, stopping: make(chan struct{})}
}

// Require returns nil when this kernel and this user have all that n names, else
// an error that wraps core.ErrUnsupported and comes with a remedy. Call it
// before Load, which makes use of what it read.
func (a *Attachment) Require(n Needs) error { return n.check(lookAtKernel(a.typeCache())) }

func (a *Attachment) typeCache() *btf.Cache {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.types == nil {
		a.types = a.from.cache()
	}
	return a.types
}

func (a *Attachment) forgetTypes() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.types = nil
}

// Load puts programs and maps into the kernel and keeps them. objects is a
// pointer to the struct that bpf2go generates for spec. The limit on locked
// memory is raised only where the kernel still counts maps against it.
func (a *Attachment) Load(spec *ebpf.CollectionSpec, objects io.Closer) error {
	defer a.forgetTypes()
	options := &ebpf.CollectionOptions{Cache: a.typeCache(), MapReplacements: a.shared}
	err := spec.LoadAndAssign(objects, options)
	if errors.Is(err, unix.EPERM) && raiseMemlock() {
		err = spec.LoadAndAssign(objects, options)
	}
	if err != nil {
		return Explain("load "+a.unit, err)
	}
	return a.Keep(objects)
}

// raiseMemlock reports whether there was anything to raise.
func raiseMemlock() bool {
	var old unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old) != nil || old.Cur == unix.RLIM_INFINITY {
		return false
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited) == nil
}

// Tracepoint attaches prog to the kernel's tracepoint of that name, by BTF:
// without tracefs and without a perf event. name is for the meter and for
// errors; the program's section decides where it goes.
func (a *Attachment) Tracepoint(prog *ebpf.Program, name string) error {
	l, err := link.AttachTracing(link.TracingOptions{Program: prog, AttachType: ebpf.AttachTraceRawTp})
	if err != nil {
		return Explain("attach tp_btf/"+name, err)
	}
	return a.hook(l, prog, "tp_btf/"+name)
}

// Iterator readies an iterator. It runs when it is read, so it is no hook: Serve
// may read it a last time after Stopping. m is the map that a map iterator walks,
// nil for others.
func (a *Attachment) Iterator(prog *ebpf.Program, name string, m *ebpf.Map) (*link.Iter, error) {
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: m})
	if err != nil {
		return nil, Explain("attach iter/"+name, err)
	}
	if err := a.Keep(it); err != nil {
		return nil, err
	}
	a.track(prog, "iter/"+name)
	return it, nil
}

// Ring opens a reader on a ring buffer map and keeps it.
func (a *Attachment) Ring(m *ebpf.Map) (*Ring, error) {
	r, err := NewRing(m)
	if err != nil {
		return nil, Explain("open ring of "+a.unit, err)
	}
	return r, a.Keep(r)
}

func (a *Attachment) hook(l io.Closer, prog *ebpf.Program, attached string) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return errors.Join(errDetached(a.unit), l.Close())
	}
	a.hooks = append(a.hooks, l)
	a.mu.Unlock()
	a.track(prog, attached)
	return nil
}

func (a *Attachment) track(prog *ebpf.Program, attached string) {
	if a.meter == nil {
		return
	}
	untrack := a.meter.Track(a.unit, attached, prog)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		untrack()
		return
	}
	a.untrack = append(a.untrack, untrack)
}

// Keep makes c part of the attachment: it is closed after Serve has ended, in
// reverse order. It is closed at once when the attachment is already.
func (a *Attachment) Keep(c io.Closer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errors.Join(errDetached(a.unit), c.Close())
	}
	a.objects = append(a.objects, c)
	return nil
}

func errDetached(unit string) error {
	return fmt.Errorf("%s was detached meanwhile", unit)
}

// Enter begins Serve: Close waits until leave was called. ok is false after Close.
func (a *Attachment) Enter() (leave func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, false
	}
	a.serving.Add(1)
	return a.serving.Done, true
}

// Stopping is closed when Serve is to finish: the hooks are gone, what they left
// behind can still be read.
func (a *Attachment) Stopping() <-chan struct{} { return a.stopping }

// Ending gives a reader its end: the channel is closed when ctx is over or the
// attachment stops, and then wake, which must end the reader's waiting, is called.
// Call release when the reader has returned.
func (a *Attachment) Ending(ctx context.Context, wake func()) (ending <-chan struct{}, release func()) {
	ends, released := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-a.stopping:
		case <-released:
			return
		}
		close(ends)
		wake()
	}()
	return ends, func() { close(released) }
}

// Programs lists the unit's programs with what they cost so far.
func (a *Attachment) Programs() []core.Program {
	if a.meter == nil {
		return nil
	}
	return a.meter.Of(a.unit)
}

// Close detaches the hooks, waits for Serve until ctx ends, and closes the rest.
// Everything is closed when it returns, error or not; the second call does nothing.
func (a *Attachment) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	hooks, objects, untrack := a.hooks, a.objects, a.untrack
	a.hooks, a.objects, a.untrack = nil, nil, nil
	a.mu.Unlock()

	err := closeHooks(hooks)
	close(a.stopping)
	served := make(chan struct{})
	go func() {
		a.serving.Wait()
		close(served)
	}()
	select {
	case <-served:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("%s is still reading: %w", a.unit, context.Cause(ctx)))
	}
	for _, f := range untrack {
		f()
	}
	return errors.Join(err, closeAll(objects))
}

// closeHooks closes hooks, those in files all at the same time: for each of them
// the kernel waits until nobody is inside.
func closeHooks(hooks []io.Closer) error {
	var inFiles sync.WaitGroup
	var rest []io.Closer
	errs := make([]error, len(hooks))
	for i, h := range hooks {
		if _, ok := h.(*holder); ok {
			inFiles.Go(func() { errs[i] = h.Close() })
		} else {
			rest = append(rest, h)
		}
	}
	err := closeAll(rest)
	inFiles.Wait()
	return errors.Join(append(errs, err)...)
}

func closeAll(closers []io.Closer) error {
	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
