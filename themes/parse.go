package themes

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// file is one parsed theme file, before inheritance.
type file struct {
	variant      Variant
	description  string
	inherits     string
	inheritsLine int
	styles       [NumTokens]Style
	set          [NumTokens]bool
}

// parse reads a theme file: a flat mapping of variant, inherits, description and
// tokens. The first thing that is wrong is the error.
func parse(from string, text []byte) (f *file, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("%s: not valid YAML", from)
		}
	}()
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: not UTF-8 text", from)
	}
	// The parser's time grows with the square of the nesting, and themes nest nothing.
	if bytes.Count(text, []byte("[")) > maxNesting || bytes.Count(text, []byte("{")) > maxNesting || longestLine(text) > maxLine {
		return nil, fmt.Errorf("%s: a theme is one mapping of tokens to colours", from)
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(from, err)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, fmt.Errorf("%s: a theme is one mapping of tokens to colours", from)
	}
	var entries []*ast.MappingValueNode
	switch body := tree.Docs[0].Body.(type) {
	case *ast.MappingNode:
		entries = body.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{body}
	default:
		return nil, fmt.Errorf("%s: a theme is one mapping of tokens to colours", from)
	}
	f = &file{}
	for _, e := range entries {
		pos := e.Key.GetToken().Position
		if err := f.put(e, pos.Line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", from, pos.Line, err)
		}
	}
	return f, nil
}

// Bounds of what is handed to the YAML parser.
const (
	maxNesting = 16
	maxLine    = 512 // bytes
)

func longestLine(text []byte) (n int) {
	for line := range bytes.Lines(text) {
		n = max(n, len(line))
	}
	return n
}

func syntaxError(from string, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		return fmt.Errorf("%s:%d: %s", from, at.GetToken().Position.Line, at.GetMessage())
	}
	return fmt.Errorf("%s: not valid YAML", from)
}

func (f *file) put(e *ast.MappingValueNode, line int) error {
	key := e.Key.GetToken().Value
	value, err := scalar(e.Value)
	if err != nil {
		return fmt.Errorf("%s: %w", quote(key), err)
	}
	switch key {
	case "variant":
		switch f.variant = Variant(value); f.variant {
		case Dark, Light, Any:
			return nil
		}
		return fmt.Errorf("variant %s: use dark, light or any", quote(value))
	case "inherits":
		f.inherits, f.inheritsLine = value, line
		return nil
	case "description":
		f.description = clean(value)
		return nil
	}
	tok, ok := tokenOf(key)
	if !ok {
		return fmt.Errorf("unknown key %s: the tokens are %s", quote(key), strings.Join(tokenNames[:], ", "))
	}
	if f.styles[tok], err = ParseStyle(value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	f.set[tok] = true
	return nil
}

func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		if strings.HasPrefix(strings.TrimSpace(n.GetToken().Value), "#") || n.GetToken().Value == "" {
			return "", errors.New("has no value: a colour that begins with # needs quotes")
		}
	}
	return "", errors.New("needs a colour, for example \"#4fdcc0\" (with quotes), blue, or none")
}

func tokenOf(name string) (Token, bool) {
	for i, n := range tokenNames {
		if n == name {
			return Token(i), true
		}
	}
	return 0, false
}

// over lays f over its parent; base is the zero Theme when f inherits nothing.
func (f *file) over(base Theme, name, from string) (Theme, error) {
	t := base
	t.Name, t.From = name, from
	if f.variant != "" {
		t.Variant = f.variant
	}
	if f.description != "" || f.inherits == "" {
		t.Description = f.description
	}
	var missing []string
	for i := range NumTokens {
		switch {
		case f.set[i]:
			t.Styles[i] = f.styles[i]
		case f.inherits == "":
			missing = append(missing, tokenNames[i])
		}
	}
	if len(missing) > 0 {
		return Theme{}, fmt.Errorf("%s: no colour for %s: add them, or inherit the rest, for example inherits: %s", from, strings.Join(missing, ", "), DefaultDark)
	}
	if t.Variant == "" {
		return Theme{}, fmt.Errorf("%s: no variant: add variant: dark, light or any", from)
	}
	return t, nil
}

// clean keeps text from files to one printable line.
func clean(s string) string {
	q := strconv.Quote(cut(s, 400))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// YAML gives the theme as a complete file: what Load reads back.
func (t *Theme) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "variant: %s\n", t.Variant)
	if t.Description != "" {
		fmt.Fprintf(&b, "description: %q\n", t.Description)
	}
	b.WriteByte('\n')
	for i, s := range t.Styles {
		value := s.String()
		if strings.HasPrefix(value, "#") {
			value = `"` + value + `"`
		}
		fmt.Fprintf(&b, "%s: %s\n", tokenNames[i], value)
	}
	return b.String()
}
