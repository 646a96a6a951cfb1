package push

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// verdict is what an answer means for what to do next.
type verdict uint8

const (
	delivered verdict = iota
	nothing           // there was nothing to push, so nothing was sent
	transient         // the same may work in a moment: back off and try the newest snapshot
	doubtful          // may work: a few tries, then as permanent
	permanent         // this payload will not be taken: wait for the next interval
	cancelled         // we stopped it ourselves
)

// doubtfulTries is how often a doubtful answer is retried within an interval.
const doubtfulTries = 3

func classify(status int) verdict {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return transient
	case http.StatusRequestTimeout:
		return doubtful
	}
	switch status / 100 {
	case 2:
		return delivered
	case 5:
		return doubtful
	}
	return permanent
}

// remedy says what to do about a status that was not a success.
func remedy(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check user and password, or the authorization settings, of the push destination"
	case http.StatusNotFound:
		return "is this the base address of a Pushgateway?"
	case http.StatusMethodNotAllowed:
		return "this server does not take pushes at that address"
	case http.StatusRequestEntityTooLarge:
		return "raise the body limit of the gateway or its proxy, or push fewer series"
	}
	if status/100 == 3 {
		return "push to the address that it redirects to; only 307 and 308 to the same host are followed"
	}
	return ""
}

// Bounds of waiting between attempts.
const (
	firstBackoff  = time.Second
	maxBackoff    = time.Minute
	maxRetryAfter = 10 * time.Minute
)

// backoff gives the wait after the n-th failure in a row, n from 1: full jitter
// below 1 s, 2 s, 4 s ... 60 s.
func backoff(n int) time.Duration {
	limit := maxBackoff
	if n < 7 {
		limit = min(maxBackoff, firstBackoff<<(n-1))
	}
	return rand.N(limit) + time.Millisecond
}

// retryAfter reads the header, in seconds or as a date; 0 when there is none or
// it cannot be read.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if s, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(0, s), int64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}
