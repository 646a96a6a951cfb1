package config

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long a file must be left alone before it counts as written:
// editors write in several steps.
const settleTime = 200 * time.Millisecond

// Changed lists the keys whose values differ in next, in the order of the
// sample. A secret that changed inside an otherwise equal value is not seen.
func (l *Loaded) Changed(next *Loaded) []string {
	var keys []string
	for _, s := range settings() {
		if s.show(&l.Config) != s.show(&next.Config) {
			keys = append(keys, s.key)
		}
	}
	if l.showDestinations() != next.showDestinations() {
		keys = append(keys, "push")
	}
	return keys
}

// Watch calls changed, from its own goroutine, each time that the file in use
// was written, replaced or removed, or that one appeared which would be used. It
// blocks until ctx ends, and then returns nil. An error means that nothing is
// watched.
func (l *Loaded) Watch(ctx context.Context, changed func()) error {
	files := l.Paths.Files()
	if l.File != "" && !slices.Contains(files, l.File) {
		files = []string{l.File} // it was named
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the configuration: %w", err)
	}
	defer w.Close()
	// A file that is replaced by renaming is a new one: the folder tells of it.
	watched := 0
	for _, file := range files {
		if w.Add(filepath.Dir(file)) == nil {
			watched++
		}
	}
	if watched == 0 {
		<-ctx.Done()
		return nil
	}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			if slices.Contains(files, e.Name) && e.Op&^fsnotify.Chmod != 0 {
				quiet.Reset(settleTime)
			}
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			return fmt.Errorf("watch the configuration: %w", err)
		case <-quiet.C:
			changed()
		}
	}
}
