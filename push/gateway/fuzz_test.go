package gateway

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"vitals/push/codec"
)

func FuzzParseKey(f *testing.F) {
	for _, p := range []string{"job/j", "job@base64/=", "job/a%2Fb/c/", "job/j/U__a/v", "job/j//"} {
		f.Add(p, true)
	}
	l := (Limits{}).withDefaults()
	f.Fuzz(func(t *testing.T, path string, utf8Names bool) {
		key, err := parseKey(path, l, utf8Names)
		if err != nil {
			return
		}
		if key.id() == "" || !slices.IsSortedFunc(key, func(a, b Label) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%q gives %v", path, key)
		}
	})
}

func FuzzPush(f *testing.F) {
	for _, format := range []codec.Format{codec.Protobuf, codec.Text, codec.OpenMetrics, codec.JSON} {
		f.Add(byte(format), encoded(f, format, gauge("a", 1, "x", "1"), gauge("b", 2)))
	}
	f.Add(byte(codec.Text), []byte("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"))
	f.Fuzz(func(t *testing.T, format byte, data []byte) {
		g, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		key := Key{{"job", "j"}}
		families, err := newBuilder(g, key).build(codec.Format(format), data)
		if err != nil {
			return
		}
		c := &change{op: opPut, key: key, families: families, done: make(chan error, 1)}
		g.apply([]*change{c}, &unstored{})
		if err := <-c.done; err != nil {
			return
		}
		all, err := g.sections()
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []codec.Format{codec.Text, codec.Protobuf, codec.JSON} {
			var b bytes.Buffer
			if err := writeSections(&b, out, all); err != nil {
				t.Fatalf("%v: %v", out, err)
			}
			if _, err := collectFamilies(&body{data: b.Bytes(), format: out}, false, (Limits{}).withDefaults()); err != nil {
				t.Fatalf("%v cannot be read back: %v\n%s", out, err, b.Bytes())
			}
		}
		if _, err := decodeGroup(encodeGroup(key, c.groupContent())); err != nil {
			t.Fatal(err)
		}
	})
}

func (c *change) groupContent() content { return content{families: c.families} }
