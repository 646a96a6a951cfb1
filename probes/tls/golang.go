package tls

import (
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vitals/core"
)

const maxPclntab = 256 << 20

var errNoGoTLS = errors.New("a Go program without crypto/tls")

// goProbes plans the probes of a Go program: Read and Write of crypto/tls.Conn.
func (i *image) goProbes(t *Target) error {
	info, err := buildinfo.Read(i.file)
	if err != nil {
		return fmt.Errorf("%s: not a Go program: %w", t.Path, err)
	}
	if !registerABI(info.GoVersion) {
		return fmt.Errorf("%s: built with %s; plain text of TLS is read from go1.18 on", t.Path, core.Clean(info.GoVersion, 32))
	}
	names := map[string]Role{
		"crypto/tls.(*Conn).Read":  GoRead,
		"crypto/tls.(*Conn).Write": GoWrite,
		"crypto/tls.(*Conn).Close": GoClose,
	}
	found, err := i.goFunctions(names)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Path, err)
	}
	if len(found) == 0 {
		return errNoGoTLS
	}
	t.Library = "Go " + core.Clean(strings.TrimPrefix(info.GoVersion, "go"), 32)
	for name, role := range names {
		f, ok := found[name]
		if !ok {
			continue // the linker leaves out what nobody calls
		}
		p, err := i.planGo(f, role == GoRead)
		if err != nil {
			t.Without = append(t.Without, fmt.Errorf("%s in %s: %w", name, t.Path, err))
			continue
		}
		t.add(p, role)
	}
	if len(t.Probes) == 0 {
		return fmt.Errorf("%s: none of the functions of crypto/tls can be probed: %w", t.Path, errors.Join(t.Without...))
	}
	return nil
}

// registerABI reports whether a Go version passes arguments in registers on both
// architectures: go1.18 and later.
func registerABI(version string) bool {
	rest, ok := strings.CutPrefix(version, "go1.")
	if !ok {
		// A development version says "devel go1.27-abc".
		_, rest, ok = strings.Cut(version, "go1.")
		if !ok {
			return false
		}
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	minor, err := strconv.Atoi(rest[:end])
	return err == nil && minor >= 18
}

// goFunctions finds functions in the table that every Go program carries, also
// a stripped one.
func (i *image) goFunctions(names map[string]Role) (map[string]function, error) {
	var list []string
	for n := range names {
		list = append(list, n)
	}
	if found := i.functions(list...); len(found) > 0 {
		return found, nil
	}
	section := i.elf.Section(".gopclntab")
	if section == nil {
		section = i.elf.Section(".data.rel.ro.gopclntab") // position independent
	}
	text := i.elf.Section(".text")
	if section == nil || text == nil {
		return nil, errors.New("it has no table of functions")
	}
	if section.Size > maxPclntab || section.Type == elf.SHT_NOBITS {
		return nil, errors.New("its table of functions is too large")
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read the table of functions: %w", err)
	}
	return lookUp(data, text.Addr, names)
}

// lookUp reads the table. What it holds is the program's: a broken one must not
// break us.
func lookUp(data []byte, text uint64, names map[string]Role) (found map[string]function, err error) {
	defer func() {
		if r := recover(); r != nil {
			found, err = nil, fmt.Errorf("its table of functions is broken: %v", r)
		}
	}()
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text))
	if err != nil {
		return nil, fmt.Errorf("read the table of functions: %w", err)
	}
	found = make(map[string]function, len(names))
	for k := range table.Funcs {
		f := &table.Funcs[k]
		if _, ok := names[f.Name]; !ok || f.End <= f.Entry {
			continue
		}
		// A wrapper of another calling convention may have the same name: the
		// function proper is the larger one.
		if size := f.End - f.Entry; size > found[f.Name].size {
			found[f.Name] = function{f.Name, f.Entry, size}
		}
	}
	return found, nil
}
