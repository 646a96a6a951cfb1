package kern

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// multiUprobes is the first kernel that attaches many uprobes with one link.
func multiUprobes() Version { return Version{6, 6} }

// Uprobe is a place in a file where a program of ours runs when a process comes
// by. The caller has verified that it is the boundary of an instruction: the
// kernel does not, and a wrong one kills the process.
type Uprobe struct {
	Prog   *ebpf.Program
	Name   string // of the function, for the meter and for errors
	Offset uint64 // in the file
	Return bool   // when the function that begins at Offset returns
	Cookie uint64 // what bpf_get_attach_cookie gives
}

// PrepareUprobes makes the programs of spec in section "uprobe" fit for the way
// in which this kernel attaches them. Call it before Load, when there are any.
func PrepareUprobes(spec *ebpf.CollectionSpec) {
	if !hasMulti() {
		return
	}
	for _, p := range spec.Programs {
		if p.SectionName == "uprobe" {
			p.AttachType = ebpf.AttachTraceUprobeMulti
		}
	}
}

func hasMulti() bool {
	var uts unix.Utsname
	if unix.Uname(&uts) != nil {
		return false
	}
	v, err := ParseVersion(unix.ByteSliceToString(uts.Release[:]))
	return err == nil && !v.Less(multiUprobes())
}

// Uprobes attaches probes to a file, for every process that has it mapped, now
// or later. The file is the open one, whatever its path leads to by now; name is
// for errors. It is all or nothing. They are detached when the result is closed,
// at the latest with the attachment. It takes from one to some hundred
// milliseconds.
func (a *Attachment) Uprobes(file *os.File, name string, probes []Uprobe) (io.Closer, error) {
	exe, err := link.OpenExecutable("/proc/self/fd/" + strconv.Itoa(int(file.Fd())))
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", name, err)
	}
	multi := hasMulti()
	held := &holder{of: a}
	for len(probes) > 0 {
		n := 1
		for multi && n < len(probes) && probes[n].Prog == probes[0].Prog && probes[n].Return == probes[0].Return {
			n++
		}
		l, err := attachUprobes(exe, probes[:n], multi)
		if err != nil {
			err = fmt.Errorf("attach %s in %s: %w", probes[0].Name, name, err)
			return nil, Explain("probe "+filepath.Base(name), errors.Join(err, held.Close()))
		}
		held.links = append(held.links, l)
		a.trackOnce(probes[0].Prog, "uprobe")
		probes = probes[n:]
	}
	if !a.hold(held) {
		return nil, errors.Join(errDetached(a.unit), held.Close())
	}
	return held, nil
}

// hold makes h a hook of the attachment, false when that is closed.
func (a *Attachment) hold(h *holder) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.hooks = append(a.hooks, h)
	}
	return !a.closed
}

// attachUprobes attaches probes of one program, several at once only when multi.
func attachUprobes(exe *link.Executable, probes []Uprobe, multi bool) (link.Link, error) {
	first := probes[0]
	if !multi {
		options := &link.UprobeOptions{Address: first.Offset, Cookie: first.Cookie}
		if first.Return {
			return exe.Uretprobe("", first.Prog, options)
		}
		return exe.Uprobe("", first.Prog, options)
	}
	options := &link.UprobeMultiOptions{}
	for _, p := range probes {
		options.Addresses = append(options.Addresses, p.Offset)
		options.Cookies = append(options.Cookies, p.Cookie)
	}
	if first.Return {
		return exe.UretprobeMulti(nil, first.Prog, options)
	}
	return exe.UprobeMulti(nil, first.Prog, options)
}

// trackOnce tells the meter of a program that may be attached in many places.
func (a *Attachment) trackOnce(prog *ebpf.Program, attached string) {
	a.mu.Lock()
	had := a.tracked[prog]
	if a.tracked == nil {
		a.tracked = make(map[*ebpf.Program]bool)
	}
	a.tracked[prog] = true
	a.mu.Unlock()
	if !had {
		a.track(prog, attached)
	}
}

// holder closes links once, whoever asks first.
type holder struct {
	of    *Attachment
	once  sync.Once
	links []io.Closer
	err   error
}

// Close detaches the probes.
func (h *holder) Close() error {
	h.once.Do(func() {
		h.err = closeAll(h.links)
		h.of.mu.Lock()
		defer h.of.mu.Unlock()
		h.of.hooks = slices.DeleteFunc(h.of.hooks, func(c io.Closer) bool { return c == h })
	})
	return h.err
}
