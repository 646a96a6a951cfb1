package tls

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limits of what is read of a file that somebody else wrote.
const (
	maxTable    = 64 << 20 // bytes of a table of symbols, or of their names
	maxFunction = 64 << 10 // bytes of one function that are looked at
)

// image is an executable or a library that was opened for reading.
type image struct {
	Identity
	path string
	file *os.File
	elf  *elf.File
	bufs [2][]byte // of windows
}

// openImage opens a file and checks that it is one that can be probed.
func openImage(path string) (*image, error) {
	f, err := openPlain(path)
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

// openPlain opens a file that a process names if it is a regular one. What else
// may stand there is not even opened: that alone makes some devices act.
func openPlain(path string) (*os.File, error) {
	at, err := os.OpenFile(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	st, err := at.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.Open("/proc/self/fd/" + strconv.Itoa(int(at.Fd())))
}

func (i *image) read() error {
	st, err := i.file.Stat()
	if err != nil {
		return err
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
	found := make(map[string]function, len(names))
	for _, kind := range []elf.SectionType{elf.SHT_DYNSYM, elf.SHT_SYMTAB} {
		if len(found) == len(names) {
			break
		}
		i.search(kind, names, found)
	}
	return found
}

// search looks through one table of symbols. Tables have up to a million entries,
// most of files that have nothing to find: names are looked for in the table's
// strings first, and no entry costs memory.
func (i *image) search(kind elf.SectionType, names []string, found map[string]function) {
	table := i.elf.SectionByType(kind)
	if table == nil || int(table.Link) >= len(i.elf.Sections) || table.Size > maxTable || i.elf.Sections[table.Link].Size > maxTable {
		return
	}
	wanted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, had := found[name]; return had })
	at := map[uint32]string{}
	text := i.window(0, i.elf.Sections[table.Link])
	if text.places(0, text.size, wanted, func(off int64, name string) { at[uint32(off)] = name }) != nil || len(at) == 0 {
		return
	}
	order := i.elf.ByteOrder
	entries := i.window(1, table)
	for off := int64(0); ; off += elf.Sym64Size {
		entry, err := entries.bytes(off, elf.Sym64Size)
		if err != nil {
			return
		}
		name, ok := at[order.Uint32(entry)]
		if !ok || elf.ST_TYPE(entry[4]) != elf.STT_FUNC {
			continue
		}
		f := function{name, order.Uint64(entry[8:]), order.Uint64(entry[16:])}
		if _, had := found[name]; !had && f.addr != 0 && f.size > 0 {
			found[name] = f
		}
	}
}

// window reads a section, in the place of the last window of that number; one
// without contents in the file is empty.
func (i *image) window(number int, s *elf.Section) *window {
	if i.bufs[number] == nil {
		i.bufs[number] = make([]byte, windowSize)
	}
	w := &window{r: s, size: int64(min(s.FileSize, 1<<40)), buf: i.bufs[number][:0]}
	if s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0 {
		w.size = 0
	}
	return w
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
