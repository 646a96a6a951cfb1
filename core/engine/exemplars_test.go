package engine

import (
	"fmt"
	"testing"
	"time"

	"vitals/core"
)

func TestExemplarsAreTheSlowestAndTheFailed(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	for i := range 100 {
		b.Requests([]core.Request{b.request(7, "/", 200, time.Duration(1+i%5)*time.Millisecond)})
	}
	b.wait(2 * time.Second)
	b.Requests([]core.Request{b.request(7, "/slow", 200, 300*time.Millisecond), b.request(7, "/broken", 503, time.Millisecond)})
	s := b.wait(time.Second)
	list := serviceOf(t, s, "web").Exemplars
	if len(list) != core.MaxServiceExemplars/2+1 || list[0].Route != "/slow" || list[0].Duration != 300*time.Millisecond || list[len(list)-1].Route != "/broken" {
		t.Fatalf("%d exemplars, first %+v", len(list), list[0])
	}
	if list[0].Typical < 2*time.Millisecond || list[0].Typical > 4*time.Millisecond {
		t.Errorf("typical %v", list[0].Typical)
	}
	n := len(s.Exemplars)
	last := s.Exemplars[n-1]
	if last.Route != "/broken" || !last.Failed || s.Exemplars[n-2].Route != "/slow" {
		t.Errorf("the stream ends with %+v", last)
	}
	for i, x := range s.Exemplars[1:] {
		if x.At.Before(s.Exemplars[i].At) {
			t.Error("the stream is not in order")
		}
	}
	// A minute later they are no news, the failed one is still there.
	s = b.wait(3 * time.Minute)
	if list := serviceOf(t, s, "web").Exemplars; len(list) != 1 || list[0].Route != "/broken" {
		t.Errorf("%d exemplars are left", len(list))
	}
}

// A storm of errors in one service does not fill the stream, and costs little.
func TestExemplarsAreBounded(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "storm"))
	b.ProcessUp(proc(8, "calm"))
	b.Requests([]core.Request{b.request(8, "/one", 500, time.Millisecond)})
	for range 1000 {
		b.Requests([]core.Request{b.request(7, "/", 500, time.Millisecond)})
		b.drain()
	}
	s := b.wait(time.Second)
	storm := 0
	for _, x := range s.Exemplars {
		if x.Service == "storm" {
			storm++
		}
	}
	if storm != streamedFailed || len(s.Exemplars) != streamedFailed+1 || s.Exemplars[len(s.Exemplars)-1].Seq < streamedFailed {
		t.Errorf("%d of %d are of the storm", storm, len(s.Exemplars))
	}
	if n := len(serviceOf(t, s, "storm").Exemplars); n > core.MaxServiceExemplars {
		t.Errorf("%d exemplars", n)
	}
}

func TestExemplarsFindTheirService(t *testing.T) {
	b := newBench(t)
	b.Requests([]core.Request{b.request(7, "/early", 500, time.Millisecond)})
	b.look()
	b.ProcessUp(proc(7, "web"))
	s := b.wait(time.Second)
	if len(s.Exemplars) != 1 || s.Exemplars[0].Service != "web" || len(serviceOf(t, s, "web").Exemplars) != 1 {
		t.Errorf("%+v", s.Exemplars)
	}
}

// Streams are counted; how long they are open is no latency. What nobody could
// read makes rows and edges, and is in nobody's rate.
func TestStreamsAndUnreadExchanges(t *testing.T) {
	b := newBench(t)
	b.ProcessUp(proc(7, "web"))
	open := b.request(7, "/events", 200, 30*time.Second)
	open.Stream = true
	unread := b.request(7, "", 0, time.Second)
	unread.Protocol, unread.Method = core.ProtoUnknown, ""
	b.Requests([]core.Request{open, b.request(7, "/", 200, time.Millisecond), unread})
	b.Coverage([]core.Coverage{{Proc: key(7), Exchanges: 3, Parsed: 2, Unknown: 1, Encrypted: 0, Why: "tls"}})
	s := b.wait(time.Second)
	web := serviceOf(t, s, "web")
	if web.Server.Count != 2 || web.Latency.Count != 1 || web.Server.Max > .01 || len(web.Exemplars) != 1 {
		t.Errorf("%+v", web.Server)
	}
	if web.Coverage.Unknown != 1 || web.Coverage.Why != "tls" || s.Self.Coverage.Parsed != 2 {
		t.Errorf("%+v", web.Coverage)
	}
	found := map[string]uint64{}
	for _, r := range s.Requests {
		found[r.Protocol] += r.Count
		if r.Stream && r.Duration != nil {
			t.Error("a stream with a latency")
		}
	}
	if found["http"] != 2 || found["unknown"] != 1 {
		t.Errorf("%v", found)
	}
}

// Errors that a server makes up do not grow the table.
func TestCodesAreCapped(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.SeriesPerProcess = 50 })
	b.ProcessUp(proc(7, "cache"))
	for i := range 500 {
		r := b.request(7, "", i, time.Millisecond)
		r.Protocol, r.Method, r.Code, r.Failed = "redis", "GET", fmt.Sprintf("ERR%d", i), true
		b.Requests([]core.Request{r})
		b.drain()
	}
	s := b.wait(time.Second)
	sum := uint64(0)
	for _, r := range s.Requests {
		sum += r.Count
	}
	if len(s.Requests) > 52 || sum != 500 || s.Self.Folded < 400 {
		t.Errorf("%d rows, %d requests, %d folded", len(s.Requests), sum, s.Self.Folded)
	}
}
