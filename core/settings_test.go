package core

import "testing"

func TestNearerSettingsWinFieldByField(t *testing.T) {
	wide := Settings{Sampling: .5, Parts: map[string]bool{"heads": true, "tls": false}}
	near := Settings{Parts: map[string]bool{"heads": false}}
	got := near.Over(wide)
	if want := (Settings{Sampling: .5, Parts: map[string]bool{"heads": false, "tls": false}}); !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !wide.Parts["heads"] || len(near.Parts) != 1 {
		t.Error("what was given has changed")
	}
	if !(Settings{}).Over(wide).Equal(wide) || !wide.Over(Settings{}).Equal(wide) || (Settings{Sampling: .1}).Over(wide).Sampling != .1 {
		t.Error("nothing said must leave what is wider")
	}
	if (Settings{}).Equal(near) || !(Settings{}).Equal(Settings{Parts: map[string]bool{}}) {
		t.Error("equal is not what it says")
	}
}
