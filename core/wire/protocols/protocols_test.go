package protocols

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// values gives the protocols that a folder has, by the names of their variables.
func values(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(folder, "*.go"))
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, value := range v.Values {
					if lit, ok := value.(*ast.CompositeLit); ok {
						if sel, ok := lit.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Protocol" {
							names = append(names, v.Names[i].Name)
						}
					}
				}
			}
		}
	}
	return names
}

func TestEveryProtocolIsListed(t *testing.T) {
	text, err := os.ReadFile("protocols.go")
	if err != nil {
		t.Fatal(err)
	}
	folders, _ := filepath.Glob("../*")
	found := 0
	for _, folder := range folders {
		for _, name := range values(t, folder) {
			found++
			if line := "&" + filepath.Base(folder) + "." + name + ","; !strings.Contains(string(text), line) {
				t.Errorf("%s is missing in the list", line)
			}
		}
	}
	if found < 5 || found != len(List()) {
		t.Errorf("%d protocols in folders, %d in the list", found, len(List()))
	}
}

func TestIdsAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range List() {
		id := p.ID
		if id == "" {
			id = p.Name
		}
		if seen[id] || p.New == nil || p.Sniff == nil {
			t.Errorf("%s: not unique, or incomplete", id)
		}
		seen[id] = true
	}
}

// Nobody claims what another protocol says at the beginning of a connection.
func TestRecordingsAreClaimedByTheirOwn(t *testing.T) {
	folders, _ := filepath.Glob("../*/testdata")
	checked := 0
	for _, folder := range folders {
		own := filepath.Base(filepath.Dir(folder))
		if paths, _ := filepath.Glob(filepath.Join(folder, "*.rec")); len(paths) == 0 {
			continue
		}
		for name, rec := range wiretest.LoadAll(t, folder) {
			for i, turn := range rec[:min(len(rec), 8)] {
				for _, p := range List() {
					if owner(p) == own || p.Datagram {
						continue
					}
					for _, n := range []int{len(turn.Data), 256, 64, 8} {
						n = min(n, len(turn.Data))
						checked++
						if v := p.Sniff(turn.From, turn.Data[:n], int64(len(turn.Data))); v > wire.Maybe {
							t.Errorf("%s takes turn %d of %s/%s, %d bytes of it, for its own (%d): %q", owner(p), i, own, name, n, v, turn.Data[:min(n, 40)])
						}
					}
				}
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d checks", checked)
	}
}

// owner is the folder of a protocol.
func owner(p *wire.Protocol) string {
	switch {
	case p.ID == "http2":
		return "http2"
	case p.ID == "dns-tcp":
		return "dns"
	case p.Name == "http":
		return "http1"
	case p.Name == "postgresql":
		return "postgres"
	}
	return p.Name
}

func TestRandomBytesAreNobodys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	buf := make([]byte, 300)
	for range 60_000 {
		b := buf[:1+r.IntN(len(buf)-1)]
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		switch r.IntN(3) {
		case 0: // printable
			for i := range b {
				b[i] = ' ' + b[i]%95
			}
		case 1: // small numbers, as in binary protocols
			for i := range b[:min(len(b), 16)] {
				b[i] %= 4
			}
		}
		for _, p := range List() {
			for _, side := range []wire.Side{wire.Client, wire.Server} {
				if v := p.Sniff(side, b, int64(len(b))); v > wire.Maybe {
					t.Errorf("%s takes %q of side %d for its own (%d)", owner(p), b[:min(len(b), 60)], side, v)
				}
			}
		}
	}
}

func TestSniffAllocatesNothing(t *testing.T) {
	inputs := [][]byte{
		[]byte("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		[]byte("*1\r\n$4\r\nPING\r\n"), []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x07example\x00\x00\x01\x00\x01"),
	}
	for _, p := range List() {
		if n := testing.AllocsPerRun(20, func() {
			for _, b := range inputs {
				p.Sniff(wire.Client, b, int64(len(b)))
				p.Sniff(wire.Server, b, int64(len(b)))
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", owner(p), n)
		}
	}
}
