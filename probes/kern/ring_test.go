package kern

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// writer is a program that puts the first 8 bytes of its input into a ring.
type writer struct {
	ring *ebpf.Map
	prog *ebpf.Program
	n    uint64
}

func newWriter(t testing.TB, flags int32) *writer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "MIT", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R2, 0), // what fits not is left zero
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, -8),
		asm.StoreMem(asm.R3, 0, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R4, 8),
		asm.FnSkbLoadBytes.Call(),
		asm.LoadMapPtr(asm.R1, ring.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Imm(asm.R3, 8),
		asm.Mov.Imm(asm.R4, flags),
		asm.FnRingbufOutput.Call(),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return &writer{ring: ring, prog: prog}
}

// write puts the next n numbers into the ring and says how many did not fit.
func (w *writer) write(t testing.TB, n int) (lost int) {
	t.Helper()
	for range n {
		// A frame: 14 bytes of header stay outside what the program sees first.
		frame := make([]byte, 64)
		binary.NativeEndian.PutUint64(frame[14:], w.n)
		w.n++
		result, err := w.prog.Run(&ebpf.RunOptions{Data: frame})
		if err != nil {
			t.Fatal(err)
		}
		if result != 0 {
			lost++
		}
	}
	return lost
}

func openRing(t testing.TB, w *writer) *Ring {
	t.Helper()
	r, err := NewRing(w.ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRingHandsOutEverythingInOrder(t *testing.T) {
	const noWakeup = 1
	for name, flags := range map[string]int32{"woken": 0, "by deadline": noWakeup} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t, flags)
			r := openRing(t, w)
			var got []uint64
			each := func(raw []byte) { got = append(got, binary.NativeEndian.Uint64(raw)) }
			if n, err := r.Read(time.Millisecond, 10, each); n != 0 || err != nil {
				t.Fatalf("empty ring: %d, %v", n, err)
			}
			w.write(t, 100)
			for total := 0; total < 100; {
				n, err := r.Read(10*time.Millisecond, 64, each)
				if err != nil || n > 64 {
					t.Fatalf("%d records, %v", n, err)
				}
				total += n
			}
			for i, v := range got {
				if v != uint64(i) {
					t.Fatalf("record %d is %d", i, v)
				}
			}
			if len(got) != 100 {
				t.Errorf("%d records, want 100", len(got))
			}
		})
	}
}

func TestRingFullIsSeenByTheWriter(t *testing.T) {
	w := newWriter(t, 0)
	r := openRing(t, w)
	lost := w.write(t, 1000)
	n, err := r.Read(time.Minute, 10_000, func([]byte) {})
	if err != nil || n == 0 || lost == 0 || n+lost != 1000 {
		t.Errorf("read %d and lost %d of 1000, %v", n, lost, err)
	}
}

func TestRingFlushHandsOutTheRest(t *testing.T) {
	w := newWriter(t, 1) // nobody is woken
	r := openRing(t, w)
	w.write(t, 5)
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		got, err := r.Read(time.Minute, 2, func([]byte) {})
		n += got
		if errors.Is(err, ErrFlushed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 5 {
		t.Errorf("%d records, want 5", n)
	}
}

// More may come than is handed out: whoever drains goes on all the same.
func TestRingDrainEnds(t *testing.T) {
	w := newWriter(t, 1)
	r := openRing(t, w)
	w.write(t, 5)
	for range 3 {
		n := 0
		err := r.Drain(func([]byte) {
			if n++; n > 100 {
				t.Fatal("it hands out what came meanwhile")
			}
			w.write(t, 1)
		})
		if n != 5 || err != nil {
			t.Errorf("%d records, want 5: %v", n, err)
		}
	}
}

func TestRingCloseEndsRead(t *testing.T) {
	r := openRing(t, newWriter(t, 0))
	time.AfterFunc(10*time.Millisecond, func() { r.Close() })
	if _, err := r.Read(time.Minute, 1, func([]byte) {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestRingDoesNotAllocatePerRecord(t *testing.T) {
	w := newWriter(t, 0)
	r := openRing(t, w)
	each := func([]byte) {}
	w.write(t, 1)
	if _, err := r.Read(time.Minute, 1, each); err != nil { // makes the record's buffer
		t.Fatal(err)
	}
	// What else runs in this process may allocate meanwhile, but not each time.
	least := math.Inf(1)
	for range 5 {
		w.write(t, 32) // the first read is to warm up
		w.write(t, 32)
		least = min(least, testing.AllocsPerRun(1, func() { _, _ = r.Read(time.Minute, 32, each) }))
	}
	if least > 0 {
		t.Errorf("%v allocations for 32 records", least)
	}
}

func TestView(t *testing.T) {
	type record struct{ A, B uint32 }
	for n, ok := range map[int]bool{0: false, 7: false, 8: true, 9: true} {
		raw := make([]byte, n)
		if n > 4 {
			raw[4] = 3
		}
		r, err := View[record](raw)
		if (err == nil) != ok || ok && r.B != 3 {
			t.Errorf("%d bytes: %v, %v", n, r, err)
		}
	}
}
