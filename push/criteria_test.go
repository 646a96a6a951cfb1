package push

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every behaviour of pushing and receiving has a test of its own, named after it.
func TestEveryCriterionHasATest(t *testing.T) {
	name := regexp.MustCompile(`(?m)^func Test([TP]\d\d)_(\w+)\(`)
	several := regexp.MustCompile(`^[TPIWGCD]\d\d_`)
	found := map[string]bool{}
	for _, dir := range []string{".", "../core/cli", "../core/config", "../core/expose"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range name.FindAllStringSubmatch(string(text), -1) {
				if several.MatchString(m[2]) {
					t.Errorf("%s: %s_%s stands for several behaviours", path, m[1], m[2])
				}
				found[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for letter, last := range map[string]int{"T": 70, "P": 38} {
		for n := 1; n <= last; n++ {
			if id := fmt.Sprintf("%s%02d", letter, n); !found[id] {
				t.Errorf("no test is named after %s", id)
			}
		}
	}
}
