package truth

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"vitals/core"
)

// talker speaks just enough of a protocol to ask one thing over and over.
type talker struct {
	name   string
	start  func(testing.TB) *server
	login  func(net.Conn, *bufio.Reader) error
	ask    string
	answer func(*bufio.Reader) error
}

func talkers() []talker {
	line := func(r *bufio.Reader) error { _, err := r.ReadString('\n'); return err }
	return []talker{
		{"redis", startRedis, nil, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", line},
		{"memcached", startMemcached, nil, "get key\r\n", line},
		{"postgresql", startPostgres, loginPostgres, "Q\x00\x00\x00\x0dSELECT 1\x00", untilReady},
		{"mysql", startMariaDB, loginMariaDB, "\x05\x00\x00\x00\x03DO 1", packet},
	}
}

func loginPostgres(c net.Conn, r *bufio.Reader) error {
	body := "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)); err != nil {
		return err
	}
	return untilReady(r)
}

// untilReady reads messages up to ReadyForQuery.
func untilReady(r *bufio.Reader) error {
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		if _, err := r.Discard(int(binary.BigEndian.Uint32(head[1:])) - 4); err != nil {
			return err
		}
		if head[0] == 'Z' {
			return nil
		}
	}
}

// packet reads one packet of MariaDB.
func packet(r *bufio.Reader) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	_, err := r.Discard(int(head[0]) | int(head[1])<<8 | int(head[2])<<16)
	return err
}

func loginMariaDB(c net.Conn, r *bufio.Reader) error {
	if err := packet(r); err != nil {
		return err
	}
	// CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH; no password.
	body := "\x00\x82\x08\x00\x00\x00\x00\x01\x21" + strings.Repeat("\x00", 23) + "root\x00\x00mysql_native_password\x00"
	if _, err := fmt.Fprintf(c, "%c\x00\x00\x01%s", len(body), body); err != nil {
		return err
	}
	return packet(r)
}

// Under overload every exchange is counted or counted as lost, and what comes
// after a hole is read as what it is.
func TestCountedPlusLostIsTheTruth(t *testing.T) {
	const clients, rounds = 4, 3000
	for _, k := range talkers() {
		t.Run(k.name, func(t *testing.T) {
			s := k.start(t)
			conns, readers := make([]net.Conn, clients), make([]*bufio.Reader, clients)
			for i := range conns {
				c, err := net.Dial("tcp", s.addr())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				conns[i], readers[i] = c, bufio.NewReader(c)
				if k.login != nil {
					if err := k.login(c, readers[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			who := append([]core.ProcKey{s.key}, children(t, s.key.PID)...)
			l := watch(t, os.Getpagesize(), who...)
			var wg sync.WaitGroup
			for i, c := range conns {
				wg.Go(func() {
					for range rounds {
						if _, err := io.WriteString(c, k.ask); err != nil {
							t.Error(err)
							return
						}
						if err := k.answer(readers[i]); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			l.settle()
			l.stop()
			counted := l.count(func(r row) bool { return r.protocol == k.name && !r.failed })
			lost := l.lost["ring/requests"]
			t.Logf("counted %d, lost %d, gaps %d", counted, lost, l.cover.Gaps)
			if counted+lost != clients*rounds || lost == 0 || counted == 0 {
				t.Errorf("counted %d + lost %d, asked %d", counted, lost, clients*rounds)
			}
			if l.cover.Lost != lost || l.cover.Exchanges != clients*rounds || l.cover.Unknown > 0 {
				t.Errorf("coverage %+v", l.cover)
			}
			l.report()
		})
	}
}

// children are the processes that a server has for its connections.
func children(t testing.TB, pid int32) (keys []core.ProcKey) {
	t.Helper()
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, word := range strings.Fields(string(text)) {
		var child int
		fmt.Sscan(word, &child)
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", child)); err == nil {
			keys = append(keys, keyOf(t, child))
		}
	}
	return keys
}
