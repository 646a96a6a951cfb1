package widget

import (
	"strings"

	"vitals/ui/canvas"
)

// Wrap breaks text at spaces into lines of at most w columns; a word that is
// longer stands alone and is cut when it is drawn.
func Wrap(text string, w int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case canvas.Width(line)+1+canvas.Width(word) <= w:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
