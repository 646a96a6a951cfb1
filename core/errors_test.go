package core

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestPauseAfterIsTheLongestAmongTheCauses(t *testing.T) {
	inner := &Remedied{Err: errors.New("x"), After: time.Minute}
	outer := &Remedied{Err: fmt.Errorf("y: %w", inner), After: time.Second}
	for err, want := range map[error]time.Duration{
		errors.New("z"): 0, inner: time.Minute, fmt.Errorf("w: %w", inner): time.Minute, outer: time.Minute, &Remedied{}: 0,
	} {
		if got := PauseAfter(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if PauseAfter(nil) != 0 {
		t.Error("no error asks for a pause")
	}
}
