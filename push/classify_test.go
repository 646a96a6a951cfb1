package push

import (
	"net/http"
	"testing"
	"time"
)

func TestT38_Classification(t *testing.T) {
	for status, want := range map[int]verdict{
		200: delivered, 202: delivered, 204: delivered,
		429: transient, 502: transient, 503: transient, 504: transient,
		408: doubtful, 500: doubtful, 501: doubtful, 507: doubtful,
		400: permanent, 401: permanent, 403: permanent, 404: permanent, 405: permanent,
		409: permanent, 413: permanent, 415: permanent, 422: permanent,
		301: permanent, 302: permanent, 303: permanent, 304: permanent, 307: permanent, 308: permanent,
	} {
		if got := classify(status); got != want {
			t.Errorf("%d: %d, want %d", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-3": 0, "soon": 0, "1.5": 0,
		"601": 10 * time.Minute, "99999999999": 10 * time.Minute, "99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Minute).Format(http.TimeFormat):     0,
		now.Add(time.Hour).Format(http.TimeFormat):        10 * time.Minute,
	} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("-9223372036854775808")
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, time.Unix(1e9, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", header, d)
		}
	})
}

// Full jitter: anywhere below a limit that doubles from 1 s to 60 s.
func TestBackoffIsBoundedAndSpread(t *testing.T) {
	for n, limit := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 8: time.Minute, 1 << 30: time.Minute,
	} {
		var low, high bool
		for range 2000 {
			d := backoff(n)
			if d <= 0 || d > limit+time.Millisecond {
				t.Fatalf("attempt %d: %v, limit %v", n, d, limit)
			}
			low, high = low || d < limit/4, high || d > limit*3/4
		}
		if !low || !high {
			t.Errorf("attempt %d: not spread over 0 to %v", n, limit)
		}
	}
}
