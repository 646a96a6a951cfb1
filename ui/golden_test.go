package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/exp/golden"

	"vitals/core"
	"vitals/themes"
)

// scenes are the screens that are kept as text files: go test ./ui -run Golden -update
// rewrites them, and a person looks at the difference.
var scenes = []struct {
	name string
	snap func() *core.Snapshot
	keys []string
}{
	{"overview", sample, nil},
	{"overview-calm", calm, nil},
	{"overview-events", sample, []string{"tab", "down"}},
	{"processes", sample, []string{"2", "down", "down", "down", "down"}},
	{"processes-selection", sample, []string{"2", "v", "down", "down", "v", "down"}},
	{"processes-tree", sample, []string{"2", "t"}},
	{"processes-services", sample, []string{"2", "tab"}},
	{"processes-filter", sample, []string{"2", "/", "l", "a", "n", "g", ":", "c", "space", "!", "n", "g", "i", "n", "x"}},
	{"process-summary", sample, []string{"2", "down", "down", "down", "down", "enter"}},
	{"process-routes", sample, []string{"2", "down", "down", "down", "down", "enter", "l"}},
	{"process-slow", sample, []string{"2", "down", "down", "down", "down", "enter", "l", "l", "down"}},
	{"process-latency", sample, []string{"2", "down", "down", "down", "down", "enter", "l", "l", "l"}},
	{"process-connections", sample, []string{"2", "down", "down", "down", "down", "enter", "l", "l", "l", "l"}},
	{"process-seen", sample, []string{"2", "down", "down", "down", "down", "enter", "h", "h"}},
	{"process-probes", sample, []string{"2", "down", "down", "down", "down", "enter", "h"}},
	{"process-hostile", sample, []string{"2", "/", "p", "i", "d", ":", "3", "3", "7", "7", "enter", "enter"}},
	{"service-summary", sample, []string{"2", "tab", "down", "enter"}},
	{"service-probes", sample, []string{"2", "tab", "down", "enter", "h"}},
	{"map", sample, []string{"3", "down"}},
	{"map-list", sample, []string{"3", "tab", "down"}},
	{"requests", sample, []string{"4", "down"}},
	{"requests-database", sample, append([]string{"4"}, filterBy("service:check")...)},
	{"route", sample, append(append([]string{"4"}, filterBy("orders")...), "enter")},
	{"route-server", sample, append(append([]string{"4"}, filterBy("method:POST service:check")...), "enter", "tab")},
	{"requests-single", sample, []string{"4", "tab"}},
	{"integrations", sample, []string{"5", "down", "down"}},
	{"integrations-login", sample, []string{"5", "down", "down", "c"}},
	{"integration", sample, []string{"5", "enter"}},
	{"integration-all", sample, []string{"5", "enter", "tab"}},
	{"events", sample, []string{"6"}},
	{"probes", sample, []string{"7", "down", "down"}},
	{"metrics", sample, []string{"8", "down"}},
	{"metrics-destinations", sample, []string{"8", "tab"}},
	{"metrics-calls", sample, []string{"8", "shift+tab"}},
	{"metrics-gateway", receiving, []string{"8"}},
	{"gateway", receiving, []string{"8", "D", "down"}},
	{"help", sample, []string{"2", "?"}},
	{"palette", sample, []string{":", "r", "e"}},
	{"themes", sample, []string{"T"}},
	{"confirm", sample, []string{"7", "K"}},
}

// filterBy are the keys that type a filter.
func filterBy(text string) []string {
	out := []string{"/"}
	for _, r := range text {
		out = append(out, map[bool]string{true: "space", false: string(r)}[r == ' '])
	}
	return append(out, "enter")
}

var sizes = [...][2]int{{120, 36}, {80, 24}, {60, 14}}

func TestGoldenText(t *testing.T) {
	for _, sc := range scenes {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s-%dx%d", sc.name, size[0], size[1]), func(t *testing.T) {
				d := drive(t, sc.snap(), size[0], size[1])
				d.keys(sc.keys...)
				text := d.screen()
				golden.RequireEqual(t, []byte(text))
				clean(t, text)
			})
		}
	}
}

func TestGoldenASCII(t *testing.T) {
	for _, sc := range scenes {
		for _, size := range sizes[:2] {
			t.Run(fmt.Sprintf("%s-%dx%d", sc.name, size[0], size[1]), func(t *testing.T) {
				d := drive(t, sc.snap(), size[0], size[1], inASCII)
				d.keys(sc.keys...)
				text := d.screen()
				for _, r := range text {
					if r > 0x7e || r < 0x20 && r != '\n' {
						t.Fatalf("%q is not printable ASCII:\n%s", r, text)
					}
				}
				if strings.Contains(d.a.frame, "\u2500") {
					t.Error("the frame has other glyphs than its text")
				}
				golden.RequireEqual(t, []byte(text))
			})
		}
	}
}

// Styled frames: what is written to the terminal, colours and all.
func TestGoldenStyles(t *testing.T) {
	for _, theme := range []string{themes.DefaultDark, themes.DefaultLight, "terminal", themes.NoColor} {
		for _, sc := range scenes {
			if sc.name != "overview" && sc.name != "processes" {
				continue
			}
			t.Run(sc.name+"-"+theme, func(t *testing.T) {
				d := drive(t, sc.snap(), 80, 24, withTheme(theme))
				d.keys(sc.keys...)
				d.screen()
				golden.RequireEqual(t, []byte(d.a.frame))
			})
		}
	}
}

// The smallest screens still tell the health.
func TestTinyScreens(t *testing.T) {
	for _, size := range [][2]int{{48, 8}, {59, 14}, {60, 13}, {20, 3}, {1, 1}, {200, 5}} {
		d := drive(t, sample(), size[0], size[1])
		text := d.screen()
		if size[0] >= 48 && size[1] >= 5 {
			d.sees("60x14", "●7", "p99 212ms", "checkout-api")
		}
		clean(t, text)
	}
}

// Every size draws every page: nothing leaves the screen, nothing crashes.
func TestEverySizeDraws(t *testing.T) {
	for _, sc := range scenes {
		for w := 1; w <= 200; w += 27 {
			for h := 1; h <= 60; h += 11 {
				d := drive(t, sc.snap(), w, h)
				d.keys(sc.keys...)
				for i, line := range strings.Split(d.screen(), "\n") {
					if n := len([]rune(line)); n > w {
						t.Fatalf("%s at %dx%d: line %d has %d columns", sc.name, w, h, i, n)
					}
				}
			}
		}
	}
}

// An empty machine, as in the first moment, draws on every page.
func TestNothingKnownYet(t *testing.T) {
	for _, keys := range [][]string{nil, {"2"}, {"2", "enter"}, {"2", "space"}, {"2", "tab"}, {"3"}, {"3", "enter"}, {"3", "tab"}, {"4"}, {"4", "tab"}, {"4", "enter"}, {"5"}, {"5", "enter"}, {"6"}, {"6", "space"}, {"7"}, {"7", "space"}, {"8"}, {"8", "space"}, {"8", "tab", "space"}, {"8", "tab", "tab"}, {"5", "c"}, {"5", "space"}, {"2", "i"}, {"y"}} {
		d := drive(t, &core.Snapshot{Seq: 1}, 120, 36)
		d.keys(keys...)
		d.screen()
	}
	drive(t, &core.Snapshot{Seq: 1}, 120, 36).sees("looking at the processes")
}

// clean fails on anything that a terminal would take as an order.
func clean(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r < 0x20 && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
			t.Fatalf("%U on the screen:\n%s", r, text)
		}
	}
}
