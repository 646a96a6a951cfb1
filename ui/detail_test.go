package ui

import (
	"testing"

	"vitals/core"
)

// Enter on a route shows all its outcomes beside each other; enter there opens
// the service, esc goes back.
func TestRoutePage(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("4")
	d.keys(filterBy("orders")...)
	d.keys("enter")
	d.sees("id, total FROM orders WHERE customer_id = ? FOR UPDATE", "106k in all, <0.1% failed", "40P01", "ok", "db:5432",
		"To the last byte", "To the first byte", "100% of the time is waiting for it")
	d.keys("y")
	d.sees("copied the query")
	d.keys("enter")
	d.sees("[Summary]", "checkout-api")
	d.keys("esc", "esc")
	d.sees("All routes, statements and commands")
}

// Of what others on this machine ask, their own figures are shown; of those
// whose requests are not seen, all that they ask of the service.
func TestRoutePageSaysWhoAsks(t *testing.T) {
	s := sample()
	for _, q := range s.Requests {
		if q.Service == "web-frontend" && q.Role == core.RoleClient {
			q.Method, q.Route, q.Peer, q.Rate, q.Count = "POST", "/checkout", "checkout-api", 87, 1234
		}
	}
	s.Edges = append(s.Edges, &core.EdgeRow{From: "cron", To: "checkout-api", Protocol: "http", Rate: 3, Count: 9})
	// One that asks other things of it is none of them.
	s.Edges = append(s.Edges, &core.EdgeRow{From: "nginx", To: "checkout-api", Protocol: "http", Rate: 5, Count: 9})
	d := drive(t, s, 120, 36)
	d.keys("4")
	d.keys(filterBy("method:POST service:check")...)
	d.keys("enter")
	d.hides("nginx")
	d.sees("Who asks", "web-frontend", "87/s", "cron", "any route")
	d.keys("tab")
	d.sees("until the first byte of the answer 2.1s (100%), then 1.0ms", "503 after 2.1s, 55 times the usual 38ms")
}

// A stream is marked, wherever routes are shown, and has no latency.
func TestStreamsHaveNoLatency(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("4")
	d.keys(filterBy("/live")...)
	d.sees("websock", "stream stream stream")
	d.keys("enter")
	d.sees("a stream: it is counted when it ends and has no latency", "NORMAL")
	d.hides("p50", "40s")
}

// The page of a process tells how much of it is seen, and why not the rest.
func TestProcessPageIsComplete(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "down", "down", "down", "down", "enter")
	d.sees("98.5% of 790k exchanges understood, 11.7k encr", "OpenTelemetry Go SDK is inside already", "on + SDK")
	d.keys("h", "h")
	d.sees("[Seen]", "778k of 790k exchanges, 98.5%", "Go program without symbols: crypto/tls not found", "of 240 connections 17 were open",
		"12 answers without a request", "2 times records of a connection were missing")
	d.keys("h")
	d.sees("[Connections]", "Its service checkout-api is called by", "web-frontend")
	d.keys("down", "down", "down", "down", "enter")
	d.sees("[Summary]", "web-frontend")
}

// Its slow requests stay on the page of a process when the stream has moved on:
// its service keeps them.
func TestSlowRequestsOfAProcess(t *testing.T) {
	s := sample()
	s.Exemplars = s.Exemplars[1:]
	d := drive(t, s, 120, 36)
	d.keys("2", "down", "down", "down", "down", "enter", "l", "l")
	d.sees("[Slow]", "timeout", "/checkout", "503")
	d.hides("/users/{id}")
}

// What was decided is said in the words of vitals why, with what would change it.
func TestProcessPageExplains(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "down", "down", "down", "down", "enter", "h")
	d.sees("decided    on by default", "instrumentation/requests is running", "to change  switch it off for the process", "What was found", "listens on tcp [::]:8080")
	d.keys("down", "down", "space")
	d.sees("Lifecycle watches the whole machine")
	if got := d.f.intents(); len(got) != 0 {
		t.Errorf("%v was sent", got)
	}
	d = drive(t, sample(), 120, 36)
	d.keys(":")
	d.typed("pid 2")
	d.keys("enter", "h")
	d.sees("never instrumented: kernel thread", "to change that: nothing: it has no life of its own")
}

// Where an integration asks the same server, its words stand beside, and I opens it.
func TestInsideAndOutsideBesideEachOther(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys(":")
	d.typed("pid 712")
	d.keys("enter")
	d.sees("Redis: clients 17, commands 912/s")
	d.keys("I")
	d.sees("What it says of itself", "Redis 127.0.0.1:6379")
	d.keys("esc", "esc", ":")
	d.typed("pid 988")
	d.keys("enter", "I")
	d.sees("no integration asks this one")
}

// Going to and fro between a server's two pages does not pile them up.
func TestThereAndBackAgainIsOneWay(t *testing.T) {
	d := drive(t, sample(), 120, 36)
	d.keys("2", "tab", "/")
	d.typed("redis")
	d.keys("enter", "enter", "I", "enter", "I", "enter")
	if n := len(d.a.detail); n != 1 {
		t.Errorf("%d pages are piled up", n)
	}
	d.keys("I")
	d.sees("› … › Redis 127.0.0.1:6379", "8 Metrics")
}
