package kern

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/cilium/ebpf/link"
)

// IterBuffer is a good size of the buffer of ReadIter: as much as the kernel
// hands over in one call.
const IterBuffer = 32 << 10

// ReadIter runs an iterator once and hands every record it writes to each. T
// has the layout of the C struct. The record is valid only during the call. buf
// must hold at least one record and can be used again. Nothing is allocated per record.
func ReadIter[T any](it *link.Iter, buf []byte, each func(*T)) error {
	run, err := it.Open()
	if err != nil {
		return fmt.Errorf("open iterator: %w", err)
	}
	defer run.Close()
	return readRecords(run, buf, each)
}

// RunIter runs an iterator once that writes nothing: its program keeps what it finds in maps.
func RunIter(it *link.Iter) error {
	var buf [64]byte
	return ReadIter(it, buf[:], func(*byte) {})
}

func readRecords[T any](r io.Reader, buf []byte, each func(*T)) error {
	var t T
	size := int(unsafe.Sizeof(t))
	held := 0
	for {
		n, err := r.Read(buf[held:])
		held += n
		at := 0
		for ; held-at >= size; at += size {
			each((*T)(unsafe.Pointer(&buf[at])))
		}
		held = copy(buf, buf[at:held])
		switch {
		case errors.Is(err, io.EOF):
			if held != 0 {
				return fmt.Errorf("iterator ended within a record: %d bytes left, a record has %d", held, size)
			}
			return nil
		case err != nil:
			return fmt.Errorf("read iterator: %w", err)
		}
	}
}
