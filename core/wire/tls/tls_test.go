package tls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"vitals/core/wire"
)

// tape records what is written to a connection.
type tape struct {
	net.Conn
	mu     *sync.Mutex
	from   wire.Side
	record *[]wire.Span
}

func (t tape) Write(b []byte) (int, error) {
	t.mu.Lock()
	*t.record = append(*t.record, wire.Span{From: t.from, Data: append([]byte(nil), b...), Size: int64(len(b))})
	t.mu.Unlock()
	return t.Conn.Write(b)
}

// converse makes a real handshake and a request and an answer through it.
func converse(t testing.TB, version uint16) (spans []wire.Span) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"shop.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	var mu sync.Mutex
	client := tls.Client(tape{a, &mu, wire.Client, &spans}, &tls.Config{ServerName: "shop.example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true, MaxVersion: version})
	server := tls.Server(tape{b, &mu, wire.Server, &spans}, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	var wg sync.WaitGroup
	wg.Go(func() {
		io.CopyN(io.Discard, server, 5)
		server.Write([]byte("world"))
		io.Copy(io.Discard, server)
	})
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, client, 5); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.Close()
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	return append([]wire.Span(nil), spans...)
}

func TestRealConnections(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		spans := converse(t, version)
		if len(spans) < 4 {
			t.Fatalf("only %d spans", len(spans))
		}
		for i, s := range spans {
			want := wire.Likely
			if i < 2 {
				want = wire.Sure // the hellos
			}
			if got := Sniff(s.From, s.Data, s.Size); got < want && !(i >= 2 && s.Data[0] == handshake) {
				t.Errorf("%s: span %d of %d bytes beginning with %x: verdict %d", tls.VersionName(version), i, s.Size, s.Data[:6], got)
			}
		}
		var out wire.Out
		c := Protocol.New(wire.Options{Names: wire.NewNames(10, nil)})
		c.Feed(&spans[0], &out)
		if out.Peer != "shop.example" || out.Blind != "tls" || out.Inside != "h2, http/1.1" {
			t.Errorf("%s: peer %q, blind %q, inside %q", tls.VersionName(version), out.Peer, out.Blind, out.Inside)
		}
		hello := spans[0].Data
		for n := range hello {
			if name := ServerName(hello[:n]); name != nil && string(name) != "shop.example" {
				t.Errorf("%d bytes of a hello ask for %q", n, name)
			}
			if offer := AppendOffer(nil, hello[:n]); len(offer) > 0 && string(offer) != "h2, http/1.1" {
				t.Errorf("%d bytes of a hello offer %q", n, offer)
			}
		}
		if n := ServerName(hello[:min(256, len(hello))]); string(n) != "shop.example" {
			t.Errorf("%q: the name is not among the first bytes", n)
		}
	}
}

func TestWhatIsNotTLS(t *testing.T) {
	for _, text := range []string{
		"", "GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "\x16", "\x16\x03\x01", "\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00\x00",
		"\x17\x03\x09\x00\x20aaaa", "\x17\x03\x03\x00\x00aaaa", "\x14\x03\x03\x00\x02aa", "\x17\x03\x03\x00\x02aaZZZZZZ",
	} {
		for _, from := range []wire.Side{wire.Client, wire.Server} {
			if v := Sniff(from, []byte(text), int64(len(text))); v != wire.No {
				t.Errorf("%q: verdict %d", text, v)
			}
		}
	}
}

// hello is a ClientHello with nothing in it but what it offers.
func hello(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = append(append(list, byte(len(n))), n...)
	}
	ext := append([]byte{0, extProtocols, 0, byte(len(list) + 2), 0, byte(len(list))}, list...)
	body := append([]byte{3, 3}, make([]byte, 32)...)              // version, random
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0, 0, byte(len(ext))) // session, one suite, no compression
	body = append(body, ext...)                                    // and the extension
	return append([]byte{handshake, 3, 1, 0, byte(len(body) + 4), clientHello, 0, 0, byte(len(body))}, body...)
}

func TestOffers(t *testing.T) {
	for want, names := range map[string][]string{
		"":                nil,
		"h2":              {"h2"},
		"h2, http/1.1":    {"\x0a\x0a", "h2", "a b", "http/1.1", "\xff\xfe"},
		"acme-tls/1, dot": {"acme-tls/1", "dot"},
		"aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbb, ...": {"aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccc", "d"},
	} {
		h := hello(names...)
		if got := string(AppendOffer(nil, h)); got != want {
			t.Errorf("%q offers %q, want %q", names, got, want)
		}
		if got := AppendOffer(nil, h[:len(h)-1]); len(names) > 0 && len(got) > 0 {
			t.Errorf("%q cut offers %q", names, got)
		}
	}
	long := hello("h2", "http/1.1")
	long[len(long)-9] = 200 // a name that is longer than the list
	if got := AppendOffer(nil, long); len(got) > 0 {
		t.Errorf("offers %q", got)
	}
}

func FuzzTLS(f *testing.F) {
	for _, s := range converse(f, tls.VersionTLS13) {
		f.Add(s.Data, uint8(s.From))
	}
	f.Fuzz(func(t *testing.T, data []byte, from uint8) {
		side := wire.Side(from % 2)
		if v := Sniff(side, data, int64(len(data))); v == wire.Sure && data[0] != handshake {
			t.Errorf("%x is sure", data)
		}
		if name := ServerName(data); len(name) > 255 {
			t.Errorf("a name of %d bytes", len(name))
		}
		offer := AppendOffer([]byte("x"), data)
		if len(offer) > 1+maxOffer || offer[0] != 'x' || bytes.ContainsFunc(offer, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("offers %q", offer)
		}
	})
}
