package tls

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	list := slices.Collect(maps.Keys(names))
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
	found, err := i.pclntab(section, text.Addr, list)
	if err != nil {
		return nil, fmt.Errorf("read the table of functions: %w", err)
	}
	return found, nil
}
