package push

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestP35_GroupingPath(t *testing.T) {
	for _, c := range []struct {
		group []Label
		want  string
	}{
		{[]Label{{"job", "vitals"}, {"instance", "web-1"}}, "/metrics/job/vitals/instance/web-1"},
		{[]Label{{"job", "my job"}}, "/metrics/job/my%20job"},
		{[]Label{{"job", "a+b"}}, "/metrics/job/a%2Bb"},
		{[]Label{{"job", "a/b"}}, "/metrics/job@base64/YS9i"},
		{[]Label{{"job", "v"}, {"zone", ""}}, "/metrics/job/v/zone@base64/="},
		{[]Label{{"job", "."}, {"a", ".."}}, "/metrics/job@base64/Lg/a@base64/Li4"},
		{[]Label{{"job", "..."}}, "/metrics/job/..."},
		{[]Label{{"job", "50%;a:b@c?d#e"}}, "/metrics/job/50%25%3Ba%3Ab%40c%3Fd%23e"},
		{[]Label{{"job", "café"}}, "/metrics/job/caf%C3%A9"},
		{[]Label{{"job", "/ü?"}}, "/metrics/job@base64/L8O8Pw"},
	} {
		if got := groupPath(c.group); got != c.want {
			t.Errorf("%v: %s, want %s", c.group, got, c.want)
		}
	}
}

// What a gateway reads from the path is what went in, whatever the value.
func FuzzGroupPath(f *testing.F) {
	for _, v := range []string{"", "a", "a/b", ".", "..", "my job", "a+b", "%2f", "é", "\x00", "=", "@base64"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		u, err := url.Parse("http://gw" + groupPath([]Label{{"job", "j"}, {"l", value}}))
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(u.Path, "/metrics/job/j/l")
		if !ok {
			t.Fatalf("path %q", u.Path)
		}
		coded, isBase64 := strings.CutPrefix(rest, "@base64/")
		got := strings.TrimPrefix(rest, "/")
		if isBase64 {
			raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(coded, "="))
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		if got != value {
			t.Errorf("%q arrives as %q", value, got)
		}
		if !isBase64 && (strings.Contains(value, "/") || value == "" || value == "." || value == "..") {
			t.Errorf("%q is not in base64", value)
		}
	})
}
