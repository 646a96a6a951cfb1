package tls

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A process names its files itself. What is no plain file is not opened at all:
// a device may act on being opened.
func TestOnlyPlainFilesAreOpened(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "libssl.so.3")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, pipe, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if img, err := openImage(pipe); err == nil {
		img.close()
		t.Error("a pipe is an image")
	}
	if n, _ := unix.Read(watch, make([]byte, 512)); n > 0 {
		t.Error("the pipe was opened")
	}
}

func TestAFileThatWasReplacedIsNotTheTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libssl.so.3")
	write := func() {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write()
	id, err := Identify(path)
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Identity: id, Path: path, Open: path}
	f, err := target.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // its inode is not given to another one
	write()
	if other, err := target.File(); err == nil {
		other.Close()
		t.Error("another file is taken for the target")
	}
}
