package haproxy

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

func TestTableOfARealServer(t *testing.T) {
	text, err := os.ReadFile("testdata/stat.csv")
	if err != nil {
		t.Fatal(err)
	}
	tb, err := newTable(text)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for tb.next() {
		seen[string(tb.text("pxname"))+"/"+string(tb.text("svname"))] = string(tb.text("status"))
		if string(tb.text("svname")) == "s1" && (tb.number("bin") != 82 || tb.number("bout") != 124 || string(tb.text("addr")) != "127.0.0.1:28080") {
			t.Errorf("s1: %v in, %v out", tb.number("bin"), tb.number("bout"))
		}
		if string(tb.text("svname")) == "FRONTEND" && !math.IsNaN(tb.number("qcur")) {
			t.Errorf("an empty cell is %v", tb.number("qcur"))
		}
	}
	want := map[string]string{"fe/FRONTEND": "OPEN", "be/s1": "UP", "be/s2": "DOWN", "be/BACKEND": "UP", "stats/FRONTEND": "OPEN"}
	for k, v := range want {
		if seen[k] != v {
			t.Errorf("%s is %q, want %q", k, seen[k], v)
		}
	}
}

func TestCells(t *testing.T) {
	tb, err := newTable([]byte("# pxname,svname,desc,n\n\na,b,\"x, \"\"y\"\"\nz\",7,\r\nshort\nlong,b,c,1,2,3,4,5\n"))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for tb.next() {
		rows = append(rows, []string{string(tb.text("pxname")), string(tb.text("desc")), string(tb.text("n")), string(tb.text("nowhere"))})
	}
	want := [][]string{{"a", "x, \"\"y\"\"\nz", "7", ""}, {"short", "", "", ""}, {"long", "c", "1", ""}}
	if len(rows) != len(want) {
		t.Fatalf("%q", rows)
	}
	for i := range want {
		if strings.Join(rows[i], "|") != strings.Join(want[i], "|") {
			t.Errorf("row %d: %q, want %q", i, rows[i], want[i])
		}
	}
}

func TestWhatIsNoTable(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "HTML": "<html>", "unknown command": "Unknown command.", "other header": "# a,b\n1,2\n",
	} {
		if _, err := newTable([]byte(in)); !errors.Is(err, errNotStats) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newTable([]byte("# pxname,svname," + strings.Repeat("x,", 10000))); err == nil {
		t.Error("ten thousand columns are taken")
	}
	if _, err := readAnswer(endless{}, nil); !errors.Is(err, errTooLarge) {
		t.Errorf("an endless answer: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func FuzzTable(f *testing.F) {
	f.Add([]byte("# pxname,svname,desc,n\na,b,\"x, y\",7,\n"))
	f.Add([]byte("# pxname,svname,\n\""))
	f.Fuzz(func(t *testing.T, in []byte) {
		tb, err := newTable(in)
		if err != nil {
			return
		}
		rows := 0
		for tb.next() {
			if rows++; rows > bytes.Count(in, []byte{'\n'})+2 {
				t.Fatalf("%d rows in %q", rows, in)
			}
			_ = tb.number("n")
			_ = tb.text("svname")
		}
		eachInfo(in, func(n, v []byte) {})
	})
}
