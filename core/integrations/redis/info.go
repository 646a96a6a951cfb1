package redis

import (
	"bytes"
	"math"
	"strconv"
)

// eachInfo calls f for each line "key:value" of an INFO answer, without
// allocating. Keys that are not words, and lines without a colon, are passed over.
func eachInfo(text []byte, f func(key, value []byte)) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		line = bytes.TrimRight(line, "\r")
		key, value, ok := bytes.Cut(line, []byte{':'})
		if ok && len(key) > 0 && key[0] != '#' {
			f(key, value)
		}
	}
}

// eachPart calls f for each "name=value" of a list like "keys=2,expires=1".
func eachPart(list []byte, f func(name, value []byte)) {
	for len(list) > 0 {
		part := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			part, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if name, value, ok := bytes.Cut(part, []byte{'='}); ok {
			f(name, value)
		}
	}
}

// number reads what a server says is a number: NaN when it is none.
func number(s []byte) float64 {
	switch string(s) {
	case "ok":
		return 1
	case "err", "fail":
		return 0
	}
	s = bytes.TrimSuffix(s, []byte{'%'})
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
