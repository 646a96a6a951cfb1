package haproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"vitals/core"
)

// Limits of what is read from a server.
const (
	maxAnswer  = 8 << 20 // some 15,000 servers
	maxColumns = 400     // 2.6 has 120, 3.0 has 150
	maxRows    = 20_000
)

var (
	errTooLarge = errors.New("the answer is larger than 8 MiB: name the proxies to read in the settings")
	errNotStats = errors.New("this is not the answer of HAProxy to \"show stat\"")
)

// readAnswer reads a whole answer into buf, up to maxAnswer.
func readAnswer(r io.Reader, buf []byte) ([]byte, error) {
	b := bytes.NewBuffer(buf[:0])
	n, err := io.Copy(b, io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if n > maxAnswer {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// table is the answer to "show stat". Cells are parts of the answer.
type table struct {
	columns map[string]int
	cells   [][]byte // of the row at hand
	rest    []byte
	rows    int
}

// newTable reads the header, a line that begins with "# pxname,svname".
func newTable(answer []byte) (*table, error) {
	answer = bytes.TrimLeft(answer, "\r\n ")
	if !bytes.HasPrefix(answer, []byte("# pxname,svname,")) {
		return nil, fmt.Errorf("%w: it begins with %q", errNotStats, core.Clean(string(answer[:min(len(answer), 40)]), 48))
	}
	header, rest, _ := bytes.Cut(answer[2:], []byte{'\n'})
	t := &table{columns: make(map[string]int, 160), rest: rest}
	for name := range bytes.SplitSeq(bytes.TrimRight(header, "\r"), []byte{','}) {
		if len(t.cells) >= maxColumns {
			return nil, errTooLarge
		}
		if len(name) > 0 {
			t.columns[string(name)] = len(t.cells)
		}
		t.cells = append(t.cells, nil)
	}
	return t, nil
}

// next goes to the next row; it returns false after the last one.
func (t *table) next() bool {
	for len(t.rest) > 0 && (t.rest[0] == '\n' || t.rest[0] == '\r') {
		t.rest = t.rest[1:]
	}
	if len(t.rest) == 0 || t.rows >= maxRows {
		return false
	}
	t.rows++
	for i := range t.cells {
		t.cells[i] = nil
	}
	for i := 0; ; i++ {
		cell, more := t.cell()
		if i < len(t.cells) {
			t.cells[i] = cell
		}
		if !more {
			return true
		}
	}
}

// cell cuts the next cell off; more is false at the end of the line. Texts like
// check_desc may be quoted; a quote inside is doubled and stays so.
func (t *table) cell() (cell []byte, more bool) {
	if len(t.rest) > 0 && t.rest[0] == '"' {
		for i := 1; i < len(t.rest); i++ {
			if t.rest[i] != '"' {
				continue
			}
			if i+1 < len(t.rest) && t.rest[i+1] == '"' {
				i++
				continue
			}
			cell, t.rest = t.rest[1:i], t.rest[i+1:]
			_, more = t.plain()
			return cell, more
		}
	}
	return t.plain()
}

func (t *table) plain() (cell []byte, more bool) {
	i := bytes.IndexAny(t.rest, ",\n")
	if i < 0 {
		cell, t.rest = t.rest, nil
		return cell, false
	}
	cell, more = t.rest[:i], t.rest[i] == ','
	t.rest = t.rest[i+1:]
	return bytes.TrimRight(cell, "\r"), more
}

// text returns a cell of the row at hand, valid as long as the answer; nil
// where this version has no such column.
func (t *table) text(column string) []byte {
	i, ok := t.columns[column]
	if !ok {
		return nil
	}
	return t.cells[i]
}

// number returns a cell as a number: NaN when it is empty or none.
func (t *table) number(column string) float64 { return number(t.text(column)) }

func number(s []byte) float64 {
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

// eachInfo calls f for each line "Name: value" of the answer to "show info".
func eachInfo(answer []byte, f func(name, value []byte)) {
	for line := range bytes.SplitSeq(answer, []byte{'\n'}) {
		if name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(": ")); ok {
			f(name, value)
		}
	}
}
