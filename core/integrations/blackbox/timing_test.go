package blackbox

import (
	"net/http/httptrace"
	"testing"
	"time"
)

// The transport reports from two goroutines: that it wrote a request may come
// after the answer. What a request before it took is not counted again.
func TestAnAnswerMayComeBeforeItsRequestIsReported(t *testing.T) {
	at := &timing{written: time.Now().Add(-time.Hour)}
	trace := at.trace()
	trace.GotConn(httptrace.GotConnInfo{})
	trace.GotFirstResponseByte()
	trace.WroteRequest(httptrace.WroteRequestInfo{})
	if at.process < 0 || at.process > time.Minute || at.first.IsZero() {
		t.Errorf("the server worked for %v", at.process)
	}
}
