package page

import (
	"fmt"
	"slices"
	"strings"

	"vitals/core"
)

// Shedding says what is not observed because of the budget; empty for nothing.
func Shedding(s *core.Snapshot) string {
	if s.Toggles == nil || len(s.Toggles.Shed) == 0 {
		return ""
	}
	var names []string
	for x := range s.Toggles.Shed {
		names = append(names, x.Kind+" of "+x.Service)
	}
	slices.Sort(names)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ") + " off to keep the budget: page Events says when and why"
}
