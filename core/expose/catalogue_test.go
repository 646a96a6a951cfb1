package expose

import (
	"bytes"
	"strings"
	"testing"
)

// What is told of the exposition is what is in it.
func TestCatalogueCountsTheLines(t *testing.T) {
	s := sample()
	var text bytes.Buffer
	if err := WriteText(&text, Families(s)); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "#") {
			lines[strings.TrimSpace(line)] = true
		}
	}
	told := 0
	for _, info := range Catalogue(s, 3) {
		told += info.Samples
		if info.Series == 0 || len(info.Lines) == 0 || len(info.Lines) > 3 || info.Help == "" {
			t.Errorf("%+v", info)
		}
		for _, l := range info.Lines {
			if !lines[l] {
				t.Errorf("%q is not exposed", l)
			}
		}
	}
	if told != len(lines) {
		t.Errorf("%d lines told, %d there", told, len(lines))
	}
}
