package protocols

import (
	"path/filepath"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// What a protocol says in the middle of a connection is at least possible for
// its own Sniff: one that says "No" would take back what was believed before.
func TestNobodyDeniesItsOwn(t *testing.T) {
	for _, p := range List() {
		if p.Datagram {
			continue
		}
		folder := filepath.Join("..", owner(p), "testdata")
		if paths, _ := filepath.Glob(filepath.Join(folder, "*.rec")); len(paths) == 0 {
			continue
		}
		for name, rec := range wiretest.LoadAll(t, folder) {
			for _, heads := range [][2]int{{256, 64}, {1024, 1024}} {
				for i, s := range rec.Exchanges(heads[0], heads[1]) {
					if odd(name, s.Data) {
						continue
					}
					if p.Sniff(s.From, s.Data, s.Size) == wire.No {
						t.Errorf("%s denies turn %d of %s (%d of %d bytes): %q", owner(p), i, name, len(s.Data), s.Size, s.Data[:min(len(s.Data), 60)])
					}
				}
			}
		}
	}
}

// odd knows what is no part of the protocol in the recordings: a command that
// there is not, and what follows the agreement to compress.
func odd(name string, data []byte) bool {
	return string(data) == "nonsense\r\n" || name == "compressed" && len(data) < 64
}
