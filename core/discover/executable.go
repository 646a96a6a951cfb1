package discover

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what is read of an executable, in bytes.
const (
	maxExecutable = 24 << 20 // all together
	maxSection    = 8 << 20  // of one section that is searched
	maxPrograms   = 4096     // executables remembered
)

// program is what an executable file says of itself. The zero program says nothing.
type program struct {
	language, version string
	sdk               string
	dynamic           bool // has a dynamic section: links shared libraries
}

type fileKey struct {
	dev, ino uint64
	mtime    time.Time
	size     int64
}

// programs remembers what executables are, also those that say nothing. It may
// be used concurrently.
type programs struct {
	stats *counters
	mu    sync.Mutex
	known map[fileKey]program
}

func newPrograms(stats *counters) *programs {
	return &programs{stats: stats, known: make(map[fileKey]program)}
}

// get analyses the open file unless it is known.
func (p *programs) get(f *os.File) program {
	var info unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		return program{}
	}
	key := fileKey{dev: info.Dev, ino: info.Ino, mtime: mtime(&info), size: info.Size}
	p.mu.Lock()
	prog, known := p.known[key]
	p.mu.Unlock()
	if known {
		return prog
	}
	prog, err := analyse(f)
	if err != nil {
		p.stats.unreadable.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxPrograms {
		clear(p.known)
	}
	p.known[key] = prog
	return prog
}

// errTooMuch ends the reading of an executable that is made to be endless.
var errTooMuch = errors.New("more to read than an executable needs")

// budget is a ReaderAt that gives at most left bytes. Not for concurrent use.
type budget struct {
	r    io.ReaderAt
	left int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooMuch
	}
	return b.r.ReadAt(p, off)
}

// analyse reads an executable. What it says is hostile: everything is bounded,
// and a parser of the standard library that trips over it costs the answer only.
func analyse(r io.ReaderAt) (prog program, err error) {
	defer func() {
		if v := recover(); v != nil {
			prog, err = program{}, fmt.Errorf("analyse executable: %v", v)
		}
	}()
	file := &budget{r: r, left: maxExecutable}
	f, err := elf.NewFile(file)
	if err != nil {
		return program{}, fmt.Errorf("analyse executable: %w", err)
	}
	if f.Section(".go.buildinfo") != nil {
		if info, err := buildinfo.Read(file); err == nil {
			return goProgram(info), nil
		}
	}
	libraries, _ := f.ImportedLibraries()
	prog.dynamic = f.Section(".dynamic") != nil || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_DYNAMIC })
	for _, lib := range libraries {
		if language, version := libraryRuntime(lib); language != "" {
			prog.language, prog.version = language, version
			return prog, nil
		}
	}
	if version := pythonVersion(f, file); version != "" {
		prog.language, prog.version = langPython, version
		return prog, nil
	}
	comment := sectionStart(f, ".comment", 64<<10)
	cxx := slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(l, "libstdc++.") })
	if version, ok := rustVersion(f, comment); ok && !cxx { // with libstdc++: C++ with some Rust in it
		prog.language, prog.version = langRust, version
		return prog, nil
	}
	if prog.dynamic || bytes.Contains(comment, []byte("GCC: (")) || bytes.Contains(comment, []byte("clang version")) {
		prog.language = langC
	}
	return prog, nil
}

func goProgram(info *buildinfo.BuildInfo) program {
	prog := program{language: langGo, version: strings.TrimPrefix(info.GoVersion, "go")}
	if i := strings.IndexByte(prog.version, ' '); i > 0 { // "1.26.0 X:nocoverageredesign"
		prog.version = prog.version[:i]
	}
	for _, dep := range info.Deps {
		if dep.Path == "go.opentelemetry.io/otel/sdk" {
			prog.sdk = "opentelemetry-go " + dep.Version
		}
	}
	return prog
}

// sectionStart is the beginning of a section's bytes, nil when there are none.
func sectionStart(f *elf.File, name string, limit uint64) []byte {
	s := f.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil
	}
	buf := make([]byte, min(s.FileSize, limit))
	n, err := s.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return buf[:n]
}

// rustVersion finds the mark of rustc: in .comment with its version, else in the
// places of panics that every Rust program carries.
func rustVersion(f *elf.File, comment []byte) (version string, ok bool) {
	const mark = "rustc version "
	if i := bytes.Index(comment, []byte(mark)); i >= 0 {
		rest := comment[i+len(mark):]
		end := bytes.IndexAny(rest, " \x00(")
		if end < 0 {
			end = min(len(rest), 16)
		}
		return string(rest[:end]), true
	}
	return "", bytes.Contains(sectionStart(f, ".rodata", maxSection), []byte("/rustc/"))
}

// pythonVersion reads the constant Py_Version that CPython exports since 3.11.
func pythonVersion(f *elf.File, file io.ReaderAt) string {
	strtab := sectionStart(f, ".dynstr", maxSection)
	if !bytes.Contains(strtab, []byte("Py_Version\x00")) {
		return ""
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return ""
	}
	for _, s := range symbols {
		if s.Name != "Py_Version" || s.Section == elf.SHN_UNDEF {
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value-p.Vaddr < p.Filesz {
				var raw [4]byte
				if _, err := file.ReadAt(raw[:], int64(p.Off+s.Value-p.Vaddr)); err != nil {
					return ""
				}
				v := f.ByteOrder.Uint32(raw[:])
				if v>>24 != 3 {
					return ""
				}
				return fmt.Sprintf("%d.%d.%d", v>>24, v>>16&0xff, v>>8&0xff)
			}
		}
	}
	return ""
}
