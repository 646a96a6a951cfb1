package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// DiskStore is a directory with one file for each group, and a journal of what
// is newer. A file is written beside its place, synced, moved there, and the
// directory synced, so that after a crash a file is the old or the new one,
// whole. What is damaged all the same is moved to the subdirectory quarantine.
type DiskStore struct {
	dir         string
	as          func(func() error) error // runs what touches files
	log         *slog.Logger
	lock        *os.File
	journal     *journal // nil before Load, and where no space can be reserved
	half        int64    // of the journal, in bytes
	quarantined atomic.Int64
}

const (
	diskMagic   = "vitalsgw"
	diskVersion = 1
	diskHeader  = len(diskMagic) + 4 + 8 + sha256.Size // magic, version, length, checksum of the data
	groupSuffix = ".group"
	tempPrefix  = "tmp-"
	quarantine  = "quarantine"
	// syncers is how many files are synced at one time: waiting for a disk costs no CPU.
	syncers = 16
	// syncEach is up to how many files each is synced by itself: more are cheaper
	// to sync with all the rest of the file system.
	syncEach = 64
	// maxGroupFile bounds what is read into memory when loading.
	maxGroupFile = 4 << 30
)

// OpenDisk opens the store in dir, made when it is not there. Only one process
// at a time can have it. as runs everything that touches files, with the rights
// of whoever named dir; nil runs it as we are.
func OpenDisk(dir string, as func(f func() error) error, log *slog.Logger) (d *DiskStore, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if as == nil {
		as = func(f func() error) error { return f() }
	}
	err = as(func() (err error) {
		d, err = openDisk(dir, log)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.as = as
	return d, nil
}

func openDisk(dir string, log *slog.Logger) (*DiskStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil { // it may be new there
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another gateway uses it: give each its own directory")
		}
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return &DiskStore{dir: dir, log: log, lock: lock, half: journalHalf}, nil
}

// Load implements Store.
func (d *DiskStore) Load(f func(data []byte) error) error {
	return d.as(func() error { return d.load(f) })
}

func (d *DiskStore) load(f func(data []byte) error) error {
	carried, err := d.recover()
	if err != nil {
		return fmt.Errorf("store %s: %w", d.dir, err)
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("store %s: %w", d.dir, err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, tempPrefix) { // of a write that a crash ended
			if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
				return fmt.Errorf("store %s: %w", d.dir, err)
			}
			continue
		}
		if _, newer := carried[name]; newer || !strings.HasSuffix(name, groupSuffix) || !e.Type().IsRegular() {
			continue
		}
		data, err := readGroupFile(filepath.Join(d.dir, name))
		if err == nil {
			err = f(data)
		}
		if errors.Is(err, ErrCorrupt) {
			err = d.setAside(name, err)
		}
		if err != nil {
			return fmt.Errorf("store %s: %s: %w", d.dir, name, err)
		}
	}
	for name, data := range carried {
		if data == nil {
			continue
		}
		if err := f(data); err != nil {
			return fmt.Errorf("store %s: journal: %s: %w", d.dir, name, err)
		}
	}
	return nil
}

// recover puts what the journal of a run before has into files, and begins a new
// one where space can be reserved: without it every change is a file at once.
// carried is what could not be put into files and is in the journal only.
func (d *DiskStore) recover() (carried map[string][]byte, err error) {
	path := filepath.Join(d.dir, journalName)
	old, files, damaged, err := readJournal(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	carried = d.settle(files)
	switch {
	case old != nil && !damaged && old.half >= d.half:
		d.journal = old
		return carried, d.journal.next(carried)
	case damaged:
		if err := d.setAside(journalName, errors.New("a part of the journal cannot be read: what could be is in place")); err != nil {
			return nil, err
		}
	}
	if old != nil {
		old.file.Close()
	}
	if d.journal, err = newJournal(path, d.half); err == nil && len(carried) > 0 {
		err = d.journal.next(carried)
	}
	switch {
	case err == nil:
		return carried, syncDir(d.dir)
	case len(carried) > 0:
		return nil, fmt.Errorf("journal: %w", err)
	}
	d.log.Warn("no space can be reserved for a journal: every push is written to a file of its own", "store", d.dir, "error", err)
	return nil, syncDir(d.dir)
}

// settle puts data into files and gives back that for which it failed.
func (d *DiskStore) settle(files map[string][]byte) (failed map[string][]byte) {
	if d.replace(files) == nil {
		return nil
	}
	failed = map[string][]byte{}
	var last error
	for _, gone := range []bool{true, false} { // what goes makes room
		for name, data := range files {
			if (data == nil) != gone {
				continue
			}
			if err := d.replace(map[string][]byte{name: data}); err != nil {
				failed[name], last = data, err
			}
		}
	}
	if len(failed) > 0 {
		d.log.Error("groups are kept in the journal, since their files cannot be written", "store", d.dir, "groups", len(failed), "error", last)
	}
	return failed
}

// fold puts what the journal has into files and goes on in its other half.
func (d *DiskStore) fold() error {
	files, err := d.journal.files()
	if err == nil {
		err = d.journal.next(d.settle(files))
	}
	if err != nil {
		return fmt.Errorf("store %s: journal: %w", d.dir, err)
	}
	return nil
}

func readGroupFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxGroupFile {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return openFile(b)
}

// openFile checks a file and gives its data.
func openFile(b []byte) ([]byte, error) {
	if len(b) < diskHeader || !bytes.HasPrefix(b, []byte(diskMagic)) {
		return nil, fmt.Errorf("%w: no header", ErrCorrupt)
	}
	head, data := b[len(diskMagic):diskHeader], b[diskHeader:]
	if v := binary.LittleEndian.Uint32(head); v != diskVersion {
		// A damaged version is told from a newer one by the checksum, which every
		// version has at this place.
		if sha256.Sum256(data) == [sha256.Size]byte(head[12:]) {
			return nil, newerVersion(v)
		}
		return nil, fmt.Errorf("%w: version %d", ErrCorrupt, v)
	}
	if n := binary.LittleEndian.Uint64(head[4:]); n != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrCorrupt, len(data), n)
	}
	if sha256.Sum256(data) != [sha256.Size]byte(head[12:]) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrCorrupt)
	}
	return data, nil
}

func newerVersion(v uint32) error {
	return fmt.Errorf("format version %d is not known: it was written by a newer vitals, use that or another directory", v)
}

func sealFile(data []byte) []byte {
	b := make([]byte, 0, diskHeader)
	b = append(b, diskMagic...)
	b = binary.LittleEndian.AppendUint32(b, diskVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	sum := sha256.Sum256(data)
	return append(b, sum[:]...)
}

// setAside moves a damaged file to where a person can look at it.
func (d *DiskStore) setAside(name string, why error) error {
	to := filepath.Join(d.dir, quarantine)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(d.dir, name), filepath.Join(to, name)); err != nil {
		return err
	}
	d.quarantined.Add(1)
	d.log.Error("a stored group was set aside", "file", filepath.Join(to, name), "error", why)
	return nil
}

// Quarantined is how many damaged files were set aside.
func (d *DiskStore) Quarantined() int64 { return d.quarantined.Load() }

// Commit implements Store. What does not fit into the journal makes room there
// first; what takes a large part of it is a file at once.
func (d *DiskStore) Commit(changes []Change) error {
	return d.as(func() error { return d.commit(changes) })
}

func (d *DiskStore) commit(changes []Change) error {
	last := map[string][]byte{} // a group may be there several times
	for _, c := range changes {
		last[fileName(c.ID)] = c.Data
	}
	if d.journal != nil {
		entry := record(last, d.journal.generation)
		if !d.journal.fits(entry) {
			if err := d.fold(); err != nil {
				return err
			}
			entry = record(last, d.journal.generation)
		}
		switch {
		case int64(len(entry)) <= d.journal.half/4 || !d.journal.empty() && d.journal.fits(entry):
			if err := d.journal.append(entry); err != nil {
				return fmt.Errorf("store %s: %w", d.dir, err)
			}
			return nil
		case !d.journal.empty():
			return fmt.Errorf("store %s: the journal is needed for groups whose files cannot be written", d.dir)
		}
	}
	if err := d.replace(last); err != nil {
		return fmt.Errorf("store %s: %w", d.dir, err)
	}
	return nil
}

// replace puts data into files: first everything that needs space is written
// and synced, then all files are moved.
func (d *DiskStore) replace(files map[string][]byte) error {
	if len(files) == 0 {
		return nil
	}
	if err := d.prepare(files); err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(d.dir, name)
		var err error
		if data == nil {
			if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		} else {
			err = os.Rename(filepath.Join(d.dir, tempPrefix+name), path)
		}
		if err != nil {
			return err
		}
	}
	return syncDir(d.dir)
}

func fileName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16]) + groupSuffix
}

// prepare writes the new files beside their places. On failure it leaves none.
func (d *DiskStore) prepare(files map[string][]byte) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, syncers)
	each := len(files) <= syncEach
	for name, data := range files {
		if data == nil {
			continue
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			err := d.as(func() error { return writeFile(filepath.Join(d.dir, tempPrefix+name), data, each) })
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if failed == nil && !each {
		failed = unix.Syncfs(int(d.lock.Fd()))
	}
	if failed != nil {
		for name := range files {
			os.Remove(filepath.Join(d.dir, tempPrefix+name))
		}
	}
	return failed
}

func writeFile(path string, data []byte, sync bool) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(sealFile(data))
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close puts everything into files and gives the directory free. What cannot be
// put there stays in the journal, for the next run.
func (d *DiskStore) Close() error { return d.as(d.close) }

func (d *DiskStore) close() error {
	if d.journal != nil {
		err := d.fold()
		if err == nil && d.journal.empty() {
			err = os.Remove(filepath.Join(d.dir, journalName))
		}
		if err != nil {
			d.log.Warn("the journal stays: the next gateway in this directory reads it", "store", d.dir, "error", err)
		}
		_ = d.journal.file.Close()
		d.journal = nil
	}
	// A process that is being started at this moment may hold a copy of the
	// descriptor: closing ours alone would leave the directory taken.
	return errors.Join(unix.Flock(int(d.lock.Fd()), unix.LOCK_UN), d.lock.Close())
}
