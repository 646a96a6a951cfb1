package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"vitals/core"
)

// Bounds of what is handed to the YAML parser, whose time grows with the square
// of the nesting.
const (
	maxFile    = 256 << 10 // bytes
	maxLine    = 4096      // bytes
	maxNesting = 32
)

type nodeKind uint8

const (
	isNull nodeKind = iota
	isScalar
	isList
	isMap
)

// node is a value of the file, or of a flag or variable, with its line.
type node struct {
	line  int
	kind  nodeKind
	text  string // scalars, as written
	items []*node
	pairs []pair
}

type pair struct {
	name  string
	line  int
	value *node
}

// parseYAML reads a file into nodes. A nil node is an empty file.
func parseYAML(text []byte) (n *node, faults []fault) {
	defer func() {
		if p := recover(); p != nil {
			n, faults = nil, []fault{{text: "not valid YAML"}}
		}
	}()
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin files with it
	if why := unfit(text); why != "" {
		return nil, []fault{{text: why}}
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, []fault{syntaxFault(err)}
	}
	if len(tree.Docs) > 1 {
		return nil, []fault{{text: "more than one YAML document: remove the lines with ---"}}
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, nil
	}
	c := converter{}
	n = c.convert(tree.Docs[0].Body)
	return n, c.faults
}

// unfit says why text is not worth parsing, "" when it is.
func unfit(text []byte) string {
	if !utf8.Valid(text) {
		return "not UTF-8 text"
	}
	if i := bytes.IndexFunc(text, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' && r != '\r' }); i >= 0 {
		return fmt.Sprintf("not a text file: control character at byte %d", i)
	}
	for line := range bytes.Lines(text) {
		if len(line) > maxLine {
			return fmt.Sprintf("a line is longer than %d bytes", maxLine)
		}
	}
	depth := 0
	for _, b := range text {
		switch b {
		case '[', '{':
			if depth++; depth > maxNesting {
				return fmt.Sprintf("brackets are nested deeper than %d", maxNesting)
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return ""
}

func syntaxFault(err error) fault {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		return fault{line: at.GetToken().Position.Line, text: "YAML: " + core.Clean(at.GetMessage(), 200)}
	}
	return fault{text: "not valid YAML"}
}

type converter struct{ faults []fault }

func (c *converter) convert(n ast.Node) *node {
	out := &node{}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		out.line = tk.Position.Line
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = isMap
		for _, e := range n.Values {
			c.entry(out, e)
		}
	case *ast.MappingValueNode:
		out.kind = isMap
		c.entry(out, n)
	case *ast.SequenceNode:
		out.kind = isList
		for _, v := range n.Values {
			out.items = append(out.items, c.convert(v))
		}
	case *ast.StringNode:
		out.kind, out.text = isScalar, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = isScalar, n.Value.Value
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = isScalar, n.GetToken().Value
	case *ast.NullNode:
	default:
		c.faults = append(c.faults, fault{line: out.line, text: "anchors, aliases and tags are not used here: write the value out"})
	}
	return out
}

func (c *converter) entry(out *node, e *ast.MappingValueNode) {
	p := pair{name: e.Key.GetToken().Value, value: c.convert(e.Value)}
	if pos := e.Key.GetToken().Position; pos != nil {
		p.line = pos.Line
	}
	if p.value.line == 0 || p.value.kind == isMap {
		p.value.line = p.line
	}
	out.pairs = append(out.pairs, p)
}
