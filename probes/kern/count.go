package kern

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Count reads a u64 variable of a program that only counts up, such as
// ring_lost of ring.h. It is for one goroutine.
type Count struct {
	variable *ebpf.Variable
	seen     uint64
}

// NewCount reads v from now on; what was counted before is part of the first Added.
func NewCount(v *ebpf.Variable) *Count { return &Count{variable: v} }

// Added returns what was counted since the previous call.
func (c *Count) Added() (uint64, error) {
	var now uint64
	if err := c.variable.Get(&now); err != nil {
		return 0, fmt.Errorf("read %s: %w", c.variable, err)
	}
	added := now - c.seen
	c.seen = now
	return added, nil
}

// Mono is the kernel's CLOCK_MONOTONIC in nanoseconds, the time of all records.
func Mono() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano()
}
