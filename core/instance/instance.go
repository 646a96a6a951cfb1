// Package instance tells other running copies of vitals. It never keeps one from
// starting: two side by side are allowed, and say so.
package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is where copies that run as root announce themselves.
const Dir = "/run/vitals"

// Announcement is our own entry: a file PID.lock that we hold a lock on. The
// kernel drops the lock when we die, however that happens.
type Announcement struct {
	f    *os.File
	path string
	as   func(func() error) error
}

// Place is a directory for announcements.
type Place struct {
	Dir string // "" is none
	// As runs what touches it with the rights of whose it is, so that no link of
	// theirs leads root astray; nil as we are.
	As func(func() error) error
}

// Announce makes our entry in the first of the places where that is possible and
// returns the pids of the other running copies, found in all of them. Entries of
// the dead are removed. A nil Announcement with an error means only that others
// cannot see us; the pids are right all the same.
func Announce(places ...Place) (*Announcement, []int32, error) {
	var a *Announcement
	var err error
	var others []int32
	for _, p := range places {
		if p.Dir == "" {
			continue
		}
		if p.As == nil {
			p.As = func(f func() error) error { return f() }
		}
		e := p.As(func() (e error) {
			if a == nil {
				if a, e = announce(p.Dir); a != nil {
					a.as = p.As
				}
			}
			others = append(others, running(p.Dir)...)
			return e
		})
		if e != nil {
			err = errors.Join(err, e)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	if a != nil {
		return a, others, nil
	}
	if err == nil {
		err = errors.New("no directory to announce this instance in")
	}
	return nil, others, err
}

func announce(dir string) (*Announcement, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, strconv.Itoa(os.Getpid())+suffix)
	// Somebody who looks for the dead may lock or remove the entry between our
	// two calls; they let go at once.
	for range 20 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0 {
			return &Announcement{f: f, path: path}, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("lock %s: held by somebody else", path)
}

const suffix = ".lock"

// running returns the pids in dir, except our own, whose entry is still locked.
func running(dir string) []int32 {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(1000)
	var out []int32
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, suffix)
		pid, err := strconv.ParseInt(digits, 10, 32)
		if !ok || err != nil || pid <= 0 || int(pid) == os.Getpid() {
			continue
		}
		if locked(filepath.Join(dir, name)) {
			out = append(out, int32(pid))
		}
	}
	return out
}

// locked reports whether somebody holds the entry; when nobody does it is stale
// and removed.
func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return held(f, path)
}

func held(f *os.File, path string) bool {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true
	}
	// Somebody else may have removed it meanwhile: what is there now is of a new
	// process with that pid.
	var st unix.Stat_t
	if err == nil && unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0 {
		os.Remove(path) // not ours to remove without the right to: then it stays, harmless
	}
	return false
}

// Close takes our entry back. It may be called twice and on nil.
func (a *Announcement) Close() error {
	if a == nil || a.f == nil {
		return nil
	}
	err := a.as(func() error { return os.Remove(a.path) })
	err = errors.Join(err, a.f.Close())
	a.f = nil
	return err
}
