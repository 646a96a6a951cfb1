package wiretest

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vitals/core/wire"
)

// Proxy stands between real clients and a real server and keeps what they say,
// one recording for each connection, in the order in which it was said.
type Proxy struct {
	Addr string // where clients go
	mu   sync.Mutex
	all  []*Recording
	open map[net.Conn]bool // the clients that are connected
	wg   sync.WaitGroup
}

// NewProxy listens on a free port of the loopback, or, for a server on a Unix
// socket, on a socket of the same name in a folder of its own. It ends with the test.
func NewProxy(t testing.TB, network, server string) *Proxy {
	t.Helper()
	listen := "127.0.0.1:0"
	if network == "unix" {
		listen = filepath.Join(t.TempDir(), filepath.Base(server))
	}
	l, err := net.Listen(network, listen)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), open: make(map[net.Conn]bool)}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.note(client, true)
			p.wg.Go(func() {
				defer p.note(client, false)
				p.serve(client, network, server)
			})
		}
	}()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for client := range p.open { // of whoever looks at the servers of this machine
			client.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *Proxy) note(client net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[client] = true
	} else {
		delete(p.open, client)
	}
}

// Wait returns when all connections have ended, or have had much time for that:
// everything that clients which are gone have said, and what they were answered,
// has been kept.
func (p *Proxy) Wait() {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		p.mu.Lock()
		open := len(p.open)
		p.mu.Unlock()
		if open == 0 {
			return
		}
	}
}

func (p *Proxy) serve(client net.Conn, network, server string) {
	defer client.Close()
	upstream, err := net.DialTimeout(network, server, patience)
	if err != nil {
		return
	}
	defer upstream.Close()
	rec := new(Recording)
	p.mu.Lock()
	p.all = append(p.all, rec)
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.copy(rec, wire.Server, client, upstream)
		client.Close()
	}()
	p.copy(rec, wire.Client, upstream, client)
	// A client may leave with questions under way: the server answers them all the
	// same, and counts them.
	upstream.(interface{ CloseWrite() error }).CloseWrite()
	upstream.SetReadDeadline(time.Now().Add(patience / 2))
	<-done
}

// copy keeps bytes before it hands them on, so that no answer is kept before
// its question. What a server says to a client that is gone is kept as well.
func (p *Proxy) copy(rec *Recording, from wire.Side, to io.Writer, of io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := of.Read(buf)
		if n > 0 {
			p.mu.Lock()
			*rec = append(*rec, Turn{from, bytes.Clone(buf[:n])})
			p.mu.Unlock()
			if _, err := to.Write(buf[:n]); err != nil && from == wire.Client {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Recordings gives what was said on each connection until now.
func (p *Proxy) Recordings() []Recording {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Recording
	for _, r := range p.all {
		if len(*r) > 0 {
			all = append(all, append(Recording(nil), *r...))
		}
	}
	return all
}

// Exchanges parses everything that was said until now, whole.
func (p *Proxy) Exchanges(proto *wire.Protocol) (all []wire.Exchange) {
	for _, rec := range p.Recordings() {
		all = append(all, Feed(proto, rec.Spans(), false, "reset").Exchanges...)
	}
	return all
}

// Save writes what was said on each connection, as the function Save does.
func (p *Proxy) Save(t testing.TB, name string) {
	t.Helper()
	Save(t, name, p.Recordings()...)
}

// Turns parses everything that was said until now, as whole turns of which the
// beginnings were captured.
func (p *Proxy) Turns(proto *wire.Protocol, asked, answered int) (all []wire.Exchange) {
	for _, rec := range p.Recordings() {
		all = append(all, Feed(proto, rec.Exchanges(asked, answered), false, "reset").Exchanges...)
	}
	return all
}
