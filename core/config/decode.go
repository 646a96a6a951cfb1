package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitals/core"
)

// DecodeError is what is wrong with a section that somebody else knows the keys of.
type DecodeError struct{ faults []fault }

// Error names the first fault with its key.
func (e *DecodeError) Error() string {
	f := e.faults[0]
	if f.key == "" {
		return f.text
	}
	return f.key + ": " + f.text
}

// decode fills v, a struct with yaml tags, from a mapping. Keys that it does not
// know are faults; values that are not there stay as they are.
func decode(n *node, v reflect.Value) []fault {
	switch n.kind {
	case isNull:
		return nil
	case isMap:
	default:
		return faultf(n, "needs settings (%s) below it, indented", strings.Join(keysOf(v.Type()), ", "))
	}
	var faults []fault
	seen := map[string]bool{}
	for _, p := range n.pairs {
		field := fieldOf(v, p.name)
		switch {
		case !field.IsValid():
			faults = append(faults, fault{line: p.line, text: unknownWord("key", p.name, keysOf(v.Type()))})
			continue
		case seen[p.name]:
			faults = append(faults, fault{line: p.line, key: p.name, text: "is there twice"})
			continue
		}
		seen[p.name] = true
		faults = append(faults, under(p.name, decodeValue(p.value, field))...)
	}
	return faults
}

// fieldOf finds a field by its key, also within embedded structs.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		name, inline := tagOf(v.Type().Field(i))
		switch {
		case inline:
			if f := fieldOf(v.Field(i), key); f.IsValid() {
				return f
			}
		case name == key && name != "":
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		name, inline := tagOf(t.Field(i))
		if inline {
			keys = append(keys, keysOf(t.Field(i).Type)...)
		} else if name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

func tagOf(f reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, options == "inline"
}

func decodeValue(n *node, v reflect.Value) []fault {
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			text, faults := scalarOf(n)
			if faults != nil {
				return faults
			}
			if err := u.UnmarshalText([]byte(text)); err != nil {
				return faultf(n, "%s", oneLine(err))
			}
			return nil
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		return decode(n, v)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		faults := decodeValue(n, fresh.Elem())
		v.Set(fresh)
		return faults
	case reflect.Slice:
		return decodeList(n, v)
	case reflect.Map:
		return decodeMap(n, v)
	}
	text, faults := scalarOf(n)
	if faults != nil {
		return faults
	}
	if err := setScalar(v, text); err != nil {
		return faultf(n, "%v", err)
	}
	return nil
}

// decodeList reads a list; a single value needs none.
func decodeList(n *node, v reflect.Value) (faults []fault) {
	items := n.items
	switch {
	case n.kind == isNull:
		return faultf(n, "has no value: write [] for none")
	case n.kind != isList:
		items = []*node{n}
	}
	if len(items) > maxEntries {
		return faultf(n, "more than %d entries", maxEntries)
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, it := range items {
		faults = append(faults, decodeValue(it, out.Index(i))...)
	}
	v.Set(out)
	return faults
}

func decodeMap(n *node, v reflect.Value) (faults []fault) {
	if n.kind != isMap && !(n.kind == isList && len(n.items) == 0) || v.Type().Key().Kind() != reflect.String {
		return faultf(n, "needs NAME: VALUE below it, indented")
	}
	out := reflect.MakeMap(v.Type())
	for _, p := range n.pairs {
		value := reflect.New(v.Type().Elem()).Elem()
		faults = append(faults, under(p.name, decodeValue(p.value, value))...)
		out.SetMapIndex(reflect.ValueOf(p.name).Convert(v.Type().Key()), value)
	}
	v.Set(out)
	return faults
}

func setScalar(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%s is not a time such as 15s or 2m", quoted(text))
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := boolean(text)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%s is not a whole number", quoted(text))
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%s is not a whole number from 0 to %d", quoted(text), uint64(1)<<v.Type().Bits()-1)
		}
		v.SetUint(i)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s is not a number", quoted(text))
		}
		v.SetFloat(f)
	default:
		return errors.New("cannot be set in a file")
	}
	return nil
}

// secretKey reports whether the value of a key may be something to hide. What
// only names a place where a secret lies may be shown.
func secretKey(key, text string) bool {
	key = strings.ToLower(key)
	for _, place := range []string{"file:", "env:", "cmd:", "credential:"} {
		if strings.HasPrefix(text, place) {
			return false
		}
	}
	if strings.HasSuffix(key, "_file") || strings.HasPrefix(text, "/") {
		return false
	}
	return slices.ContainsFunc([]string{"password", "secret", "token", "credential", "passwd", "auth"},
		func(word string) bool { return strings.Contains(key, word) })
}

// flow writes a value as YAML on one line, in the order and under the names in
// which it was written, without secrets.
func flow(key string, n *node) string {
	switch n.kind {
	case isMap:
		var parts []string
		for _, p := range n.pairs {
			parts = append(parts, quoteYAML(core.Clean(p.name, core.MaxName))+": "+flow(p.name, p.value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case isList:
		var parts []string
		for _, it := range n.items {
			parts = append(parts, flow(key, it))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case isNull:
		return "{}"
	}
	if n.text != "" && secretKey(key, n.text) {
		return `"***"`
	}
	return quoteYAML(core.Redact(n.text))
}
