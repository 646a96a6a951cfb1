// Package logfile is where log records go: to stderr when there is no screen, to
// a file of bounded size when there is one.
package logfile

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Defaults of a File.
const (
	MaxSize  = 5 << 20 // bytes of one file
	MaxFiles = 3       // the current one and those before it
)

// File is a log file that begins anew when it is full: vitals.log becomes
// vitals.log.1, and so on; the oldest goes. Write may be called concurrently.
type File struct {
	mu      sync.Mutex
	name    string
	size    int64
	max     int64
	files   int
	f       *os.File
	as      func(func() error) error
	dropped uint64 // records that could not be written
}

// Open opens or creates the file, appending. as runs what touches the file
// system, with the rights of whoever owns the log; nil runs it as it is.
func Open(name string, as func(func() error) error) (*File, error) {
	return open(name, as, MaxSize, MaxFiles)
}

func open(name string, as func(func() error) error, size int64, files int) (*File, error) {
	if as == nil {
		as = func(f func() error) error { return f() }
	}
	l := &File{name: name, max: size, files: files, as: as}
	if err := as(l.reopen); err != nil {
		return nil, fmt.Errorf("log file %s: %w (choose another with log.file in the configuration)", name, err)
	}
	return l, nil
}

// reopen opens the current file and learns its size.
func (l *File) reopen() error {
	if err := os.MkdirAll(filepath.Dir(l.name), 0o700); err != nil {
		return err
	}
	// A link or a pipe in the log's place is not followed: whoever made it
	// wants something else written.
	f, err := os.OpenFile(l.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file")
	}
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, st.Size()
	return nil
}

// Write appends one record. A record that cannot be written is counted and
// dropped: a full disk must not end the program.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil && l.size > 0 && l.size+int64(len(p)) > l.max {
		l.rotate()
	}
	if l.f == nil {
		l.dropped++
		return len(p), nil
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	if err != nil {
		l.dropped++
	}
	return len(p), nil
}

// rotate moves the files up by one. When that fails the current file is emptied,
// so that the log stays bounded in every case.
func (l *File) rotate() {
	l.f.Close()
	l.f = nil
	_ = l.as(func() error {
		for i := l.files - 1; i > 0; i-- {
			from := l.name
			if i > 1 {
				from = fmt.Sprintf("%s.%d", l.name, i-1)
			}
			os.Rename(from, fmt.Sprintf("%s.%d", l.name, i))
		}
		if err := l.reopen(); err != nil {
			return err
		}
		if l.size < l.max {
			return nil
		}
		l.size = 0
		return l.f.Truncate(0)
	})
}

// Dropped is how many records could not be written.
func (l *File) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Close closes the file; later records are dropped and counted.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// New returns a logger that writes text records of at least level to w. User
// and password in URLs are hidden, control characters are escaped.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}))
}
