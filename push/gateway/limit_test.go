package gateway

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// A body that is cut off within a record, or between two, is refused as a whole,
// with and without an announced length.
func overTheLimit(t *testing.T, limit int64, body []byte, kind string) {
	t.Helper()
	takers(t, Limits{Body: limit}, func(s *server, path string, ok int, stored func() int) {
		for _, in := range []any{body, io.MultiReader(bytes.NewReader(body))} {
			mustContain(t, s.want(413, "POST", path, in, "Content-Type", kind).text, fmt.Sprint(limit))
		}
		if n := stored(); n != 0 {
			t.Errorf("%s: limit %d: %d series are kept", s.name, limit, n)
		}
	})
}

func TestT58_OverTheLimitWithinARecordIsAnError(t *testing.T) {
	whole, first := three(t)
	for _, limit := range []int64{1, int64(first) - 1, int64(first) + 1, int64(len(whole)) - 1} {
		overTheLimit(t, limit, whole, contentProtobuf)
	}
}

// Where a record or a line ends, the reference keeps what came before and says
// that all is well.
func TestT59_OverTheLimitBetweenRecordsIsAnErrorToo(t *testing.T) {
	whole, first := three(t)
	overTheLimit(t, int64(first), whole, contentProtobuf)
	overTheLimit(t, 4, []byte("a 1\nb 2\nc 3\n"), "text/plain")
	overTheLimit(t, 8, []byte("a 1\nb 2\nc 3\n"), "text/plain")
}
