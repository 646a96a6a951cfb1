// Package filter is the little language of the filter line: terms separated by
// spaces, all of which must hold. A term is a word (part of a name), key:value,
// key>number or key<number; | separates alternatives of a value, ! before a
// term turns it around. "lang:go|java err>0 !kube".
package filter

import (
	"math"
	"strconv"
	"strings"
)

// Fields are what can be asked of a T.
type Fields[T any] struct {
	// Words reports whether a bare word matches.
	Words func(x T, word string) bool
	// Text has keys whose value matches when it contains the asked one.
	Text map[string]func(T) string
	// Exact has keys whose value must be equal to the asked one.
	Exact map[string]func(T) string
	// Is has keys that decide themselves whether a value is right.
	Is map[string]func(x T, value string) bool
	// Number has keys that are compared; NaN compares as nothing.
	Number map[string]func(T) float64
}

// Filter is a parsed filter. The zero Filter matches everything.
type Filter[T any] struct {
	terms []term[T]
	// Unknown is a key that no field has; its term matches nothing.
	Unknown string
}

type term[T any] struct {
	match func(T) bool
	not   bool
}

// Parse reads a filter. It always gives one: while a line is typed it is often
// incomplete, and incomplete terms are left out.
func (f Fields[T]) Parse(line string) Filter[T] {
	var out Filter[T]
	for _, word := range strings.Fields(line) {
		t := term[T]{}
		word, t.not = strings.CutPrefix(word, "!")
		if word == "" {
			continue
		}
		i := strings.IndexAny(word, ":><")
		if i <= 0 {
			t.match = func(x T) bool { return f.Words(x, word) }
			out.terms = append(out.terms, t)
			continue
		}
		key, op, value := strings.ToLower(word[:i]), word[i], word[i+1:]
		if value == "" {
			continue
		}
		if t.match = f.compile(key, op, value); t.match == nil {
			out.Unknown = key
			t.match, t.not = func(T) bool { return false }, false
		}
		out.terms = append(out.terms, t)
	}
	return out
}

func (f Fields[T]) compile(key string, op byte, value string) func(T) bool {
	alternatives := strings.Split(value, "|")
	number := f.Number[key]
	switch {
	case op != ':' && number != nil:
		limit, ok := parse(value)
		if !ok {
			return func(T) bool { return true } // not typed to its end
		}
		if op == '>' {
			return func(x T) bool { return number(x) > limit }
		}
		return func(x T) bool { return number(x) < limit }
	case op != ':':
		return nil
	case f.Exact[key] != nil:
		get := f.Exact[key]
		return func(x T) bool {
			v := get(x)
			for _, a := range alternatives {
				if strings.EqualFold(v, a) {
					return true
				}
			}
			return false
		}
	case f.Is[key] != nil:
		is := f.Is[key]
		return func(x T) bool {
			for _, a := range alternatives {
				if is(x, a) {
					return true
				}
			}
			return false
		}
	case f.Text[key] != nil:
		get := f.Text[key]
		return func(x T) bool {
			v := get(x)
			for _, a := range alternatives {
				if Contains(v, a) {
					return true
				}
			}
			return false
		}
	case number != nil:
		limit, ok := parse(value)
		return func(x T) bool { return ok && number(x) == limit }
	}
	return nil
}

// Match reports whether x passes.
func (f *Filter[T]) Match(x T) bool {
	for i := range f.terms {
		if f.terms[i].match(x) == f.terms[i].not {
			return false
		}
	}
	return true
}

// parse reads a number with a unit of size (k, M, G), time (us, ms, s, in
// seconds) or percent.
func parse(s string) (float64, bool) {
	scale := 1.0
	for _, u := range [...]struct {
		suffix string
		scale  float64
	}{{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"%", 1}, {"k", 1e3}, {"M", 1 << 20}, {"G", 1 << 30}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok && rest != "" {
			s, scale = rest, u.scale
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0, false
	}
	return v * scale, true
}

// Contains reports whether s contains part, whatever the case of ASCII letters.
// It does not allocate.
func Contains(s, part string) bool {
	if part == "" {
		return true
	}
	for i := 0; i+len(part) <= len(s); i++ {
		j := 0
		for j < len(part) && lower(s[i+j]) == lower(part[j]) {
			j++
		}
		if j == len(part) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
