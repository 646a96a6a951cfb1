package kern

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

func TestRecordsAcrossReads(t *testing.T) {
	type record struct{ A, B byte }
	bytes := []byte{1, 2, 3, 4, 5, 6}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "end with data": iotest.DataErrReader,
	} {
		var got []record
		err := readRecords(wrap(&sliceReader{bytes}), make([]byte, 4), func(r *record) { got = append(got, *r) })
		if err != nil || !slices.Equal(got, []record{{1, 2}, {3, 4}, {5, 6}}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if err := readRecords(&sliceReader{bytes[:5]}, make([]byte, 4), func(*record) {}); err == nil {
		t.Error("half a record at the end is no error")
	}
	broken := errors.New("broken")
	if err := readRecords(iotest.ErrReader(broken), make([]byte, 4), func(*record) {}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type sliceReader struct{ rest []byte }

func (s *sliceReader) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
