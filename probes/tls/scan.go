package tls

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxMaps bounds what is read of a process' mappings.
const maxMaps = 16 << 20

// mapping is a file that a process executes code of.
type mapping struct {
	path string // as the process names it
	open string // as we reach it
}

// mappings lists the files that a process has mapped executable, its program
// first. proc is the folder of the process in /proc.
func mappings(proc string) ([]mapping, error) {
	f, err := os.Open(proc + "/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	exe, _ := os.Readlink(proc + "/exe")
	out := []mapping{{strings.TrimSuffix(exe, " (deleted)"), proc + "/exe"}}
	seen := map[string]bool{exe: true}
	lines := bufio.NewScanner(io.LimitReader(f, maxMaps))
	lines.Buffer(make([]byte, 0, 8192), 64<<10)
	for lines.Scan() {
		span, perms, path, ok := parseMapping(lines.Text())
		if !ok || !strings.Contains(perms, "x") || seen[path] {
			continue
		}
		seen[path] = true
		m := mapping{path, proc + "/root" + path}
		if was, deleted := strings.CutSuffix(path, " (deleted)"); deleted {
			m = mapping{was, proc + "/map_files/" + span}
		}
		out = append(out, m)
	}
	return out, lines.Err()
}

// parseMapping reads a line of /proc/PID/maps; ok is false for what is no file.
func parseMapping(line string) (span, perms, path string, ok bool) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 6 {
		return "", "", "", false
	}
	path = strings.TrimLeft(fields[5], " ")
	if !strings.HasPrefix(path, "/") {
		return "", "", "", false
	}
	return fields[0], fields[1], path, true
}

// library is a TLS library by its file name.
type library struct {
	name    string
	capture bool // its plain text can be had
}

// libraryOf recognises TLS libraries by the name of their file.
func libraryOf(path string) (library, bool) {
	base := filepath.Base(path)
	for _, l := range []struct {
		prefix string
		library
	}{
		{"libssl.so", library{"OpenSSL", true}},
		{"libssl-", library{"OpenSSL", true}}, // as wheels of Python rename it
		{"libgnutls.so", library{"GnuTLS", false}},
		{"libnss3.so", library{"NSS", false}},
		{"libssl3.so", library{"NSS", false}},
		{"libmbedtls.so", library{"Mbed TLS", false}},
		{"libwolfssl.so", library{"wolfSSL", false}},
		{"libs2n.so", library{"s2n", false}},
		{"libbotan-", library{"Botan", false}},
		{"libnetty_tcnative", library{"BoringSSL (netty)", false}},
	} {
		if strings.HasPrefix(base, l.prefix) {
			return l.library, true
		}
	}
	return library{}, false
}

// unread is the reason why nothing can be read, of all that were found.
func unread(reasons []string) string {
	return cmp.Or(strings.Join(reasons, "; "), "no TLS library was found: it is linked into a stripped program, or another one")
}

// plans opens one file and plans its probes. A program may be of Go or have
// OpenSSL linked into it.
func plans(m mapping, program bool) (Target, error) {
	img, err := openImage(m.open)
	if err != nil {
		return Target{}, err
	}
	defer img.close()
	t := Target{Identity: img.Identity, Path: m.path, Open: m.open}
	if program && img.elf.Section(".go.buildinfo") != nil {
		err = img.goProbes(&t)
	} else {
		err = img.opensslProbes(&t)
	}
	return t, err
}

// add takes a planned function over.
func (t *Target) add(p plan, role Role) {
	for _, s := range p.sites {
		t.Probes = append(t.Probes, Probe{Function: p.name, Role: role, Offset: s.offset, Exit: s.kind != atEntry, Return: s.kind == onReturn, Guarded: s.guarded})
	}
}

// systemLibraries lists the OpenSSL libraries where programs of this machine
// find them, so that those that begin later are seen from their first byte.
func systemLibraries(root string) []mapping {
	var out []mapping
	for _, pattern := range []string{"/lib/*/libssl.so.*", "/usr/lib/*/libssl.so.*", "/lib64/libssl.so.*", "/usr/lib64/libssl.so.*", "/usr/lib/libssl.so.*", "/usr/local/lib/libssl.so.*", "/usr/local/lib64/libssl.so.*"} {
		files, err := filepath.Glob(root + pattern)
		if err != nil {
			continue
		}
		for _, f := range files {
			out = append(out, mapping{strings.TrimPrefix(f, root), f})
		}
	}
	return out
}
