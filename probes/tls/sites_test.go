package tls

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// Sites of hand-written functions.
func TestEntrySites(t *testing.T) {
	for _, c := range []struct {
		name     string
		code     []byte
		at       int
		emulated bool
	}{
		{"a push at once", []byte{0x55, 0x48, 0x89, 0xe5, 0xc3}, 0, true},
		{"a mark, then a push", []byte{0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x57, 0xc3}, 4, true},
		{"a jump before anything changes", []byte{0x48, 0x83, 0xec, 0x18, 0x85, 0xd2, 0x78, 0x01, 0x90, 0xc3}, 6, true},
		{"an argument changes first", []byte{0x48, 0x83, 0xec, 0x18, 0x31, 0xd2, 0x78, 0x01, 0x90, 0xc3}, 0, false},
		{"half of an argument changes first", []byte{0x40, 0xb7, 0x01, 0x55, 0xc3}, 0, false}, // mov dil, 1
		{"a call comes first", []byte{0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0, 0, 0, 0x55, 0xc3}, 0, false},
		{"a loop comes back to it", []byte{0x48, 0x83, 0xec, 0x08, 0x85, 0xd2, 0x78, 0xfa, 0xc3}, 0, false},
	} {
		at, emulated := entrySite(decode(c.code), cArguments(3), 0)
		if at != c.at || emulated != c.emulated {
			t.Errorf("%s: at %d, emulated %v; want %d, %v", c.name, at, emulated, c.at, c.emulated)
		}
	}
}

func TestExitSites(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		at   []int // nil: none can be had
	}{
		{"a check before the end", []byte{0x31, 0xc0, 0x75, 0x05, 0x48, 0x83, 0xc4, 0x18, 0xc3, 0xe8, 0, 0, 0, 0}, []int{2}},
		{"the result changes behind it", []byte{0x75, 0x03, 0x31, 0xc0, 0xc3, 0x90, 0xe8, 0, 0, 0, 0}, nil},
		{"something jumps behind it", []byte{0x74, 0x04, 0x85, 0xc0, 0x75, 0x04, 0x31, 0xd2, 0xc3, 0x90}, nil},
		{"it ends in another function", []byte{0x85, 0xc0, 0x75, 0x01, 0xc3, 0xe9, 0x00, 0x10, 0, 0}, nil},
		{"it jumps through a table", []byte{0x85, 0xc0, 0x75, 0x01, 0xc3, 0xff, 0xe0}, nil},
		{"a call lies between", []byte{0x75, 0x06, 0xe8, 0, 0, 0, 0, 0xc3, 0x90}, nil},
		{"not all can be decoded", []byte{0x75, 0x01, 0xc3, 0x0f, 0xff}, nil},
	} {
		at, ok := exitSites(decode(c.code), len(c.code))
		if ok != (c.at != nil) || !slices.Equal(at, c.at) {
			t.Errorf("%s: %v, %v; want %v", c.name, at, ok, c.at)
		}
	}
}

func TestWholeRegisters(t *testing.T) {
	for part, want := range map[x86asm.Reg]x86asm.Reg{x86asm.AL: x86asm.RAX, x86asm.BH: x86asm.RBX, x86asm.DIB: x86asm.RDI, x86asm.R15B: x86asm.R15,
		x86asm.SI: x86asm.RSI, x86asm.R8W: x86asm.R8, x86asm.EDX: x86asm.RDX, x86asm.R14L: x86asm.R14, x86asm.RCX: x86asm.RCX, x86asm.X0: x86asm.X0} {
		if got := whole(part); got != want {
			t.Errorf("%v is part of %v, want %v", part, got, want)
		}
	}
}

// Whatever the bytes, a site is the beginning of an instruction of the function.
func FuzzSites(f *testing.F) {
	f.Add([]byte{0x55, 0x48, 0x89, 0xe5, 0xc3})
	f.Add([]byte{0x31, 0xc0, 0x75, 0x05, 0x48, 0x83, 0xc4, 0x18, 0xc3, 0xe8, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, code []byte) {
		insts := decode(code)
		if len(insts) == 0 {
			return
		}
		starts := map[int]bool{}
		for _, in := range insts {
			starts[in.at] = true
		}
		for first := range 2 {
			if at, _ := entrySite(insts, cArguments(4), first); !starts[at] {
				t.Errorf("entry at %d", at)
			}
		}
		at, _ := exitSites(insts, len(code))
		for _, a := range at {
			if !starts[a] {
				t.Errorf("exit at %d", a)
			}
		}
	})
}

// The sites of a real library are inside its functions.
func TestOpenSSLOfThisMachine(t *testing.T) {
	targets, err := System()
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) == 0 {
		t.Skip("no OpenSSL library here")
	}
	for _, l := range targets {
		f, err := l.File()
		if f.Close(); err != nil || l.Library != "OpenSSL" {
			t.Errorf("%+v", l)
		}
		img, err := openImage(l.Open)
		if err != nil {
			t.Fatal(err)
		}
		defer img.close()
		roles := map[Role]bool{}
		for _, p := range l.Probes {
			roles[p.Role] = true
			f := img.functions(p.Function)[p.Function]
			base, err := img.offset(f.addr)
			if err != nil {
				t.Fatal(err)
			}
			if p.Offset < base || p.Offset >= base+f.size || p.Return && p.Offset != base {
				t.Errorf("%s: site %#x is outside of %#x+%d", p.Function, p.Offset, base, f.size)
			}
		}
		for _, r := range []Role{Read, Write, New, Free} {
			if !roles[r] {
				t.Errorf("%s: role %d is not probed: %v", l.Path, r, l.Without)
			}
		}
	}
}

// A stripped Go program gives the same sites as the one with symbols.
func TestGoPrograms(t *testing.T) {
	dir := t.TempDir()
	probes := func(flags string) []Probe {
		t.Helper()
		file := filepath.Join(dir, "x"+flags)
		cmd := exec.Command("go", "build", "-ldflags="+flags, "-o", file, "./testdata/gotls")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		x, err := plans(mapping{file, file}, true)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(x.Probes, func(a, b Probe) int { return int(a.Offset) - int(b.Offset) })
		for _, p := range x.Probes {
			if runtime.GOARCH == "amd64" && !p.Exit && !p.Guarded {
				t.Errorf("%s is probed at an instruction that may be passed twice", p.Function)
			}
		}
		return x.Probes
	}
	full, stripped := probes(""), probes("-s -w")
	if len(full) < 6 || !slices.Equal(full, stripped) {
		t.Errorf("with symbols %+v\nstripped     %+v", full, stripped)
	}
}

// A program without TLS says so.
func TestProgramsWithoutTLS(t *testing.T) {
	if _, err := plans(mapping{"/bin/sh", "/bin/sh"}, true); err == nil {
		t.Error("a shell speaks TLS")
	}
	if _, err := plans(mapping{"/etc/passwd", "/etc/passwd"}, false); err == nil {
		t.Error("a text is a library")
	}
}

func TestGoVersions(t *testing.T) {
	for v, want := range map[string]bool{"go1.26.8": true, "go1.18": true, "go1.18rc1": true, "go1.17.13": false, "go1.9": false, "devel go1.27-abc Mon": true, "": false, "go2": false} {
		if registerABI(v) != want {
			t.Errorf("%q: %v", v, !want)
		}
	}
}
