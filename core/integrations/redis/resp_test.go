package redis

import (
	"bufio"
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind byte
		text string
		n    int64
		null bool
	}{
		{"+PONG\r\n", '+', "PONG", 0, false},
		{":42\r\n", ':', "", 42, false},
		{":-1\r\n", ':', "", -1, false},
		{"$5\r\nhello\r\n", '$', "hello", 5, false},
		{"$0\r\n\r\n", '$', "", 0, false},
		{"$4\r\na\r\nb\r\n", '$', "a\r\nb", 4, false},
		{"$-1\r\n", '$', "", -1, true},
		{"*-1\r\n", '*', "", -1, true},
	} {
		v, err := readReply(bufio.NewReader(strings.NewReader(c.in)), nil)
		if err != nil || v.kind != c.kind || string(v.text) != c.text || v.number != c.n || v.null != c.null {
			t.Errorf("%q: %+v, %v", c.in, v, err)
		}
	}
	v, err := readReply(bufio.NewReader(strings.NewReader("*2\r\n*2\r\n$1\r\na\r\n:7\r\n-ERR x\r\n")), nil)
	if err != nil || len(v.items) != 2 || string(v.items[0].items[0].text) != "a" || v.items[0].items[1].number != 7 {
		t.Errorf("a nested array: %+v, %v", v, err)
	}
}

func TestRepliesThatAreNone(t *testing.T) {
	for name, in := range map[string]string{
		"HTTP":                  "HTTP/1.1 400 Bad Request\r\n\r\n",
		"no CR":                 "+PONG\n",
		"empty line":            "\r\n",
		"cut":                   "$5\r\nhel",
		"length is a word":      "$five\r\n",
		"wrong end":             "$2\r\nabcd",
		"a line without end":    "+" + strings.Repeat("x", 1<<20),
		"claims gigabytes":      "$4294967296\r\n",
		"an array of millions":  "*100000000\r\n",
		"depth":                 strings.Repeat("*1\r\n", 1000),
		"many in many in many":  "*60000\r\n" + strings.Repeat("*60000\r\n", 60),
		"a length over an int":  "$99999999999999999999\r\n",
		"closed at once":        "",
		"an escape in the text": "\x1b[2J\r\n",
	} {
		_, err := readReply(bufio.NewReader(strings.NewReader(in)), nil)
		var refused serverError
		if err == nil || errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(err.Error()) > 200 || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%s: the error is no error to show: %q", name, err)
		}
	}
	_, err := readReply(bufio.NewReader(strings.NewReader("-NOAUTH Authentication required.\r\n")), nil)
	var refused serverError
	if !errors.As(err, &refused) || string(refused) != "NOAUTH Authentication required." {
		t.Errorf("a refusal: %v", err)
	}
}

func TestInfoOfARealServer(t *testing.T) {
	text, err := os.ReadFile("testdata/info.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	eachInfo(text, func(k, v []byte) { got[string(k)] = string(v) })
	for k, want := range map[string]string{
		"redis_version": "7.0.15", "executable": "/usr/bin/redis-server", "cluster_enabled": "0",
		"db0": "keys=2,expires=1,avg_ttl=0", "config_file": "",
	} {
		if got[k] != want {
			t.Errorf("%s = %q, want %q", k, got[k], want)
		}
	}
	parts := map[string]float64{}
	eachPart([]byte(got["cmdstat_set"]), func(n, v []byte) { parts[string(n)] = number(v) })
	if parts["calls"] != 2 || parts["usec"] != 17 {
		t.Errorf("cmdstat_set: %v", parts)
	}
	allocs := testing.AllocsPerRun(100, func() { eachInfo(text, func(k, v []byte) {}) })
	if allocs != 0 {
		t.Errorf("%v allocations for one answer", allocs)
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	for in, want := range map[string]float64{"1": 1, "-1": -1, "2.5": 2.5, "ok": 1, "err": 0, "99.5%": 99.5} {
		if got := number([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
	for _, in := range []string{"", "x", "inf", "1e999", "nan", "0x", "1,2"} {
		if got := number([]byte(in)); !math.IsNaN(got) {
			t.Errorf("%q is %v", in, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nget\r\n:7\r\n"))
	f.Add([]byte("-ERR unknown\r\n"))
	f.Add([]byte("$-1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := readReply(bufio.NewReader(bytes.NewReader(in)), nil)
		if err == nil && len(v.text) > len(in) {
			t.Fatalf("%d bytes made of %d", len(v.text), len(in))
		}
	})
}

func FuzzInfo(f *testing.F) {
	f.Add([]byte("# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		eachInfo(in, func(k, v []byte) {
			if len(k) == 0 {
				t.Fatal("an empty key")
			}
			eachPart(v, func(n, v []byte) { _ = number(v) })
		})
	})
}
