package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vitals/core"
)

// Errors that refusals wrap.
var (
	// ErrMetricsTimestampPresent is wrapped when pushed metrics have timestamps.
	ErrMetricsTimestampPresent = errors.New("pushed metrics must not have timestamps")
	// ErrTooLarge is wrapped when a push exceeds a limit.
	ErrTooLarge = errors.New("over the limit")
)

// refusal is an error with its answer.
type refusal struct {
	status int
	err    error
	// fails says that the group is known and its push failed, which is what
	// push_failure_time_seconds tells of. Malformed pushes do not touch it.
	fails bool
	retry time.Duration // of Retry-After
	allow string        // of Allow
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func malformed(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, err: fmt.Errorf(format, args...)}
}

func inconsistent(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, fails: true, err: fmt.Errorf(format, args...)}
}

// exceeded refuses what was read and has more of something than is allowed.
func exceeded(what string, have, limit int) error {
	return &refusal{status: http.StatusUnprocessableEntity, fails: true, err: fmt.Errorf("%d %s, at most %d are taken: %w", have, what, limit, ErrTooLarge)}
}

// tooLarge refuses a body. Have is -1 when only so much is known that it is over.
func tooLarge(what string, have, limit int64) error {
	size := "more than " + strconv.FormatInt(limit, 10)
	if have >= 0 {
		size = strconv.FormatInt(have, 10)
	}
	return &refusal{status: http.StatusRequestEntityTooLarge, err: fmt.Errorf("the body has %s bytes%s, at most %d are taken: %w", size, what, limit, ErrTooLarge)}
}

func unavailable(format string, args ...any) error {
	return &refusal{status: http.StatusServiceUnavailable, retry: time.Second, err: fmt.Errorf(format, args...)}
}

// answer writes err as text or, when asked for, as problem+json.
func answer(w http.ResponseWriter, r *http.Request, err error) {
	var ref *refusal
	if !errors.As(err, &ref) {
		ref = &refusal{status: http.StatusInternalServerError, err: err}
	}
	h := w.Header()
	if ref.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(1, ref.retry/time.Second))))
	}
	if ref.allow != "" {
		h.Set("Allow", ref.allow)
	}
	text := core.Clean(err.Error(), 2048)
	if !strings.Contains(r.Header.Get("Accept"), "application/problem+json") {
		http.Error(w, text, ref.status)
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(ref.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(ref.status), "status": ref.status, "detail": text})
}
