package push

import (
	"testing"

	"vitals/push/codec"
)

// A burst of series does not keep its memory for ever, and regular large pushes
// do not allocate theirs anew each time.
func TestBuffersFollowWhatIsPushed(t *testing.T) {
	var e encoder
	large, small := wide(150_000)(nil), wide(1)(nil)
	enc := encoding{codec.Protobuf, Gzip}
	encode := func(n int) {
		t.Helper()
		fs := small
		if n > 1 {
			fs = large
		}
		if _, _, err := e.encode(fs, enc); err != nil {
			t.Fatal(err)
		}
	}
	encode(2)
	if e.plain.Cap() < keepBuffer {
		t.Fatalf("%d bytes: not large enough to tell", e.plain.Cap())
	}
	n := 3.0
	for range 5 { // what other goroutines of this process allocate counts, too
		n = min(n, testing.AllocsPerRun(3, func() { encode(2) }))
		if n <= 2 {
			break
		}
	}
	if n > 2 {
		t.Errorf("at least %v allocations for a push as large as the last", n)
	}
	encode(1)
	encode(1)
	if e.plain.Cap() > keepBuffer {
		t.Errorf("%d bytes are kept for small pushes", e.plain.Cap())
	}
}
