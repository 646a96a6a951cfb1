package kern

import (
	"context"
	"os"
	"testing"
	"time"
)

// A file may be looked at while its unit is detached: what comes too late is let
// go of, and whoever looks goes on.
func TestUprobesAfterDetach(t *testing.T) {
	a := NewAttachment("instrumentation/late", &Env{})
	if err := a.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	done := make(chan error, 1)
	go func() {
		_, err := a.Uprobes(self, "self", nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a detached attachment took probes")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for itself")
	}
}
