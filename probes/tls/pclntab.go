package tls

import (
	"debug/elf"
	"errors"
)

// The table of functions of a Go program: a header, names, and for each function
// in the order of addresses its place and where more is told of it. The standard
// library reads it too, with every name in memory: tens of megabytes and as many
// milliseconds for a large program, of which three functions are wanted.

// Magic numbers of the table, by the first version that wrote them.
const (
	magicGo118 = 0xfffffff0
	magicGo120 = 0xfffffff1
)

// Words of the header behind its first eight bytes.
const (
	wordFunctions = iota // how many
	wordFiles
	wordText // where the code begins, 0 in position independent programs and since go1.26
	wordNames
	wordUnits
	wordFileNames
	wordPlaces
	wordTable
	headerWords
)

// pclntab finds functions by name; text is where the section of code begins.
func (i *image) pclntab(section *elf.Section, text uint64, names []string) (map[string]function, error) {
	order := i.elf.ByteOrder
	table := i.window(0, section)
	head, err := table.bytes(0, 8+headerWords*8)
	if err != nil {
		return nil, err
	}
	if magic := order.Uint32(head); magic != magicGo118 && magic != magicGo120 || head[7] != 8 {
		return nil, errors.New("its format is not known")
	}
	word := func(n int) int64 { return int64(min(order.Uint64(head[8+8*n:]), uint64(table.size))) }
	count, from, to, base := word(wordFunctions), word(wordNames), word(wordUnits), word(wordTable)
	begins := order.Uint64(head[8+8*wordText:])

	start := "_rt0_amd64_linux"
	if i.elf.Machine == elf.EM_AARCH64 {
		start = "_rt0_arm64_linux"
	}
	at := map[uint32]string{}
	err = table.places(from, to, append(names, start), func(off int64, name string) { at[uint32(off-from)] = name })
	if err != nil || len(at) == 0 {
		return nil, err
	}

	found := make(map[string]function, len(names)+1)
	details := i.window(1, section)
	for n := range count {
		entry, err := table.bytes(base+8*n, 12)
		if err != nil {
			return nil, err
		}
		begin, more, end := order.Uint32(entry), order.Uint32(entry[4:]), order.Uint32(entry[8:])
		detail, err := details.bytes(base+int64(more), 8)
		if err != nil {
			return nil, err
		}
		name, ok := at[order.Uint32(detail[4:])]
		if !ok || end <= begin {
			continue
		}
		// A wrapper of another calling convention may have the same name: the
		// function proper is the larger one.
		if size := uint64(end - begin); size > found[name].size {
			found[name] = function{name, uint64(begin), size}
		}
	}
	return i.placed(found, start, begins, text)
}

// placed turns offsets of functions into addresses. Go's code is not where the
// section of code begins when a C linker has put C's own start before it.
func (i *image) placed(found map[string]function, start string, begins, text uint64) (map[string]function, error) {
	first, ok := found[start]
	delete(found, start)
	if len(found) == 0 {
		return found, nil
	}
	if begins == 0 {
		if begins = text; !ok || text+first.addr != i.elf.Entry {
			return nil, errors.New("where its code begins is not told: it was linked by a C linker and stripped")
		}
	}
	for name, f := range found {
		f.addr += begins
		found[name] = f
	}
	return found, nil
}
