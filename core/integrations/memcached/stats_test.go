package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

func TestStatsOfARealServer(t *testing.T) {
	for file, want := range map[string]map[string]string{
		"stats": {"version": "1.6.18", "curr_items": "1", "limit_maxbytes": "67108864", "libevent": "2.1.12-stable"},
		"slabs": {"1:chunk_size": "96", "active_slabs": "1"},
		"items": {"items:1:number": "1"},
	} {
		text, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		err = readStats(bufio.NewReader(bytes.NewReader(text)), func(n, v []byte) { got[string(n)] = string(v) })
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s = %q, want %q", file, k, got[k], v)
			}
		}
	}
}

func TestAnswersThatAreNoStats(t *testing.T) {
	for name, c := range map[string]struct {
		in      string
		refused bool
	}{
		"closed":          {"", false},
		"cut":             {"STAT pid 1\r\nSTAT", false},
		"HTTP":            {"HTTP/1.1 400 Bad Request\r\n\r\n", false},
		"endless line":    {"STAT " + strings.Repeat("x", 1<<20), false},
		"endless stats":   {strings.Repeat("STAT a 1\r\n", maxStats+1), false},
		"unknown":         {"ERROR\r\n", true},
		"unauthenticated": {"CLIENT_ERROR unauthenticated\r\n", true},
		"out of memory":   {"SERVER_ERROR out of memory writing stats\r\n", true},
	} {
		err := readStats(bufio.NewReader(strings.NewReader(c.in)), func(n, v []byte) {})
		var refused serverError
		if err == nil || errors.As(err, &refused) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSlabFigures(t *testing.T) {
	for in, want := range map[string][2]string{
		"1:chunk_size":    {"1", "chunk_size"},
		"items:42:number": {"42", "number"},
	} {
		class, figure, ok := slabFigure([]byte(in))
		if !ok || string(class) != want[0] || string(figure) != want[1] {
			t.Errorf("%s: %s %s %v", in, class, figure, ok)
		}
	}
	for _, in := range []string{"active_slabs", "x:y", ":1", "12345:a", ""} {
		if class, _, ok := slabFigure([]byte(in)); ok {
			t.Errorf("%s is of class %s", in, class)
		}
	}
}

func FuzzStats(f *testing.F) {
	f.Add([]byte("STAT pid 1\r\nSTAT items:1:number 2\r\nEND\r\n"))
	f.Add([]byte("CLIENT_ERROR unauthenticated\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_ = readStats(bufio.NewReader(bytes.NewReader(in)), func(n, v []byte) {
			if len(n) == 0 {
				t.Fatal("a figure without a name")
			}
			slabFigure(n)
			if math.IsInf(number(v), 0) {
				t.Fatalf("%q is infinite", v)
			}
		})
	})
}
