package core

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "nginx: worker process", 64, "nginx: worker process"},
		{"empty", "", 8, ""},
		{"unicode stays", "grüße-日本", 64, "grüße-日本"},
		{"escape sequence", "\x1b[2Jx", 64, "·[2Jx"},
		{"newline and tab", "a\nb\tc\x7f", 64, "a·b·c·"},
		{"c1 controls", "a\u009bb", 64, "a·b"},
		{"bidi override", "exe\u202egpj", 64, "exe·gpj"},
		{"zero width", "ng\u200binx\ufeff", 64, "ng·inx·"},
		{"combining", "e\u0301\u0489", 64, "e··"},
		{"letters that cannot be seen", "a\u3164b\u115fc", 64, "a·b·c"},
		{"no-break space", "a\u00a0b", 64, "a·b"},
		{"invalid bytes", "a\xff\xfeb", 64, "a··b"},
		{"exactly the limit", "12345678", 8, "12345678"},
		{"cut", "123456789", 8, "12345…"},
		{"cut between characters", "日本語日本語", 10, "日本…"},
		{"replacement grows", "\x01\x02\x03\x04\x05\x06", 6, "·…"},
		{"wide at the end of the limit", "12345678😀9", 10, "1234567…"},
		{"room for the ellipsis only", "12345", 3, "…"},
		{"not even for that", "12345", 2, ""},
		{"nothing", "12345", 0, ""},
		{"below nothing", "12345", -1, ""},
	} {
		if got := Clean(c.in, c.limit); got != c.want {
			t.Errorf("%s: Clean(%q, %d) = %q, want %q", c.name, c.in, c.limit, got, c.want)
		}
	}
}

func TestCleanAllocatesNothingForCleanStrings(t *testing.T) {
	for _, s := range []string{"nginx", "grüße"} {
		if n := testing.AllocsPerRun(100, func() { Clean(s, MaxName) }); n != 0 {
			t.Errorf("Clean(%q) allocates %v times", s, n)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b]0;title\x07", 16)
	f.Add("12345678😀9", 10)
	f.Add("a\u202e\u3164", 2)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Clean(s, limit)
		if len(got) > max(limit, 0) {
			t.Fatalf("%d bytes, limit %d: %q", len(got), limit, got)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.M, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q left in %q", r, got)
			}
		}
		if again := Clean(got, limit); again != got {
			t.Fatalf("not idempotent: %q, then %q", got, again)
		}
		if len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) && got != s {
			t.Fatalf("plain %q became %q", s, got)
		}
	})
}

func BenchmarkClean(b *testing.B) {
	for name, s := range map[string]string{"plain": "nginx: worker process", "hostile": "ng\x1b[2Jinx\u202e"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Clean(s, MaxName)
			}
		})
	}
}
