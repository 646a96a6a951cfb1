// Package themes knows what vitals looks like: a theme gives each of a few
// semantic tokens ("ok", "border", "heat2") a colour and attributes. Themes are
// small YAML files, built in or in the user's configuration directory; the user
// interface turns tokens into styles and holds no colour of its own.
package themes

import "fmt"

// Token names one role of colour on the screen.
type Token uint8

// The tokens. A theme has a style for each.
const (
	BG          Token = iota // the screen's background
	Surface                  // background of header, footer, overlays
	FG                       // text
	Muted                    // secondary text: units, labels
	Faint                    // hints, rules, unknown values
	Accent                   // titles, the active page
	Border                   // lines around panes
	BorderFocus              // lines around the pane that has the keyboard
	SelBG                    // background of the selected row
	SelFG                    // text of the selected row
	HeaderFG                 // column titles
	OK                       // healthy
	Warn                     // worth a look
	Crit                     // broken
	Info                     // neutral news
	Off                      // switched off, stopped
	Match                    // what a filter found
	Key                      // names of keys in help and footer
	Graph1                   // first series of a chart
	Graph2                   // second series
	Graph3                   // third series
	Graph4                   // fourth series
	Heat0                    // least; the ramp moves away from the background
	Heat1                    // more
	Heat2                    // much
	Heat3                    // most
)

// NumTokens is how many tokens there are.
const NumTokens = int(Heat3) + 1

var tokenNames = [NumTokens]string{
	"bg", "surface", "fg", "muted", "faint", "accent", "border", "borderFocus",
	"selBg", "selFg", "headerFg", "ok", "warn", "crit", "info", "off", "match", "key",
	"graph1", "graph2", "graph3", "graph4", "heat0", "heat1", "heat2", "heat3",
}

// String gives the token's name in theme files.
func (t Token) String() string {
	if int(t) < NumTokens {
		return tokenNames[t]
	}
	return fmt.Sprintf("token(%d)", uint8(t))
}

// Variant says for which backgrounds a theme is made.
type Variant string

// Variants. Any is for themes that leave the background to the terminal.
const (
	Dark  Variant = "dark"
	Light Variant = "light"
	Any   Variant = "any"
)

// Auto is the name that stands for DefaultDark or DefaultLight, as the
// terminal's background is. Load does not know it: who asks the terminal resolves it.
const (
	Auto         = "auto"
	DefaultDark  = "midnight"
	DefaultLight = "daylight"
	NoColor      = "mono" // what NO_COLOR gets
)

// Theme is a complete look: every token has a style. Themes are values; they
// are never modified after loading and may be compared.
type Theme struct {
	Name        string
	Variant     Variant
	Description string
	From        string // the file's path, or BuiltIn
	Styles      [NumTokens]Style
}

// BuiltIn is Theme.From of the themes inside the program.
const BuiltIn = "built in"

// Style returns the style of a token; an unknown token has the zero Style.
func (t *Theme) Style(tok Token) Style {
	if int(tok) < NumTokens {
		return t.Styles[tok]
	}
	return Style{}
}
