package filter

import (
	"math"
	"strconv"
	"testing"
)

type proc struct {
	name, lang string
	pid        int
	err        float64
}

func fields() Fields[proc] {
	return Fields[proc]{
		Words:  func(p proc, w string) bool { return Contains(p.name, w) },
		Exact:  map[string]func(proc) string{"pid": func(p proc) string { return strconv.Itoa(p.pid) }},
		Text:   map[string]func(proc) string{"lang": func(p proc) string { return p.lang }},
		Is:     map[string]func(proc, string) bool{"odd": func(p proc, v string) bool { return (p.pid%2 == 1) == (v == "yes") }},
		Number: map[string]func(proc) float64{"err": func(p proc) float64 { return p.err }},
	}
}

func TestFilter(t *testing.T) {
	all := []proc{{"nginx", "c", 80, 0.8}, {"Checkout", "go", 81, 2.1}, {"kube-proxy", "go", 8, math.NaN()}}
	for _, c := range []struct {
		line, want, unknown string
	}{
		{"", "nginx Checkout kube-proxy ", ""},
		{"check", "Checkout ", ""},
		{"CHECK", "Checkout ", ""},
		{"lang:go", "Checkout kube-proxy ", ""},
		{"lang:go !kube", "Checkout ", ""},
		{"lang:go|c", "nginx Checkout kube-proxy ", ""},
		{"!lang:go", "nginx ", ""},
		{"pid:8", "kube-proxy ", ""},
		{"pid:8|81", "Checkout kube-proxy ", ""},
		{"err>1", "Checkout ", ""},
		{"err<1", "nginx ", ""},
		{"!err>1", "nginx kube-proxy ", ""},
		{"err>2%", "Checkout ", ""},
		{"err>", "nginx Checkout kube-proxy ", ""},
		{"err>x", "nginx Checkout kube-proxy ", ""},
		{"lang:", "nginx Checkout kube-proxy ", ""},
		{"!", "nginx Checkout kube-proxy ", ""},
		{"odd:yes", "Checkout ", ""},
		{"planet:mars", "", "planet"},
		{"!planet:mars", "", "planet"},
		{"lang>3", "", "lang"},
	} {
		f := fields().Parse(c.line)
		got := ""
		for _, p := range all {
			if f.Match(p) {
				got += p.name + " "
			}
		}
		if got != c.want || f.Unknown != c.unknown {
			t.Errorf("%q matches %q, unknown %q; want %q, %q", c.line, got, f.Unknown, c.want, c.unknown)
		}
	}
}

func TestNumbersWithUnits(t *testing.T) {
	for s, want := range map[string]float64{"5": 5, "5ms": 0.005, "5us": 5e-6, "2s": 2, "1m": 60, "3k": 3000, "1G": 1 << 30, "2%": 2} {
		if v, ok := parse(s); !ok || math.Abs(v-want) > want*1e-12 {
			t.Errorf("%q is %v, %v; want %v", s, v, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a b", "!x:y|z", "err>1e309", ":::", "!!", "pid:|", "err<NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p := fields().Parse(line)
		p.Match(proc{"nginx", "c", 80, 0.8})
	})
}
