package tls

import (
	"bytes"
	"errors"
	"io"
)

// windowSize is how much of a table is in memory at a time. Tables of large
// programs have tens of megabytes.
const windowSize = 64 << 10

var errOutside = errors.New("a table ends too early")

// window reads a table of a file, mostly forward, without taking it into memory.
type window struct {
	r    io.ReaderAt
	size int64
	at   int64 // of what is in buf
	buf  []byte
}

// bytes gives n bytes at an offset, at most windowSize; they hold until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || n > windowSize || off > w.size-int64(n) {
		return nil, errOutside
	}
	if off < w.at || off+int64(n) > w.at+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, windowSize)
		}
		w.buf = w.buf[:min(windowSize, w.size-off)]
		w.at = off
		if got, err := w.r.ReadAt(w.buf, off); got < len(w.buf) {
			w.buf = w.buf[:0]
			return nil, errors.Join(errOutside, err)
		}
	}
	return w.buf[off-w.at:][:n:n], nil
}

// places tells every offset from one to another at which a string of a table is
// one of names. It may be the end of a longer one: linkers keep such strings once.
func (w *window) places(from, to int64, names []string, each func(off int64, name string)) error {
	patterns := make([][]byte, len(names))
	overlap := 0
	for i, name := range names {
		patterns[i] = append([]byte(name), 0)
		overlap = max(overlap, len(name))
	}
	for from < to {
		n := min(windowSize, to-from)
		text, err := w.bytes(from, int(n))
		if err != nil {
			return err
		}
		for i, pattern := range patterns {
			for at := 0; ; at++ {
				next := bytes.Index(text[at:], pattern)
				if next < 0 {
					break
				}
				at += next
				each(from+int64(at), names[i])
			}
		}
		if from+n == to {
			break
		}
		from += n - int64(overlap)
	}
	return nil
}
