package requests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/cilium/ebpf"

	"vitals/core"
	"vitals/probes/kern"
	"vitals/probes/tls"
)

// KindTLS is the name of the instrumentation of TLS libraries.
const KindTLS = "tls"

// NeedsTLS is what it cannot do without.
func NeedsTLS() kern.Needs {
	return kern.Needs{Since: kern.Version{Major: 5, Minor: 15}, Tracepoints: births(), Iterators: []string{"bpf_map_elem"}, Helpers: []string{"get_attach_cookie"}}
}

// SpecTLS describes the probe of TLS libraries as a unit.
func SpecTLS(env kern.Env) core.Spec {
	return core.Spec{
		ID:          "instrumentation/" + KindTLS,
		Class:       core.ClassInstrumentation,
		Kind:        KindTLS,
		Title:       "TLS",
		Help:        "Reads the requests inside TLS connections where OpenSSL or Go encrypts them; costs some microseconds of CPU a request",
		Fingerprint: KindTLS,
		Make:        func() (core.Unit, error) { return &secrets{probe: probe{env: env, tls: true}}, nil },
		Default:     true,
		PerProcess:  true,
	}
}

// secrets is the unit that reads plain text where libraries take and give it. It
// has the machine of the requests probe, fed by probes in files instead of hooks
// on sockets.
type secrets struct {
	probe
	objs secretObjects

	mu    sync.Mutex
	files map[tls.Identity]*probed
	uses  map[core.ProcKey][]tls.Identity // files by the processes that use them
	fails []error
}

// closer detaches the probes of one file.
type closer = io.Closer

// probed is a file with probes of ours.
type probed struct {
	target tls.Target
	links  closer // nil when it could not be probed
	err    error
	users  map[core.ProcKey]bool // processes that were seen to use it
	keep   bool                  // whoever uses it
}

// Limits of what is remembered: files that are probed, files that were looked at,
// and processes that use probed files.
const (
	maxFiles  = 512
	maxLooked = 4096
	maxUses   = 16384
)

var (
	_ core.Unit      = (*secrets)(nil)
	_ core.Selective = (*secrets)(nil)
	_ core.Costed    = (*secrets)(nil)
	_ core.Checker   = (*secrets)(nil)
)

// Attach implements core.Unit. The libraries of the system are probed now, what
// processes bring along while it serves.
func (s *secrets) Attach(ctx context.Context) (core.Parts, error) {
	att := kern.NewAttachment("instrumentation/"+KindTLS, &s.env)
	if err := s.attachSecrets(att); err != nil {
		s.env.Secrets.TellAll(unreadable(err))
		return nil, errors.Join(err, att.Close(ctx))
	}
	s.env.Secrets.TellAll("")
	s.probe.mu.Lock()
	s.att = att
	s.selected = selection{side: s.side}
	s.probe.mu.Unlock()
	s.mu.Lock()
	s.files, s.uses, s.fails = make(map[tls.Identity]*probed), make(map[core.ProcKey][]tls.Identity), nil
	s.mu.Unlock()
	targets, err := tls.System()
	if err != nil {
		s.failed(err)
	}
	for _, t := range targets {
		s.use(att, t, core.ProcKey{})
	}
	return s.parts(), nil
}

// unreadable is err as the reason why nobody's TLS is read.
func unreadable(err error) string {
	var known *core.Remedied
	if errors.As(err, &known) {
		err = known.Err
	}
	return "the TLS probe does not run: " + strings.TrimPrefix(err.Error(), core.ErrUnsupported.Error()+": ")
}

func (s *secrets) attachSecrets(att *kern.Attachment) error {
	if err := att.Require(NeedsTLS()); err != nil {
		return err
	}
	spec, err := loadSecret()
	if err != nil {
		return fmt.Errorf("read the TLS programs: %w", err)
	}
	if err := s.size(spec); err != nil {
		return err
	}
	kern.PrepareUprobes(spec)
	if err := att.Share(spec, s.env.Shared, sharedMaps()...); err != nil {
		return err
	}
	s.objs = secretObjects{}
	if err := att.Load(spec, &s.objs); err != nil {
		return err
	}
	s.side = s.objs.side()
	if s.ring, err = att.Ring(s.side.ring); err != nil {
		return err
	}
	if s.sweep, err = att.Iterator(s.side.sweep, s.side.sweepOver, s.side.conns); err != nil {
		return err
	}
	for _, h := range s.side.hooks {
		if err := att.Tracepoint(h.prog, h.tracepoint); err != nil {
			return err
		}
	}
	return nil
}

// sharedMaps are those of speech.h, through which the programs on sockets tell
// those in libraries which socket a thread uses.
func sharedMaps() []string { return []string{"threads", "speakers", "speech"} }

func (o *secretObjects) side() *side {
	return &side{
		Closer: o,
		ring:   o.Ring, conns: o.Conns, exceptions: o.Exceptions, tuned: o.Tuned, places: o.Places, datagrams: o.Datagrams, troubles: o.Troubles, endings: o.Endings, speakers: o.Speakers,
		observeDefault: o.ObserveDefault, defaultSince: o.DefaultSince, exceptionsUsed: o.ExceptionsUsed, generation: o.Generation, tunings: o.Tunings,
		final: o.Final, sleeping: o.Sleeping, dirty: o.Dirty,
		lostExchanges: o.LostExchanges, lostChunks: o.LostChunks, lostAmendments: o.LostAmendments, lateEnds: o.LateEnds, unpaired: o.UnpairedChunks, contended: o.Contended,
		sweep: o.Sweep, sweepOver: "bpf_map_elem",
		hooks: []hook{
			{o.Forked, "sched_process_fork"},
			{o.Executed, "sched_process_exec"},
			{o.Exited, "sched_process_exit"},
		},
	}
}

// Serve implements core.Unit.
func (s *secrets) Serve(ctx context.Context, ready func()) error {
	s.probe.mu.Lock()
	att := s.att
	s.probe.mu.Unlock()
	if att == nil {
		return errors.New("serve tls: not attached")
	}
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, att) })
	err := s.probe.Serve(ctx, ready)
	stop()
	watching.Wait()
	return err
}

// Detach implements core.Unit. Nobody is read any more.
func (s *secrets) Detach(ctx context.Context) error {
	s.probe.mu.Lock()
	var err error
	if s.att != nil {
		s.env.Secrets.TellAll("the TLS probe is switched off")
		err = clearMap(s.objs.Speakers)
	}
	s.probe.mu.Unlock()
	return errors.Join(err, s.probe.Detach(ctx))
}

const switchedOff = "the TLS probe is switched off for it"

// Select implements core.Selective. Whose TLS is not read any more is to be told
// as encrypted, with that reason.
func (s *secrets) Select(change core.Selection) error {
	if err := s.probe.Select(change); err != nil {
		return err
	}
	var errs []error
	if change.Default {
		s.env.Secrets.TellAll("")
	} else {
		s.env.Secrets.TellAll("the TLS probe is off for it")
		errs = append(errs, clearMap(s.objs.Speakers)) // the others tell of themselves again
	}
	for _, proc := range change.Clear {
		s.env.Secrets.Forget(proc)
	}
	for proc, on := range change.Set {
		s.env.Secrets.Forget(proc)
		if !on {
			s.env.Secrets.Tell(proc, switchedOff)
			errs = append(errs, s.silence(proc))
		}
	}
	return errors.Join(errs...)
}

// off reports whether the TLS of a process was chosen not to be read.
func (s *secrets) off(proc core.ProcKey) bool {
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	e, chosen := s.probe.selected.exceptions[proc.PID]
	return chosen && e.birth == proc.Birth && !e.on
}

// silence says that the TLS of a process is not read.
func (s *secrets) silence(proc core.ProcKey) error {
	err := s.objs.Speakers.Delete(uint32(proc.PID))
	if err == nil || errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return fmt.Errorf("forget that process %d speaks TLS: %w", proc.PID, err)
}

// secret tells whether the TLS of a process is read, and if not, why. It is for
// the probe of sockets, which sees the encrypted side.
func (p *probe) secret(proc core.ProcKey) (readable bool, why string) {
	var yes uint8
	if p.side.speakers.Lookup(uint32(proc.PID), &yes) == nil {
		return true, ""
	}
	return false, p.env.Secrets.Why(proc)
}

// cookie says to the program what a place is; see place_role in secret.bpf.c.
func cookie(p *tls.Probe) uint64 {
	const ends, guarded = 16, 32
	c := uint64(p.Role)
	if p.Exit {
		c |= ends
	}
	if p.Guarded {
		c |= guarded
	}
	return c
}
