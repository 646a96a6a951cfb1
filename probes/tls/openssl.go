package tls

import (
	"errors"
	"fmt"
)

// role is what a probed function does.
type role uint8

const (
	roleRead role = iota
	roleWrite
	roleReadEx // the length comes through a pointer
	roleWriteEx
	roleNew  // marks the process as one that speaks TLS
	roleFree // the end of a connection
	roleGoRead
	roleGoWrite
	roleGoClose
)

// recipe is everything that is to be attached to one file.
type recipe struct {
	library string // "OpenSSL 3", "OpenSSL (static)", "Go 1.26"
	probes  []probePlan
	// without names parts that could not be planned, with the reason.
	without map[string]error
}

type probePlan struct {
	plan
	role role
}

var errNoOpenSSL = errors.New("it has no OpenSSL functions (stripped, or another library)")

// opensslRecipe plans the probes of a library or program with OpenSSL in it. The
// plain text goes through SSL_read and SSL_write or their _ex forms; what is
// missing of the four is not used by the program either, or the file is stripped.
func (i *image) opensslRecipe() (*recipe, error) {
	wanted := []struct {
		name  string
		role  role
		nargs int
		ret   bool
	}{
		{"SSL_read", roleRead, 3, true},
		{"SSL_write", roleWrite, 3, true},
		{"SSL_read_ex", roleReadEx, 4, true},
		{"SSL_write_ex", roleWriteEx, 4, true},
		{"SSL_new", roleNew, 1, false},
		{"SSL_free", roleFree, 1, false},
	}
	var names []string
	for _, w := range wanted {
		names = append(names, w.name)
	}
	found := i.functions(names...)
	if _, reads := found["SSL_read"]; !reads {
		return nil, errNoOpenSSL
	}
	r := &recipe{library: "OpenSSL", without: map[string]error{}}
	for _, w := range wanted {
		f, ok := found[w.name]
		if !ok {
			continue // SSL_read_ex came with 1.1.1
		}
		p, err := i.planC(f, w.nargs, w.ret)
		if err != nil {
			r.without[w.name] = fmt.Errorf("%s in %s: %w", w.name, i.path, err)
			continue
		}
		r.probes = append(r.probes, probePlan{p, w.role})
	}
	if len(r.probes) == 0 {
		return nil, fmt.Errorf("%s: none of its OpenSSL functions can be probed", i.path)
	}
	return r, nil
}
