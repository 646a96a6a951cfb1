package integrations

import (
	"fmt"
	"os"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// maxReadable is how many files are looked at: more of the same say nothing new.
const maxReadable = 16

// readable tells of files with secrets that others can read: those that the
// settings name, and the configuration itself when it holds one.
func (m *Manager) readable(s Settings, entries []entry) {
	seen := map[string]bool{}
	warn := func(file, what string) {
		if file == "" || seen[file] || len(seen) == maxReadable {
			return
		}
		seen[file] = true
		var i os.FileInfo
		err := s.Operator.As(func() (err error) { i, err = os.Stat(file); return err })
		if err == nil && i.Mode().Perm()&0o044 != 0 {
			m.notice(fmt.Sprintf("%s %s can be read by others than its owner (chmod 600 it)", what, core.Clean(file, core.MaxRoute)), nil)
		}
	}
	for _, e := range entries {
		kit.EachSecret(e.settings, func(x kit.Secret) {
			switch {
			case x.Reference():
				warn(x.File(), "the secret in")
			case !x.Empty():
				warn(s.File, "the configuration holds a secret and")
			}
		})
	}
}
