package servertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitals/core"
	"vitals/core/integrations/kit"
)

const generated = "<!-- what follows is written by the tests: UPDATE_DOCS=1 go test ./core/integrations/... -->\n"

// Docs fails the test when the page of a kind does not say what the kind says:
// the metrics, figures and grants at its end are generated.
func Docs(t testing.TB, k kit.Kind) {
	t.Helper()
	path := filepath.Join("../../..", k.Docs)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written, _, ok := strings.Cut(string(b), generated)
	if !ok {
		t.Fatalf("%s has no line %q", k.Docs, generated)
	}
	want := written + generated + facts(k)
	if want == string(b) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Errorf("%s is not what the integration says: UPDATE_DOCS=1 go test writes it", k.Docs)
		return
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func facts(k kit.Kind) string {
	var b strings.Builder
	if k.Grants != "" {
		fmt.Fprintf(&b, "\n## Rights\n\n```\n%s\n```\n", strings.TrimSpace(k.Grants))
	}
	if len(k.Figures) > 0 {
		b.WriteString("\n## On screen\n\n")
		for _, f := range k.Figures {
			unit := f.Unit
			if unit == "per_second" {
				unit = "a second"
			}
			fmt.Fprintf(&b, "- %s\n", strings.TrimSuffix(f.Title+", "+unit, ", "))
		}
	}
	if len(k.Metrics) > 0 {
		b.WriteString("\n## Metrics\n\n| name | kind | labels | what |\n| --- | --- | --- | --- |\n")
		for _, m := range k.Metrics {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, kindName(m.Kind), strings.Join(m.Labels, ", "), m.Help)
		}
	}
	return b.String()
}

func kindName(k core.MetricKind) string {
	switch k {
	case core.Counter:
		return "counter"
	case core.Histogram:
		return "histogram"
	case core.Summary:
		return "summary"
	case core.Untyped:
		return "untyped"
	}
	return "gauge"
}
