package tls

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// The standard library, which reads everything, is the judge.
func TestFunctionsWithoutSymbols(t *testing.T) {
	img, err := openImage(filepath.Join(runtime.GOROOT(), "bin/go"))
	if err != nil {
		t.Skip("no program of Go's here:", err)
	}
	defer img.close()
	section := img.elf.Section(".gopclntab")
	data, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	text := img.elf.Section(".text").Addr
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]function{}
	var names []string
	for k := range table.Funcs {
		f := &table.Funcs[k]
		if size := f.End - f.Entry; size > want[f.Name].size {
			want[f.Name] = function{f.Name, f.Entry, size}
		}
		if k%997 == 0 {
			names = append(names, f.Name)
		}
	}
	names = append(names, "crypto/tls.(*Conn).Read", "main.nobody", table.Funcs[len(table.Funcs)-1].Name)
	slices.Sort(names)
	names = slices.Compact(names)
	got, err := img.pclntab(section, text, names)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if got[name] != want[name] {
			t.Errorf("%s: %+v, want %+v", name, got[name], want[name])
		}
	}
	if got, want := len(got), len(names)-1; got != want {
		t.Errorf("%d functions found, want %d", got, want)
	}
}

// A C linker puts its own start before Go's code. Places that are not certain
// must not be probed.
func TestProgramsOfACLinker(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no C linker here")
	}
	dir := t.TempDir()
	probes := func(flags, mode string) ([]Probe, error) {
		t.Helper()
		file := filepath.Join(dir, "x")
		cmd := exec.Command("go", "build", "-buildmode="+mode, "-ldflags=-linkmode=external "+flags, "-o", file, "./testdata/gotls")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		x, err := plans(mapping{file, file}, true)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(x.Probes, func(a, b Probe) int { return int(a.Offset) - int(b.Offset) })
		return x.Probes, nil
	}
	for _, mode := range []string{"exe"} {
		full, err := probes("", mode)
		if err != nil || len(full) < 6 {
			t.Errorf("%s with symbols: %+v, %v", mode, full, err)
		}
		if stripped, err := probes("-s -w", mode); err == nil && !slices.Equal(full, stripped) {
			t.Errorf("%s with symbols %+v\nstripped     %+v", mode, full, stripped)
		}
	}
}

func TestWindowFindsNamesAcrossItsEdges(t *testing.T) {
	name := "crypto/tls.(*Conn).Read"
	for _, at := range []int{0, windowSize - len(name) - 1, windowSize - len(name), windowSize - 5, windowSize, 3*windowSize - 1} {
		text := make([]byte, 4*windowSize)
		copy(text[at:], name)
		w := window{r: bytes.NewReader(text), size: int64(len(text))}
		var got []int64
		if err := w.places(0, w.size, []string{"other", name}, func(off int64, _ string) { got = append(got, off) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(got, int64(at)) || slices.ContainsFunc(got, func(off int64) bool { return off != int64(at) }) {
			t.Errorf("found at %v, want %d", got, at)
		}
	}
}

// A table is the program's: a broken one must not break us, nor make us read
// what is not in it.
func FuzzPclntab(f *testing.F) {
	table := func(magic uint32, words ...uint64) []byte {
		b := binary.LittleEndian.AppendUint32(nil, magic)
		b = append(b, 0, 0, 1, 8)
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	whole := append(table(magicGo120, 1, 1, 0x1000, 72, 80, 80, 80, 80), "a.b\x00\x00\x00\x00\x00"...)
	whole = binary.LittleEndian.AppendUint32(whole, 16) // where it begins
	whole = binary.LittleEndian.AppendUint32(whole, 12) // where more is told
	whole = binary.LittleEndian.AppendUint32(whole, 48) // where the next begins
	whole = append(whole, make([]byte, 8)...)
	f.Add(whole)
	f.Add(table(magicGo118, 1<<40, 0, 0, 1<<63, 1<<63, 0, 0, 1<<62))
	f.Add(table(magicGo120, 5, 0, 0, 72, 0, 0, 0, 72))
	f.Fuzz(func(t *testing.T, data []byte) {
		img := &image{elf: &elf.File{FileHeader: elf.FileHeader{ByteOrder: binary.LittleEndian, Machine: elf.EM_X86_64}}}
		section := &elf.Section{ReaderAt: bytes.NewReader(data), SectionHeader: elf.SectionHeader{FileSize: uint64(len(data)), Size: uint64(len(data))}}
		found, err := img.pclntab(section, 0x400000, []string{"a.b"})
		if err == nil && bytes.Equal(data, whole) && found["a.b"] != (function{"a.b", 0x1010, 32}) {
			t.Errorf("%+v", found)
		}
	})
}
