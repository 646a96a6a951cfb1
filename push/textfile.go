package push

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vitals/core"
)

func checkTextfile(s *settings) error {
	shown := core.Clean(s.Path, core.MaxCmdline)
	switch {
	case s.Path == "":
		return errors.New("push to a textfile needs its path, for example /var/lib/prometheus/node-exporter/vitals.prom")
	case !filepath.IsAbs(s.Path):
		return fmt.Errorf("push to %s: give an absolute path", shown)
	case filepath.Ext(s.Path) != ".prom":
		return fmt.Errorf("push to %s: the collector reads files that end in .prom only: name it so", shown)
	case s.Mode&^fs.ModePerm != 0:
		return fmt.Errorf("push to %s: the mode %o has more than permissions: use for example 0644", shown, s.Mode)
	}
	if s.Mode == 0 {
		s.Mode = 0o644
	}
	s.Path = filepath.Clean(s.Path)
	s.shown, s.target = core.Clean(s.Path, core.MaxCmdline), s.Path
	return nil
}

// textfile replaces a file as a whole: readers see the old one or the new one.
// Its temporary files do not end in .prom, so the collector never reads them.
type textfile struct {
	*settings
	enc encoder
}

func openTextfile(s *settings) (sender, error) {
	// Of a run that was killed while it wrote.
	err := s.as(func() error {
		for _, left := range s.leftovers() {
			if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("push to %s: remove what an earlier run left: %w", s.shown, err)
			}
		}
		return nil
	})
	return &textfile{settings: s}, err
}

func (s *settings) tempPrefix() string { return "." + filepath.Base(s.Path) + ".tmp" }

func (s *settings) leftovers() (paths []string) {
	entries, _ := os.ReadDir(filepath.Dir(s.Path)) // not there yet, or not readable: the write will tell
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), s.tempPrefix()) && e.Type().IsRegular() {
			paths = append(paths, filepath.Join(filepath.Dir(s.Path), e.Name()))
		}
	}
	return paths
}

func (f *textfile) deliver(_ context.Context, p payload) (answer, int) {
	body, _, err := f.enc.encode(p.families, encoding{f.Format.codec(), None})
	if err != nil {
		return answer{verdict: permanent, err: fmt.Errorf("push to %s: encode: %w", f.shown, err)}, 0
	}
	call := core.StartCall(f.Recorder, "push")
	err = f.as(func() error { return f.replace(body) })
	call.End(err)
	if err != nil {
		return answer{verdict: transient, err: &core.Remedied{
			Err: fmt.Errorf("push to %s: %w", f.shown, err), Remedy: fileRemedy(err),
		}}, 0
	}
	return answer{}, len(body)
}

// replace writes body beside the file, syncs it and moves it into place.
func (f *textfile) replace(body []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(f.Path), f.tempPrefix())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(body)
	if err == nil {
		err = temp.Chmod(f.Mode) // whatever the umask is
	}
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), f.Path)
}

func fileRemedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "make the directory: it is the one given to node_exporter as --collector.textfile.directory"
	case errors.Is(err, fs.ErrPermission):
		return "let this user write in the directory"
	}
	return ""
}

func (f *textfile) remove(context.Context) error {
	if err := f.as(func() error { return os.Remove(f.Path) }); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// check asks the kernel whether the directory may be written to.
func (f *textfile) check(context.Context) (string, error) {
	dir := filepath.Dir(f.Path)
	// Of who we are now, not of who started us.
	err := f.as(func() error { return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) })
	if err != nil {
		return "", &core.Remedied{Err: fmt.Errorf("push to %s: directory %s: %w", f.shown, core.Clean(dir, core.MaxCmdline), err), Remedy: fileRemedy(err)}
	}
	return "the directory can be written to", nil
}

func (f *textfile) close() {}
