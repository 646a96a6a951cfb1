package kit

import (
	"fmt"
	"hash"
	"reflect"
	"slices"
)

// digest writes every value of settings, secrets included, so that two that
// differ in anything give different sums.
func digest(h hash.Hash, v reflect.Value) {
	if !v.IsValid() {
		h.Write([]byte{0})
		return
	}
	if s, ok := secretOf(v); ok {
		fmt.Fprintf(h, "secret %q %q;", s.kind, s.text)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		h.Write([]byte{'*'})
		if !v.IsNil() {
			digest(h, v.Elem())
		}
	case reflect.Struct:
		fmt.Fprintf(h, "{%d:", v.NumField())
		for i := range v.NumField() {
			digest(h, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(h, "[%d:", v.Len())
		for i := range v.Len() {
			digest(h, v.Index(i))
		}
	case reflect.Map:
		fmt.Fprintf(h, "<%d:", v.Len())
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int {
			return slices.Compare([]byte(fmt.Sprint(x)), []byte(fmt.Sprint(y)))
		})
		for _, k := range keys {
			digest(h, k)
			digest(h, v.MapIndex(k))
		}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		panic("kit: settings hold a " + v.Kind().String() + ", which cannot be compared")
	default:
		fmt.Fprintf(h, "%s %v;", v.Kind(), quotedText(v))
	}
}

func quotedText(v reflect.Value) any {
	if v.Kind() == reflect.String {
		return fmt.Sprintf("%q", v.String())
	}
	return v
}

// secretOf finds a Secret without its methods, which hide it.
func secretOf(v reflect.Value) (Secret, bool) {
	if v.Type() != reflect.TypeFor[Secret]() {
		return Secret{}, false
	}
	return Secret{kind: v.FieldByName("kind").String(), text: v.FieldByName("text").String()}, true
}

// secrets calls f for each Secret within v.
func secrets(v reflect.Value, f func(Secret)) {
	if !v.IsValid() {
		return
	}
	if v.Type() == reflect.TypeFor[Secret]() {
		if v.CanInterface() {
			f(v.Interface().(Secret))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			secrets(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			secrets(v.Field(i), f)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			secrets(v.Index(i), f)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			secrets(v.MapIndex(k), f)
		}
	}
}
