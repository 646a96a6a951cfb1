package format

import (
	"math"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name string
		f    func([]byte, float64) []byte
		v    float64
		want string
	}{
		{"count", Count, 0, "0"}, {"count", Count, 0.001, "<0.1"}, {"count", Count, 0.3, "0.3"}, {"count", Count, 7, "7"}, {"count", Count, 9.94, "9.9"}, {"count", Count, 9.96, "10"},
		{"count", Count, 290, "290"}, {"count", Count, 999.4, "999"}, {"count", Count, 999.6, "1.00k"}, {"count", Count, 1240, "1.24k"}, {"count", Count, 12400, "12.4k"}, {"count", Count, 99960, "100k"},
		{"count", Count, 999600, "1.00M"}, {"count", Count, 38.1e6, "38.1M"}, {"count", Count, 1e22, "10000E"}, {"count", Count, -5, "-5"}, {"count", Count, nan, "–"}, {"count", Count, inf, "–"},
		{"bytes", Bytes, 0, "0B"}, {"bytes", Bytes, 512, "512B"}, {"bytes", Bytes, 1024, "1.0K"}, {"bytes", Bytes, 184 << 20, "184M"}, {"bytes", Bytes, 1.2 * (1 << 30), "1.2G"}, {"bytes", Bytes, -1, "–"}, {"bytes", Bytes, nan, "–"},
		{"seconds", Seconds, 0, "0"}, {"seconds", Seconds, 87e-6, "87us"}, {"seconds", Seconds, 99.6e-6, "0.10ms"}, {"seconds", Seconds, 0.00038, "0.38ms"}, {"seconds", Seconds, 0.0038, "3.8ms"}, {"seconds", Seconds, 0.038, "38ms"},
		{"seconds", Seconds, 0.9994, "999ms"}, {"seconds", Seconds, 0.9996, "1.0s"}, {"seconds", Seconds, 1.2, "1.2s"}, {"seconds", Seconds, 38, "38s"}, {"seconds", Seconds, 200, "3m"}, {"seconds", Seconds, nan, "–"}, {"seconds", Seconds, -1, "–"},
		{"percent", Percent, 0, "0.0"}, {"percent", Percent, 0.0001, "<0.1"}, {"percent", Percent, 0.021, "2.1"}, {"percent", Percent, 0.9994, "99.9"}, {"percent", Percent, 0.9999, "100"}, {"percent", Percent, 4.12, "412"}, {"percent", Percent, nan, "–"},
	} {
		if got := string(c.f(nil, c.v)); got != c.want {
			t.Errorf("%s(%v) = %q, want %q", c.name, c.v, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", -time.Hour: "0s", 21 * time.Second: "21s", 6 * time.Minute: "6m", 47 * time.Hour: "47h", 49 * time.Hour: "2d"} {
		if got := Of(Age, d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
	if got := Plural(1, "process", "processes") + Plural(2, "process", "processes"); got != "1 process2 processes" {
		t.Error(got)
	}
}

// A number never grows wider than a column of a table.
func TestNumbersAreShort(t *testing.T) {
	for v := 1e-9; v < 1e15; v *= 1.17 {
		for name, f := range map[string]func([]byte, float64) []byte{"count": Count, "bytes": Bytes, "seconds": Seconds} {
			if s := string(f(nil, v)); len(s) > 7 {
				t.Errorf("%s(%v) = %q", name, v, s)
			}
		}
	}
}

func TestNumbersDoNotAllocate(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		var b [24]byte
		Count(b[:0], 1234.5)
		Seconds(b[:0], 0.0123)
		Percent(b[:0], 0.0123)
		Bytes(b[:0], 1e9)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
