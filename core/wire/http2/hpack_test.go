package http2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2/hpack"

	"vitals/core/wire"
)

func TestHuffman(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for try := range 2000 {
		plain := every
		if try > 0 {
			plain = make([]byte, r.IntN(60))
			for i := range plain {
				plain[i] = byte(r.IntN(256))
			}
		}
		room := make([]byte, 300)
		n, cut := unhuffman(room, hpack.AppendHuffmanString(nil, string(plain)))
		if cut || !bytes.Equal(room[:n], plain) {
			t.Fatalf("%q decoded as %q", plain, room[:n])
		}
	}
	if n, cut := unhuffman(make([]byte, 3), hpack.AppendHuffmanString(nil, "four")); n != 3 || !cut {
		t.Errorf("%d %v in too little room", n, cut)
	}
}

// header is a request as an encoder of somebody else writes it.
func header(e *hpack.Encoder, buf *bytes.Buffer, pairs ...string) []byte {
	buf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		if err := e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1], Sensitive: pairs[i] == "cookie"}); err != nil {
			panic(err)
		}
	}
	return buf.Bytes()
}

func TestFieldsOfAnotherEncoder(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	d := decoder{names: wire.NewNames(1000, nil)}
	late := decoder{names: d.names} // joins after 100 requests
	r := rand.New(rand.NewPCG(3, 4))
	paths := []string{"/", "/users/42?token=x", "/a.b.C/Get", "/index.html", "/häßlich"}
	routes := []string{"/", "/users/{id}", "/a.b.C/Get", "/index.html", "/häßlich"}
	known, hiddenPaths := 0, 0
	for i := range 1000 {
		p := r.IntN(len(paths))
		verb := []string{"GET", "POST", "DELETE", "BREW"}[r.IntN(4)]
		if i == 500 {
			e.SetMaxDynamicTableSize(0)
			e.SetMaxDynamicTableSize(4096)
		}
		noise := string(rune('a' + r.IntN(26)))
		block := header(e, &buf, ":method", verb, ":scheme", "http", ":path", paths[p], ":authority", "shop.example:80",
			"x-"+noise, noise, "cookie", "secret", "content-type", "application/grpc+proto")
		var f fields
		if !d.decode(block, &f) {
			t.Fatalf("block %d is not whole", i)
		}
		if verb == "BREW" {
			verb = wire.Other
		}
		if f.method != verb || f.path != routes[p] || f.authority != "shop.example:80" || f.content != isGRPC || f.hidden || f.grpc != -1 {
			t.Fatalf("block %d: %+v", i, f)
		}
		if i < 100 {
			continue
		}
		var g fields
		late.decode(block, &g)
		switch g.path {
		case routes[p]:
			known++
		case "":
			hiddenPaths++
			if !g.hidden {
				t.Fatalf("block %d: no path, and nothing hidden", i)
			}
		default:
			t.Fatalf("block %d joined: path %q, want %q", i, g.path, routes[p])
		}
		if g.method != "" && g.method != verb {
			t.Fatalf("block %d joined: method %q, want %q", i, g.method, verb)
		}
	}
	t.Logf("joined late: %d paths known, %d hidden", known, hiddenPaths)
	if known < 500 || hiddenPaths == 0 {
		t.Errorf("%d paths known, %d hidden", known, hiddenPaths)
	}
}

func TestCutBlocks(t *testing.T) {
	var buf bytes.Buffer
	block := header(hpack.NewEncoder(&buf), &buf, ":method", "POST", ":path", "/a/b", "x-long", "value", ":authority", "h")
	for n := range block {
		d := decoder{names: wire.NewNames(10, nil)}
		var f fields
		if d.decode(block[:n], &f) && n > 0 && f.authority != "" {
			t.Errorf("%d bytes of %d taken for all", n, len(block))
		}
		if f.path != "" && f.path != "/a/b" {
			t.Errorf("%d bytes: path %q", n, f.path)
		}
	}
}

func TestHostileBlocks(t *testing.T) {
	for _, b := range []string{"\x80", "\xff\xff\xff\xff\xff\xff", "\x7f\xff\xff\xff\x7f", "\x40\xff\xff\xff\xff\x0f", "\x00\x85abc", "\xbe", "\x3f\xff\xff\xff\xff"} {
		d := decoder{names: wire.NewNames(10, nil)}
		var f fields
		d.decode([]byte(b), &f)
		if f.path != "" || f.method != "" {
			t.Errorf("%q: %+v", b, f)
		}
	}
	d := decoder{names: wire.NewNames(10, nil)}
	for range 10000 {
		var f fields
		d.decode([]byte("\x40\x01a\x01b"), &f)
	}
	if len(d.table.ring) > maxEntries {
		t.Errorf("%d entries", len(d.table.ring))
	}
}

func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	f.Add(bytes.Clone(header(e, &buf, ":method", "POST", ":path", "/a.B/C", ":authority", "h", "x-a", "b")))
	f.Add(bytes.Clone(header(e, &buf, ":status", "200", "grpc-status", "5", "content-type", "text/event-stream")))
	f.Fuzz(func(t *testing.T, b []byte) {
		mine := decoder{names: wire.NewNames(100, nil)}
		var got fields
		if !mine.decode(b, &got) {
			return
		}
		// What another decoder understands must be the same.
		var path, verb string
		other := hpack.NewDecoder(4096, func(h hpack.HeaderField) {
			switch h.Name {
			case ":path":
				path = h.Value
			case ":method":
				verb = h.Value
			}
		})
		if _, err := other.Write(b); err != nil || other.Close() != nil {
			return
		}
		if (verb == "GET" || verb == "POST") && got.method != verb {
			t.Errorf("method %q, another says %q", got.method, verb)
		}
		if isCall([]byte(path)) && len(path) < maxValue && got.path != path {
			t.Errorf("path %q, another says %q", got.path, path)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	names := wire.NewNames(100, nil)
	d := decoder{names: names}
	pairs := []string{":method", "POST", ":scheme", "http", ":path", "/helloworld.Greeter/SayHello", ":authority", "localhost:50051",
		"content-type", "application/grpc", "user-agent", "grpc-go/1.70", "te", "trailers", "grpc-timeout", "999963u"}
	var f fields
	d.decode(header(e, &buf, pairs...), &f)
	block := bytes.Clone(header(e, &buf, pairs...))
	b.ReportAllocs()
	for b.Loop() {
		f = fields{}
		if !d.decode(block, &f) || f.path == "" {
			b.Fatal("not decoded")
		}
	}
}
