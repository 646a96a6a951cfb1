package page

import (
	"strings"

	"vitals/ui/keys"
	"vitals/ui/widget"
)

// SortKeys carries out what the keys of sorting ask of a table and reports
// whether it was one of them; changed is called when the order is another.
func SortKeys(c *Context, t *widget.Table, a keys.Action, changed func()) bool {
	switch a {
	case keys.Sort:
		chooseSort(c, t, changed)
		return true
	case keys.ColumnLeft:
		t.SortBy(-1)
	case keys.ColumnRight:
		t.SortBy(1)
	case keys.Reverse:
		t.Desc = !t.Desc
		changed()
		return true
	default:
		return false
	}
	t.Desc = numeric(t, t.Sort)
	changed()
	return true
}

// numeric columns are sorted from large to small, words from a to z.
func numeric(t *widget.Table, col int) bool {
	return col >= 0 && t.Columns[col].Right && t.Columns[col].Title != "PID"
}

func chooseSort(c *Context, t *widget.Table, changed func()) {
	m := Menu{Title: "Sort by"}
	var cols []int
	for i, col := range t.Columns {
		if col.Fixed || strings.TrimSpace(col.Title) == "" {
			continue
		}
		if i == t.Sort {
			m.At = len(cols)
		}
		m.Items = append(m.Items, Item{Label: col.Title, Checked: i == t.Sort})
		cols = append(cols, i)
	}
	m.Chosen = func(i int) {
		t.Sort = cols[i]
		t.Desc = numeric(t, t.Sort)
		changed()
	}
	c.Menu(m)
}

// SortClick sorts by the column whose title was hit; again, the other way round.
func SortClick(t *widget.Table, x, y int, changed func()) {
	col := t.ColumnAt(x, y)
	if col < 0 || t.Columns[col].Fixed {
		return
	}
	if t.Sort == col {
		t.Desc = !t.Desc
	} else {
		t.Sort, t.Desc = col, numeric(t, col)
	}
	changed()
}
