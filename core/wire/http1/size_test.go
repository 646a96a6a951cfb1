package http1

import (
	"testing"
	"unsafe"
)

// What is kept for each connection is what twenty thousand of them cost.
func TestSizeOfAConnection(t *testing.T) {
	size := unsafe.Sizeof(conn{}) + unsafe.Sizeof(pending{})
	t.Logf("%d bytes a connection, %d more for each request that waits", size, unsafe.Sizeof(pending{}))
	if size > 1024 {
		t.Errorf("%d bytes", size)
	}
}
