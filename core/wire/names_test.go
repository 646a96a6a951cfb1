package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestNamesAreBoundedAndAge(t *testing.T) {
	n := NewNames(3, strings.ToUpper)
	get := func(s string) string { return n.Get([]byte(s)) }
	if get("a") != "A" || get("b") != "B" || get("c") != "C" || get("d") != Other || get("a") != "A" || n.Folded != 1 {
		t.Fatalf("%v, folded %d", n.known, n.Folded)
	}
	n.Age()
	if get("d") != "D" || get("a") != "A" || get("b") != "B" || get("c") != Other {
		t.Errorf("%v", n.known)
	}
	for i := range 100 {
		n.Age()
		get(fmt.Sprint(i))
	}
	if len(n.known)+len(n.aged) != 2 {
		t.Errorf("%d names and %d aged ones are left", len(n.known), len(n.aged))
	}
	if allocs := testing.AllocsPerRun(100, func() { get("99") }); allocs != 0 {
		t.Errorf("%v allocations for a known name", allocs)
	}
}
