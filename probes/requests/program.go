package requests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vitals/core"
)

// maxPrograms is how many names of programs are remembered.
const maxPrograms = 1024

// programs names what processes execute. It belongs to one goroutine.
type programs struct{ known map[core.ProcKey]string }

// name is the base name of the executable, "" when it cannot be read. It asks
// the kernel once for each process, and again when too many are remembered.
func (p *programs) name(proc core.ProcKey) string {
	if name, ok := p.known[proc]; ok {
		return name
	}
	if len(p.known) >= maxPrograms {
		clear(p.known)
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", proc.PID))
	name := ""
	if err == nil {
		name = filepath.Base(strings.TrimSuffix(path, " (deleted)"))
	}
	p.known[proc] = name
	return name
}
