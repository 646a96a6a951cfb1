package tls

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Limits of what is read of a file that somebody else wrote.
const (
	maxSymbols  = 2 << 20
	maxFunction = 64 << 10 // bytes of one function that are looked at
)

// image is an executable or a library that was opened for reading.
type image struct {
	Identity
	path string
	file *os.File
	elf  *elf.File
}

// openImage opens a file and checks that it is one that can be probed.
func openImage(path string) (*image, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	img := &image{path: path, file: f}
	if err := img.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}

func (i *image) read() error {
	st, err := i.file.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	i.Identity = identityOf(st)
	i.elf, err = elf.NewFile(i.file)
	if err != nil {
		return fmt.Errorf("not an ELF file: %w", err)
	}
	switch {
	case i.elf.Class != elf.ELFCLASS64:
		return errors.New("32-bit programs are not instrumented")
	case i.elf.Machine != elf.EM_X86_64 && i.elf.Machine != elf.EM_AARCH64:
		return fmt.Errorf("machine %v is not supported", i.elf.Machine)
	}
	return nil
}

func identityOf(st os.FileInfo) Identity {
	id := Identity{size: st.Size(), modified: st.ModTime().UnixNano()}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino = uint64(s.Dev), s.Ino
	}
	return id
}

func (i *image) close() { i.file.Close() }

// function is where a function's code is.
type function struct {
	name string
	addr uint64
	size uint64
}

// functions finds functions by name, in the dynamic symbols first: those are
// there in stripped files as well. Names that are not there are not in the result.
func (i *image) functions(names ...string) map[string]function {
	want := make(map[string]bool, len(names))
	for _, n := range names {
		want[n] = true
	}
	found := make(map[string]function, len(names))
	for _, read := range []func() ([]elf.Symbol, error){i.elf.DynamicSymbols, i.elf.Symbols} {
		if len(found) == len(want) {
			break
		}
		if i.symbolCount() > maxSymbols {
			break
		}
		symbols, err := read()
		if err != nil {
			continue
		}
		for _, s := range symbols {
			if _, had := found[s.Name]; !had && want[s.Name] && elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value != 0 && s.Size > 0 {
				found[s.Name] = function{s.Name, s.Value, s.Size}
			}
		}
	}
	return found
}

func (i *image) symbolCount() (n uint64) {
	for _, s := range i.elf.Sections {
		if s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM {
			n = max(n, s.Size/24)
		}
	}
	return n
}

// offset turns an address into a place in the file, where probes are set.
func (i *image) offset(addr uint64) (uint64, error) {
	for _, p := range i.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return addr - p.Vaddr + p.Off, nil
		}
	}
	return 0, fmt.Errorf("address %#x is in no executable segment", addr)
}

// code reads a function's instructions.
func (i *image) code(f function) ([]byte, error) {
	off, err := i.offset(f.addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	code := make([]byte, min(f.size, maxFunction))
	if n, err := i.file.ReadAt(code, int64(off)); err != nil && !(errors.Is(err, io.EOF) && n == len(code)) {
		return nil, fmt.Errorf("read %s: %w", f.name, err)
	}
	return code, nil
}
