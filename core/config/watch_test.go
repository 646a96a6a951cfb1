package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestWatchTellsOfEveryWayToWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	write(t, file, "refresh: 2s\n")
	l, err := Load(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	told, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- l.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default: // enough is told that nobody waits for any more
			}
		})
	}()
	expect := func(what string, act func()) {
		t.Helper()
		for deadline := time.After(30 * time.Second); ; {
			act()
			select {
			case <-told:
				return
			case <-time.After(time.Second): // the watch may not have begun
			case <-deadline:
				t.Fatalf("%s was not told", what)
			}
		}
	}
	expect("a write", func() { write(t, file, "refresh: 3s\n") })
	expect("a replacement", func() {
		write(t, file+".new", "refresh: 4s\n")
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	})
	expect("a removal", func() { os.Remove(file); write(t, file, "refresh: 5s\n") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	next, err := l.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Changed(next); !slices.Equal(got, []string{"refresh"}) {
		t.Errorf("changed: %v", got)
	}
	if len(l.Changed(l)) != 0 {
		t.Error("nothing changed, and something is told")
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
