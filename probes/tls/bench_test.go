package tls

import (
	"testing"
)

// Looking at a large Go program is the most memory that this package takes.
func BenchmarkLookAtGoProgram(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plans(mapping{"/usr/local/go/bin/go", "/usr/local/go/bin/go"}, true); err != nil && err != errNoGoTLS {
			b.Fatal(err)
		}
		if _, err := plans(mapping{"../../bin/vitals", "../../bin/vitals"}, true); err != nil {
			b.Fatal(err)
		}
	}
}
