// Package tls finds where the plain text of encrypted connections passes
// through a program: which functions of which library or executable, and at which
// instructions a probe is safe and cheap. The programs that run there, and the
// unit that attaches them, are those of probes/requests; nothing here touches the
// kernel.
package tls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Role is what a probed function does with a connection.
type Role uint8

// Roles of functions. The programs in the kernel know them by these numbers.
const (
	Read    Role = iota // SSL_read(ssl, buffer, size) gives the length
	Write               // SSL_write, likewise
	ReadEx              // SSL_read_ex(ssl, buffer, size, *length) gives 1
	WriteEx             // SSL_write_ex, likewise
	New                 // SSL_new: the process speaks TLS
	Free                // SSL_free(ssl): the connection is over
	GoRead              // crypto/tls.(*Conn).Read(conn, slice) gives the length
	GoWrite             // crypto/tls.(*Conn).Write, likewise
	GoClose             // crypto/tls.(*Conn).Close(conn)
)

// Probe is one place for a program.
type Probe struct {
	Function string
	Role     Role
	Offset   uint64 // in the file, the boundary of an instruction
	Exit     bool   // where the result is known; else where the arguments are
	Return   bool   // a return probe at the function's beginning, instead of a place
	Guarded  bool   // at a conditional jump that makes the function begin again when taken
}

// Target is a file with its probes.
type Target struct {
	Identity
	Path    string // as the process names it
	Open    string // as we reach it, while a process that was looked at lives
	Library string // "OpenSSL", "Go 1.26"
	Probes  []Probe
	// Without says what of it could not be planned, with the reason.
	Without []error
}

// File opens the file if it is still the one that was looked at. Probes must not
// be attached to another one, and so not by its path.
func (t *Target) File() (*os.File, error) {
	f, err := openPlain(t.Open)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && identityOf(st) != t.Identity {
		err = errors.New("it was replaced while it was looked at")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", t.Path, err)
	}
	return f, nil
}

// Identity says which file it is, whatever its path: a file that was replaced is
// another one.
type Identity struct {
	dev, ino uint64
	size     int64
	modified int64
}

// Identify gives the identity of the file at path.
func Identify(path string) (Identity, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Identity{}, err
	}
	return identityOf(st), nil
}

// System lists the OpenSSL libraries of this machine with their probes, so that
// programs that begin later are seen from their first byte.
func System() (targets []Target, err error) {
	var errs []error
	seen := map[Identity]bool{}
	for _, m := range systemLibraries("") {
		t, err := plans(m, false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !seen[t.Identity] {
			seen[t.Identity] = true
			targets = append(targets, t)
		}
	}
	return targets, errors.Join(errs...)
}

// Look finds what can be probed of a process; proc is its folder in /proc. Without
// any target, blind says why its plain text cannot be had. It reads the files
// that the process has mapped and takes some milliseconds.
func Look(proc string) (targets []Target, blind string, err error) {
	files, err := mappings(proc)
	if err != nil {
		return nil, "", fmt.Errorf("read the mappings: %w", err)
	}
	var reasons []string
	for k, m := range files {
		lib, known := libraryOf(m.path)
		switch {
		case k > 0 && !known:
			continue
		case known && !lib.capture:
			reasons = append(reasons, lib.name+" ("+filepath.Base(m.path)+") is not read")
			continue
		}
		t, err := plans(m, k == 0)
		switch {
		case err == nil:
			targets = append(targets, t)
		case k == 0 && (errors.Is(err, errNoOpenSSL) || errors.Is(err, errNoGoTLS)):
		default:
			reasons = append(reasons, err.Error())
		}
	}
	if len(targets) == 0 {
		blind = unread(reasons)
	}
	return targets, blind, nil
}
