package discover

import (
	"strings"
	"testing"
)

// Query values and passwords of URLs are on no screen and in no file, however
// the command line says them.
func TestCommandLinesKeepNoValues(t *testing.T) {
	for line, want := range map[string]string{
		"nginx: worker process":                                "nginx: worker process",
		"curl http://x/y?token=secret -o z":                    "curl http://x/y?… -o z",
		"curl x:8080/y?token=secret&b=secret":                  "curl x:8080/y?…",
		"sh -c curl 'http://x/?secret' | tee \"http://y?a=b\"": "sh -c curl 'http://x/?…' | tee \"http://y?…\"",
		"app --db postgres://me:secret@db/orders?sslmode=off":  "app --db postgres://me:…@db/orders?…",
		"app --db=postgres://me@db/orders":                     "app --db=postgres://me@db/orders",
		"app redis://:secret@h:6379/0":                         "app redis://:…@h:6379/0",
		"app http://a:p@secret@h/":                             "app http://a:…@h/",
		"ls /tmp/file? a@b":                                    "ls /tmp/file? a@b",
		"":                                                     "",
	} {
		if got := withoutValues(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
		if strings.Contains(joinArguments([]string{line}), "secret") {
			t.Errorf("%q tells its secret", line)
		}
	}
}
