package tls

import (
	"errors"
	"fmt"
)

var errNoOpenSSL = errors.New("it has no OpenSSL functions (stripped, or another library)")

// opensslProbes plans the probes of a library or program with OpenSSL in it. The
// plain text goes through SSL_read and SSL_write or their _ex forms; what is
// missing of the four is not used by the program either, or the file is stripped.
func (i *image) opensslProbes(t *Target) error {
	wanted := []struct {
		name  string
		role  Role
		nargs int
		ret   bool
	}{
		{"SSL_read", Read, 3, true},
		{"SSL_write", Write, 3, true},
		{"SSL_read_ex", ReadEx, 4, true},
		{"SSL_write_ex", WriteEx, 4, true},
		{"SSL_new", New, 1, false},
		{"SSL_free", Free, 1, false},
	}
	var names []string
	for _, w := range wanted {
		names = append(names, w.name)
	}
	found := i.functions(names...)
	if _, reads := found["SSL_read"]; !reads {
		return errNoOpenSSL
	}
	t.Library = "OpenSSL"
	for _, w := range wanted {
		f, ok := found[w.name]
		if !ok {
			continue // SSL_read_ex came with 1.1.1
		}
		p, err := i.planC(f, w.nargs, w.ret)
		if err != nil {
			t.Without = append(t.Without, fmt.Errorf("%s in %s: %w", w.name, t.Path, err))
			continue
		}
		t.add(p, w.role)
	}
	if len(t.Probes) == 0 {
		return fmt.Errorf("%s: none of its OpenSSL functions can be probed: %w", t.Path, errors.Join(t.Without...))
	}
	return nil
}
