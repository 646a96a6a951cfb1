package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"

	"vitals/core"
)

// Limits of what is read from a server.
const (
	maxLine  = 2 << 10
	maxStats = 20_000 // lines of one answer: slab classes are at most 63, with some 40 figures each
)

// errProtocol says that what answers is no memcached, or a broken one.
var errProtocol = errors.New("this is not the memcached protocol")

// errTooLarge ends a connection: what follows cannot be told apart any more.
var errTooLarge = fmt.Errorf("%w: the answer is larger than any that memcached gives", errProtocol)

// serverError is an answer that refuses the command.
type serverError string

func (e serverError) Error() string {
	return "the server answers: " + core.Clean(string(e), core.MaxRoute)
}

// conn is one connection in the text protocol. It is not safe for concurrent use.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, r: bufio.NewReaderSize(c, 8<<10)} }

// stats asks for "stats" or, with a topic, "stats topic", and calls f for each
// figure. Name and value are valid during f only.
func (c *conn) stats(topic string, f func(name, value []byte)) error {
	command := "stats\r\n"
	if topic != "" {
		command = "stats " + topic + "\r\n"
	}
	if _, err := io.WriteString(c, command); err != nil {
		return err
	}
	return readStats(c.r, f)
}

// readStats reads lines "STAT name value" up to "END".
func readStats(r *bufio.Reader, f func(name, value []byte)) error {
	for range maxStats {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		if string(line) == "END" {
			return nil
		}
		rest, ok := bytes.CutPrefix(line, []byte("STAT "))
		if !ok {
			return refusal(line)
		}
		name, value, _ := bytes.Cut(rest, []byte{' '})
		if len(name) > 0 {
			f(name, value)
		}
	}
	return errTooLarge
}

// refusal is the error that a line stands for that is no answer.
func refusal(line []byte) error {
	for _, prefix := range []string{"ERROR", "CLIENT_ERROR", "SERVER_ERROR"} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return serverError(line)
		}
	}
	return fmt.Errorf("%w: %q", errProtocol, core.Clean(string(line), 32))
}

// readLine reads up to a newline; the line is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine:
		return nil, errTooLarge
	case errors.Is(err, io.EOF):
		return nil, errors.New("the server closed the connection")
	case err != nil:
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// slabFigure takes "1:chunk_size" and "items:1:number" apart; ok is false for
// what belongs to no slab class.
func slabFigure(name []byte) (class, figure []byte, ok bool) {
	name = bytes.TrimPrefix(name, []byte("items:"))
	class, figure, ok = bytes.Cut(name, []byte{':'})
	if !ok || len(class) == 0 || len(class) > 3 {
		return nil, nil, false
	}
	for _, c := range class {
		if c < '0' || c > '9' {
			return nil, nil, false
		}
	}
	return class, figure, true
}

// number reads what a server says is a number: NaN when it is none.
func number(s []byte) float64 {
	switch string(s) {
	case "yes", "on":
		return 1
	case "no", "off":
		return 0
	}
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
