package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// systemDir is the machine's own configuration.
const systemDir = "/etc/vitals"

// Paths are the places that vitals reads and writes.
type Paths struct {
	User      User
	ConfigDir string // of the user; empty without a home
	StateDir  string // of the user; empty without a home
}

// FindPaths follows the XDG rules for the invoking user. env has "KEY=value"
// entries. Under sudo the caller's own XDG variables are used when sudo kept them.
func FindPaths(env []string) Paths {
	u := Invoker(env)
	dir := func(variable, below string) string {
		if d := getenv(env, variable); filepath.IsAbs(d) {
			return filepath.Join(d, "vitals")
		}
		if u.Home == "" {
			return ""
		}
		return filepath.Join(u.Home, below, "vitals")
	}
	return Paths{User: u, ConfigDir: dir("XDG_CONFIG_HOME", ".config"), StateDir: dir("XDG_STATE_HOME", ".local/state")}
}

// Files are the configuration files in the order in which they are looked for;
// the first that exists is read.
func (p Paths) Files() []string {
	system := filepath.Join(systemDir, "config.yaml")
	if p.ConfigDir == "" {
		return []string{system}
	}
	return []string{filepath.Join(p.ConfigDir, "config.yaml"), system}
}

// Themes are the directories of theme files. Reading them belongs inside User.Do.
func (p Paths) Themes() []string {
	system := filepath.Join(systemDir, "themes")
	if p.ConfigDir == "" {
		return []string{system}
	}
	return []string{filepath.Join(p.ConfigDir, "themes"), system}
}

// Log is the default log file of the dashboard, "" without a state directory.
func (p Paths) Log() string { return p.state("vitals.log") }

// State is where the dashboard remembers its last page, sort order and theme.
func (p Paths) State() string { return p.state("state.json") }

// Toggles is where choices made from the keyboard are kept.
func (p Paths) Toggles() string { return p.state("toggles.json") }

// Integrations is where decisions about servers that were found are kept.
func (p Paths) Integrations() string { return p.state("integrations.json") }

// Logins is where logins are kept that the user asked to keep.
func (p Paths) Logins() string { return p.state("logins.json") }

func (p Paths) state(file string) string {
	if p.StateDir == "" {
		return ""
	}
	return filepath.Join(p.StateDir, file)
}

// read reads a regular file of at most limit bytes. O_NONBLOCK: a pipe in its
// place must not hang the start.
func read(file string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: file, Err: errors.New("not a regular file")}
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, &fs.PathError{Op: "read", Path: file, Err: fmt.Errorf("larger than %d KiB", limit>>10)}
	}
	return text, nil
}

// LoadState reads a JSON file of the user's into v. A missing file is no error
// and leaves v as it is.
func (p Paths) LoadState(file string, v any) error {
	if file == "" {
		return nil
	}
	var text []byte
	err := p.User.Do(func() (err error) {
		text, err = read(file, maxFile)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w (remove it to start afresh)", file, err)
	}
	return nil
}

// SaveState writes v as JSON, whole or not at all, with the user's rights.
func (p Paths) SaveState(file string, v any) error {
	if file == "" {
		return errors.New("no state directory: set HOME or XDG_STATE_HOME")
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return p.User.Do(func() error { return replace(file, append(text, '\n')) })
}

// replace puts a file in place in one step.
func replace(file string, text []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".vitals-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err2 := tmp.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
