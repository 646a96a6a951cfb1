package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// Bounds of the state file: whoever can write it must not be able to hurt us.
const (
	stateVersion = 1
	stateBytes   = 1 << 20
	stateChoices = 4096
)

// Owner is the user who shall own the state file.
type Owner struct{ UID, GID int }

// InvokingUser returns who started vitals: under sudo the user behind it.
func InvokingUser() *Owner {
	o := &Owner{UID: os.Geteuid(), GID: os.Getegid()}
	if o.UID != 0 {
		return o
	}
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err1 == nil && err2 == nil && uid >= 0 && gid >= 0 {
		o.UID, o.GID = uid, gid
	}
	return o
}

// stateFile keeps choices between runs. It lies in a folder that its owner may
// write, while we may be root: every step is taken relative to an open folder
// of that owner, and no symbolic link is followed at the end.
type stateFile struct {
	path  string
	owner Owner
}

type stateDoc struct {
	Version int          `json:"version"`
	Choices []keptChoice `json:"choices"`
}

type keptChoice struct {
	Kind   string      `json:"kind"`
	Scope  core.Scope  `json:"scope"`
	Target string      `json:"target,omitempty"`
	Choice core.Choice `json:"choice"`
}

// read returns the kept choices; a file that is not there has none.
func (f stateFile) read() (map[core.ToggleKey]core.Choice, error) {
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", f.path, err)
	}
	file := os.NewFile(uintptr(fd), f.path)
	defer file.Close()
	if err := f.trusted(fd); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, stateBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	kept, err := parseState(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w (remove it to silence this)", f.path, err)
	}
	return kept, nil
}

// trusted reports why the open file must not be believed.
func (f stateFile) trusted(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.path, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is not a regular file", f.path)
	case int(st.Uid) != f.owner.UID && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, not to %d", f.path, st.Uid, f.owner.UID)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s can be written by others (chmod 600 it)", f.path)
	case st.Size > stateBytes:
		return fmt.Errorf("%s has %d bytes, more than the limit of %d", f.path, st.Size, stateBytes)
	}
	return nil
}

// parseState reads hostile bytes: all of them are understood, or none is used.
func parseState(raw []byte) (map[core.ToggleKey]core.Choice, error) {
	if len(raw) > stateBytes {
		return nil, fmt.Errorf("more than %d bytes", stateBytes)
	}
	var doc stateDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	if doc.Version != stateVersion {
		return nil, fmt.Errorf("version %d is not %d", doc.Version, stateVersion)
	}
	if len(doc.Choices) > stateChoices {
		return nil, fmt.Errorf("%d choices are more than the limit of %d", len(doc.Choices), stateChoices)
	}
	kept := make(map[core.ToggleKey]core.Choice, len(doc.Choices))
	for i, c := range doc.Choices {
		if err := c.valid(); err != nil {
			return nil, fmt.Errorf("choice %d: %w", i+1, err)
		}
		kept[core.ToggleKey{Kind: c.Kind, Scope: c.Scope, Target: c.Target}] = c.Choice
	}
	return kept, nil
}

func (c keptChoice) valid() error {
	switch {
	case c.Kind == "" || core.Clean(c.Kind, core.MaxName) != c.Kind:
		return errors.New("its kind is not a name")
	case c.Choice != core.On && c.Choice != core.Off:
		return errors.New("it is neither on nor off")
	case core.Clean(c.Target, core.MaxCmdline) != c.Target:
		return errors.New("its target is not a name")
	case c.Scope == core.ScopeGlobal && c.Target == "":
	case (c.Scope == core.ScopeGroup || c.Scope == core.ScopeService) && c.Target != "":
	default:
		return errors.New("its scope and target do not go together")
	}
	return nil
}

// render gives the bytes of a state file, the same for the same choices.
func render(kept map[core.ToggleKey]core.Choice) ([]byte, error) {
	doc := stateDoc{Version: stateVersion, Choices: make([]keptChoice, 0, len(kept))}
	for key, choice := range kept {
		doc.Choices = append(doc.Choices, keptChoice{key.Kind, key.Scope, key.Target, choice})
	}
	slices.SortFunc(doc.Choices, func(a, b keptChoice) int {
		return strings.Compare(string(a.Scope)+"\x00"+a.Target+"\x00"+a.Kind, string(b.Scope)+"\x00"+b.Target+"\x00"+b.Kind)
	})
	raw, err := json.MarshalIndent(doc, "", "  ")
	return append(raw, '\n'), err
}

// write replaces the file as a whole: a reader sees the old or the new one.
func (f stateFile) write(kept map[core.ToggleKey]core.Choice) error {
	raw, err := render(kept)
	if err != nil {
		return fmt.Errorf("encode choices: %w", err)
	}
	if len(raw) > stateBytes {
		return fmt.Errorf("the choices need %d bytes, more than the limit of %d (set some to auto)", len(raw), stateBytes)
	}
	dir, err := f.folder(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name := filepath.Base(f.path)
	temp := "." + name + ".new"
	if err := f.fill(dir, temp, raw); err != nil {
		_ = unix.Unlinkat(dir, temp, 0)
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := unix.Renameat(dir, temp, dir, name); err != nil {
		_ = unix.Unlinkat(dir, temp, 0)
		return fmt.Errorf("replace %s: %w", f.path, err)
	}
	return nil
}

// fill makes a file of the owner with the given bytes, durable before it is renamed.
func (f stateFile) fill(dir int, name string, raw []byte) error {
	_ = unix.Unlinkat(dir, name, 0) // left over by a run that was killed
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	if f.owner.UID != os.Geteuid() {
		if err := file.Chown(f.owner.UID, f.owner.GID); err != nil {
			return err
		}
	}
	if _, err := file.Write(raw); err != nil {
		return err
	}
	return file.Sync()
}

// folder opens a folder, making what is missing of it for the owner. It refuses
// one that is somebody else's: a link in the owner's home must not lead root
// into a system folder.
func (f stateFile) folder(path string) (int, error) {
	const how = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	fd, err := unix.Open(path, how, 0)
	if err == nil {
		return fd, f.mine(fd, path)
	}
	if !errors.Is(err, unix.ENOENT) || filepath.Dir(path) == path {
		return -1, fmt.Errorf("open folder %s: %w", path, err)
	}
	parent, err := f.folder(filepath.Dir(path))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	name := filepath.Base(path)
	if err := unix.Mkdirat(parent, name, 0o700); err != nil {
		return -1, fmt.Errorf("make folder %s: %w", path, err)
	}
	fd, err = unix.Openat(parent, name, how|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("open folder %s: %w", path, err)
	}
	if f.owner.UID != os.Geteuid() {
		if err := unix.Fchown(fd, f.owner.UID, f.owner.GID); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("give folder %s to user %d: %w", path, f.owner.UID, err)
		}
	}
	return fd, nil
}

// mine closes fd and returns an error unless the folder is the owner's.
func (f stateFile) mine(fd int, path string) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && int(st.Uid) != f.owner.UID {
		err = fmt.Errorf("it belongs to user %d, not to %d", st.Uid, f.owner.UID)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("use folder %s: %w", path, err)
	}
	return nil
}

// saver writes the state file in its own goroutine, since a disk may be slow.
// Of several states that wait only the newest is written.
type saver struct {
	file     stateFile
	complain func(error)
	wake     chan struct{}
	done     chan struct{}

	mu    sync.Mutex
	next  map[core.ToggleKey]core.Choice // nil: nothing to write
	ended bool
}

func newSaver(file stateFile, complain func(error)) *saver {
	s := &saver{file: file, complain: complain, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// save asks for choices to be written; it does not wait.
func (s *saver) save(kept map[core.ToggleKey]core.Choice) {
	s.mu.Lock()
	s.next = maps.Clone(kept)
	s.mu.Unlock()
	nudge(s.wake)
}

// close writes what waits and ends the saver.
func (s *saver) close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	nudge(s.wake)
	<-s.done
}

func (s *saver) run() {
	defer close(s.done)
	for range s.wake {
		s.mu.Lock()
		kept, ended := s.next, s.ended
		s.next = nil
		s.mu.Unlock()
		if kept != nil {
			if err := s.file.write(kept); err != nil {
				s.complain(err)
			}
		}
		if ended {
			return
		}
	}
}
