package core

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a?b": "a?b", "who? a=b": "who? a=b",
		"get http://me:hunter2@h/x failed":               "get http://***@h/x failed",
		"https://a,b;c@d@h":                              "https://***@h",
		`"http://h/?token=hunter2" and 'http://u:p@i'`:   `"http://h/?token=***" and 'http://***@i'`,
		"h:1/p?a=1&api_key=hunter2&b=2#token=x":          "h:1/p?a=1&api_key=***&b=2#token=x",
		"/x?%74oken=hunter2;Password=;SIG=hunter2;n=":    "/x?%74oken=***;Password=;SIG=***;n=",
		"/x?X-Amz-Signature=hunter2&access_key=a?key=b":  "/x?X-Amz-Signature=***&access_key=***",
		"/a?module=http_2xx&target=h /b?auth=hunter2":    "/a?module=http_2xx&target=h /b?auth=***",
		"redis at 127.0.0.1:7@netns-1":                   "redis at 127.0.0.1:7@netns-1",
		"mail me@h.example about http://h/?mail=me@h.eu": "mail me@h.example about http://h/?mail=me@h.eu",
		"http://":   "http://",
		"://@":      "://***@",
		"?&;=?===?": "?&;=?===?",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"http://a:b@c/?token=d&e", "?key=", "://?@=", "?a?b=c&&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Redact(s)
		if again := Redact(got); again != got {
			t.Errorf("%q became %q, then %q", s, got, again)
		}
		if strings.Contains(Redact("http://me:hunter2@h/"+s), "hunter2") && !strings.Contains(s, "hunter2") {
			t.Errorf("%q", s)
		}
	})
}
