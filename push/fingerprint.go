package push

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/common/config"
)

// fingerprint covers every setting, secrets included. The library's own
// marshalling hides secrets, and formatting prints pointers, hence the walk.
func (s *settings) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %v %v %v %q ", s.Kind, s.target, s.Method, s.group, s.Interval, s.Timeout, s.DeleteOnExit, s.Version)
	fmt.Fprintf(h, "%q %q %v %q %q %t ", s.Format, s.Compression, s.Mode, s.Keep, s.Drop, s.As == nil)
	walk(reflect.ValueOf(s.Change), func(v reflect.Value) { writeLeaf(h, v) })
	walk(reflect.ValueOf(s.HTTP), func(v reflect.Value) { writeLeaf(h, v) })
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// fingerprintOf is one of client settings alone.
func fingerprintOf(c *config.HTTPClientConfig) string {
	h := sha256.New()
	walk(reflect.ValueOf(c), func(v reflect.Value) { writeLeaf(h, v) })
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// clientSecrets lists what must never be shown.
func clientSecrets(c *config.HTTPClientConfig) []string {
	var found []string
	secret := reflect.TypeFor[config.Secret]()
	walk(reflect.ValueOf(c), func(v reflect.Value) {
		if v.Type() == secret && v.Len() > 0 {
			found = append(found, v.String())
		}
	})
	return found
}

// walk visits the leaves of v in an order that depends on its content only.
// Nil pointers are leaves, so that absent and empty differ.
func walk(v reflect.Value, leaf func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			leaf(v)
			return
		}
		walk(v.Elem(), leaf)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), leaf)
		}
	case reflect.Slice, reflect.Array:
		leaf(reflect.ValueOf(v.Len()))
		for i := range v.Len() {
			walk(v.Index(i), leaf)
		}
	case reflect.Map:
		leaf(reflect.ValueOf(v.Len()))
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(a.String(), b.String())
		})
		for _, k := range keys {
			walk(k, leaf)
			walk(v.MapIndex(k), leaf)
		}
	default:
		leaf(v)
	}
}

func writeLeaf(h hash.Hash, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		fmt.Fprintf(h, "%q ", v.String())
	case reflect.Bool:
		fmt.Fprintf(h, "%t ", v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprintf(h, "%d ", v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		fmt.Fprintf(h, "%d ", v.Uint())
	default:
		fmt.Fprintf(h, "%s ", v.Type())
	}
}
