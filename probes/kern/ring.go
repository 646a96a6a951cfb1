package kern

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// ErrFlushed is what Read returns after Flush, when the ring is empty.
var ErrFlushed = ringbuf.ErrFlushed

// Ring reads a ring buffer. Read, Drain and Resume are for one goroutine; Flush and
// Close may come from others.
type Ring struct {
	reader  *ringbuf.Reader
	record  ringbuf.Record
	flushed bool
}

// NewRing opens a reader on a ring buffer map. The map may be closed before it.
func NewRing(m *ebpf.Map) (*Ring, error) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	return &Ring{reader: r}, nil
}

// Read waits until the kernel wakes it or wait has passed, hands what is in the
// ring by then to each, in order, and returns how many there were, at most
// limit. raw is valid only during the call. An empty ring is no error.
//
// It returns ErrFlushed after a Flush, when all that was left has been handed
// out, and from then on until Resume. After Close the error is os.ErrClosed. It allocates
// nothing per record.
func (r *Ring) Read(wait time.Duration, limit int, each func(raw []byte)) (n int, err error) {
	if r.flushed {
		return 0, ErrFlushed
	}
	r.reader.SetDeadline(time.Now().Add(wait))
	for n < limit {
		if err := r.reader.ReadInto(&r.record); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return n, nil
			}
			r.flushed = errors.Is(err, ErrFlushed)
			return n, err
		}
		each(r.record.RawSample)
		n++
		if r.record.Remaining == 0 {
			return n, nil
		}
		if n == 1 {
			// The rest is there already: never wait for more.
			r.reader.SetDeadline(time.Unix(1, 0))
		}
	}
	return n, nil
}

// Drain hands out what is in the ring now, also after ErrFlushed. It waits for
// nothing, and ends although more comes than it hands out. Like Read it is for the
// reading goroutine.
func (r *Ring) Drain(each func(raw []byte)) error {
	r.reader.SetDeadline(time.Unix(1, 0))
	for left := r.Waiting(); ; {
		switch err := r.reader.ReadInto(&r.record); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, ErrFlushed):
			r.flushed = true
		case err != nil:
			return err
		default:
			each(r.record.RawSample)
			if left -= sizeInRing(len(r.record.RawSample)); left <= 0 {
				return nil
			}
		}
	}
}

// sizeInRing is what a record of n bytes takes up: a header of 8 before it, and 8
// is what sizes are rounded up to.
func sizeInRing(n int) int { return 8 + (n+7)&^7 }

// Resume lets Read go on after ErrFlushed.
func (r *Ring) Resume() { r.flushed = false }

// Waiting is how many bytes of the ring are in use.
func (r *Ring) Waiting() int { return r.reader.AvailableBytes() }

// Flush ends the waiting of Read: it hands out what is left and then returns ErrFlushed.
func (r *Ring) Flush() error { return r.reader.Flush() }

// Close ends Read and unmaps the ring.
func (r *Ring) Close() error { return r.reader.Close() }

// View gives raw as a T without copying, where T has the layout of the C struct:
// fixed-size fields, explicit padding, no pointers. Records that are too short
// are refused; bytes after the T are the record's tail.
func View[T any](raw []byte) (*T, error) {
	var t T
	if uintptr(len(raw)) < unsafe.Sizeof(t) {
		return nil, fmt.Errorf("record of %d bytes, want at least %d", len(raw), unsafe.Sizeof(t))
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(raw))), nil
}
