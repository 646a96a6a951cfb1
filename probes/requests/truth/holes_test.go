package truth

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitals/core"
	"vitals/probes/kern"
)

// still keeps the reader from reading for a while: it waits for whoever holds
// what it wants to add to.
func (l *lab) still(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	time.Sleep(d)
}

// lostOf gives how many requests are known to be lost, which all figures must agree on.
func (l *lab) lostOf() uint64 {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if told := l.lost["ring/requests"] + l.lost["wire/requests"]; told != l.cover.Lost {
		l.t.Errorf("%v lost, the process lost %d", l.lost, l.cover.Lost)
	}
	return l.cover.Lost
}

// agree compares what is counted and lost with what the server has answered.
func (l *lab) agree(asked uint64) {
	l.t.Helper()
	counted, lost := l.count(func(row) bool { return true }), l.lostOf()
	l.t.Logf("asked %d, counted %d, lost %d; %d gaps, %v", asked, counted, lost, l.cover.Gaps, l.lost)
	if counted+lost != asked || counted == 0 || lost == 0 || l.cover.Exchanges != asked || l.cover.Unpaired > 0 {
		l.t.Errorf("counted %d + lost %d, asked %d; coverage %+v", counted, lost, asked, l.cover)
	}
	if wrong := l.count(func(r row) bool { return r.err != "" || r.role != core.RoleServer }); wrong > 0 {
		l.t.Errorf("%d requests ended in a way that nobody saw", wrong)
	}
	l.report()
}

func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Where transfers were lost, streams are counted by their numbers: what is missing
// of the beginning of a connection, in its middle and at its end.
func TestHTTP2CountedPlusLostIsTheTruth(t *testing.T) {
	for _, floor := range []bool{false, true} {
		path := map[bool]string{false: "/page", true: "/shop.Items/Get"}[floor]
		t.Run(fmt.Sprintf("%s floor %v", path[1:], floor), func(t *testing.T) {
			s, ask := startHTTP2(t)
			l := watchWith(t, kern.Env{RequestsRing: os.Getpagesize(), Floor: floor}, s.key)
			url := "http://" + s.addr() + path
			run(t, exec.Command("h2load", "-c", "1", "-n", "10", url)) // what is spoken here is known from then on
			l.settle()
			run(t, exec.Command("h2load", "-c", "8", "-m", "1", "-n", "6000", url))
			l.settle()
			l.stop()
			l.agree(sum(ask()))
		})
	}
}

// The same of connections with many streams at a time, while the reader stands
// still now and then. One that says something afterwards tells all that was missed.
func TestParallelStreamsCountedPlusLostIsTheTruth(t *testing.T) {
	const clients, parallel, rounds = 4, 8, 250
	s, ask := startHTTP2(t)
	l := watch(t, 16*os.Getpagesize(), s.key)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	var conns []*http.Client
	get := func(c *http.Client) {
		resp, err := c.Get("http://" + s.addr() + "/page")
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	for range clients {
		tr := &http.Transport{Protocols: protocols}
		defer tr.CloseIdleConnections()
		conns = append(conns, &http.Client{Transport: tr})
		get(conns[len(conns)-1])
	}
	l.settle()
	var wg sync.WaitGroup
	var enough atomic.Bool
	for _, c := range conns {
		for range parallel {
			wg.Go(func() {
				for range rounds {
					get(c)
				}
				for !enough.Load() && !t.Failed() {
					get(c)
				}
			})
		}
	}
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		l.still(200 * time.Millisecond)
	}
	wait(func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.lost["ring/transfers"] > 0
	})
	enough.Store(true)
	wg.Wait()
	l.settle()
	for _, c := range conns {
		get(c)
	}
	l.settle()
	l.stop()
	l.agree(sum(ask()))
}

// A question that did not fit into the ring is lost, once, and an answer that did
// not is no timeout.
func TestDNSCountedPlusLostIsTheTruth(t *testing.T) {
	for _, floor := range []bool{false, true} {
		t.Run(fmt.Sprintf("floor %v", floor), func(t *testing.T) { dnsUnderOverload(t, floor) })
	}
}

func dnsUnderOverload(t *testing.T, floor bool) {
	s, log := startDNS(t)
	l := watchWith(t, kern.Env{RequestsRing: os.Getpagesize(), Floor: floor}, s.key)
	const clients, rounds = 4, 1000
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { question(t, s.addr(), i, rounds) })
	}
	wg.Wait()
	l.settle()
	question(t, s.addr(), clients, 1) // it tells what was missing before it
	l.settle()
	l.stop()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	l.agree(uint64(strings.Count(string(text), "query[A]")))
	if wrong := l.count(func(r row) bool { return r.protocol != "dns" || r.method != "A" }); wrong > 0 {
		t.Errorf("%d look-ups that nobody made", wrong)
	}
}

// question asks n times for a name and waits for the answers.
func question(t *testing.T, addr string, client, n int) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	buf := make([]byte, 512)
	for i := range n {
		ask := append([]byte{byte(client<<5 | i>>8), byte(i)}, "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x04here\x07example\x00\x00\x01\x00\x01"...)
		if _, err := c.Write(ask); err != nil {
			t.Error(err)
			return
		}
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(buf); err != nil {
			t.Error(err)
			return
		}
	}
}
