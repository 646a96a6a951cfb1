package http2

import (
	"testing"
	"unsafe"
)

// What is kept for each connection at the least and at the most.
func TestSizeOfAConnection(t *testing.T) {
	least := unsafe.Sizeof(conn{})
	most := least + maxStreams*unsafe.Sizeof(stream{}) + 2*maxEntries*unsafe.Sizeof(entry{}) + 2*maxBlock
	t.Logf("%d bytes a connection, %d for an open stream, at most %d", least, unsafe.Sizeof(stream{}), most)
	if least > 1024 || most > 160<<10 {
		t.Errorf("%d to %d bytes", least, most)
	}
}
