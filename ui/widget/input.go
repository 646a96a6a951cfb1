package widget

import "vitals/ui/canvas"

// Input is a line that can be edited.
type Input struct {
	runes []rune
	at    int
}

// MaxInput is how many characters an input takes.
const MaxInput = 256

// NewInput starts with the given text, the cursor at its end.
func NewInput(s string) Input {
	r := []rune(s)
	return Input{r, len(r)}
}

// String is what was typed.
func (in *Input) String() string { return string(in.runes) }

// Insert adds text at the cursor; what cannot be shown is left out.
func (in *Input) Insert(s string) {
	for _, r := range s {
		if r >= 0x20 && r != 0x7f && len(in.runes) < MaxInput {
			in.runes = append(in.runes[:in.at], append([]rune{r}, in.runes[in.at:]...)...)
			in.at++
		}
	}
}

// Key edits the line; it reports whether the key was an editing key.
func (in *Input) Key(key string) bool {
	switch key {
	case "backspace", "ctrl+h":
		in.cut(in.at-1, in.at)
	case "delete", "ctrl+d":
		in.cut(in.at, in.at+1)
	case "ctrl+u":
		in.cut(0, in.at)
	case "ctrl+k":
		in.cut(in.at, len(in.runes))
	case "ctrl+w":
		from := in.at
		for from > 0 && in.runes[from-1] == ' ' {
			from--
		}
		for from > 0 && in.runes[from-1] != ' ' {
			from--
		}
		in.cut(from, in.at)
	case "left", "ctrl+b":
		in.at = max(in.at-1, 0)
	case "right", "ctrl+f":
		in.at = min(in.at+1, len(in.runes))
	case "home", "ctrl+a":
		in.at = 0
	case "end", "ctrl+e":
		in.at = len(in.runes)
	default:
		return false
	}
	return true
}

func (in *Input) cut(from, to int) {
	from, to = max(from, 0), min(to, len(in.runes))
	if from < to {
		in.runes = append(in.runes[:from], in.runes[to:]...)
		in.at = from
	}
}

// Draw shows the line after a prompt and returns the column of the cursor and
// the column after the text.
func (in *Input) Draw(a canvas.Area, x, y int, prompt string) (cursor, end int) {
	x = a.Text(x, y, prompt, canvas.Strong(canvas.Key))
	cursor = x + canvas.Width(string(in.runes[:in.at]))
	end = a.Text(x, y, string(in.runes), canvas.Fg(canvas.FG))
	mark := ' '
	if in.at < len(in.runes) {
		mark = in.runes[in.at]
	}
	a.Set(cursor, y, mark, canvas.Style{Attr: canvas.Reverse})
	return cursor, max(end, cursor+1)
}
