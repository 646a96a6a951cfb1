package themes

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteList writes the themes of List as a table. A file that cannot be used is
// listed with the reason.
func WriteList(w io.Writer, dirs []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range List(dirs...) {
		about := e.Description
		if e.From != BuiltIn {
			about = e.From
		}
		if e.Err != nil {
			e.Variant, about = "broken", clean(e.Err.Error())
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Name, e.Variant, about)
	}
	return t.Flush()
}

// WriteTheme writes a theme as a complete file.
func WriteTheme(w io.Writer, name string, dirs []string) error {
	t, err := Load(name, dirs...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "# %s, %s\n%s", t.Name, t.From, t.YAML())
	return err
}
