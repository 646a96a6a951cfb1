package page

import (
	"fmt"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// ExitText is how a process ended, in words.
func ExitText(e core.Exit) string {
	switch {
	case !e.Known:
		return "ended"
	case e.Signal != 0:
		if name := unix.SignalName(unix.Signal(e.Signal)); name != "" {
			return name
		}
		return fmt.Sprintf("signal %d", e.Signal)
	}
	return fmt.Sprintf("exit %d", e.Code)
}
