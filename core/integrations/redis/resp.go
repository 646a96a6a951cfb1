package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"vitals/core"
)

// Limits of what is read from a server, whatever it claims to send.
const (
	maxLine  = 4 << 10 // a simple string, an error, a length
	maxBulk  = 4 << 20 // INFO of a server with every command used is some 100 KiB
	maxItems = 1 << 16 // of all arrays of one reply together
	maxDepth = 8
)

// serverError is a reply that begins with "-": the connection is fine, the
// command was refused.
type serverError string

func (e serverError) Error() string {
	return "the server answers: " + core.Clean(string(e), core.MaxRoute)
}

// errProtocol says that what answers is no Redis, or a broken one.
var errProtocol = errors.New("this is not the Redis protocol")

// errTooLarge ends a connection: what follows cannot be told apart any more.
var errTooLarge = fmt.Errorf("%w: the answer is larger than any that INFO gives", errProtocol)

// conn is one connection that speaks RESP2. It is not safe for concurrent use.
type conn struct {
	net.Conn
	r   *bufio.Reader
	out []byte
	in  []byte // the newest bulk string
}

func newConn(c net.Conn) *conn {
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10)}
}

// send writes a command. The caller has set the deadline.
func (c *conn) send(args ...string) error {
	b := append(c.out[:0], '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	b = append(b, '\r', '\n')
	for _, a := range args {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, '\r', '\n')
		b = append(b, a...)
		b = append(b, '\r', '\n')
	}
	c.out = b
	_, err := c.Write(b)
	return err
}

// text sends a command and returns its answer, which must be a string. The
// result is valid until the next call.
func (c *conn) text(args ...string) ([]byte, error) {
	if err := c.send(args...); err != nil {
		return nil, err
	}
	v, err := readReply(c.r, c.in[:0])
	if err != nil {
		return nil, err
	}
	if v.kind != '$' && v.kind != '+' {
		return nil, fmt.Errorf("%w: %q is no answer to %s", errProtocol, v.kind, args[0])
	}
	c.in = v.text
	return v.text, nil
}

// number sends a command and returns its answer, which must be an integer.
func (c *conn) number(args ...string) (int64, error) {
	if err := c.send(args...); err != nil {
		return 0, err
	}
	v, err := readReply(c.r, nil)
	if err != nil {
		return 0, err
	}
	if v.kind != ':' {
		return 0, fmt.Errorf("%w: %q is no answer to %s", errProtocol, v.kind, args[0])
	}
	return v.number, nil
}

// array sends a command and returns its answer, which must be an array.
func (c *conn) array(args ...string) ([]reply, error) {
	if err := c.send(args...); err != nil {
		return nil, err
	}
	v, err := readReply(c.r, nil)
	if err != nil {
		return nil, err
	}
	if v.kind != '*' {
		return nil, fmt.Errorf("%w: %q is no answer to %s", errProtocol, v.kind, args[0])
	}
	return v.items, nil
}

// reply is one value of RESP2: kind is its first byte.
type reply struct {
	kind   byte // '+', ':', '$' or '*'
	null   bool
	number int64
	text   []byte
	items  []reply
}

// readReply reads one value; a bulk string at the top is read into buf. An
// error reply is returned as a serverError and leaves the connection usable.
func readReply(r *bufio.Reader, buf []byte) (reply, error) {
	budget := maxItems
	return readValue(r, buf, &budget, 0)
}

func readValue(r *bufio.Reader, buf []byte, budget *int, depth int) (reply, error) {
	if *budget--; *budget < 0 || depth > maxDepth {
		return reply{}, errTooLarge
	}
	line, err := readLine(r)
	if err != nil {
		return reply{}, err
	}
	v := reply{kind: line[0]}
	switch line[0] {
	case '-':
		if depth == 0 {
			return reply{}, serverError(line[1:])
		}
		v.text = append([]byte(nil), line...)
		return v, nil
	case '+':
		v.text = append(buf, line[1:]...)
		return v, nil
	case ':', '$', '*':
		if v.number, err = strconv.ParseInt(string(line[1:]), 10, 64); err != nil {
			return reply{}, fmt.Errorf("%w: a number that is none: %q", errProtocol, core.Clean(string(line), 32))
		}
	default:
		return reply{}, fmt.Errorf("%w: %q", errProtocol, core.Clean(string(line), 32))
	}
	switch {
	case line[0] == '$':
		return readBulk(r, buf, v)
	case line[0] == '*':
		return readArray(r, v, budget, depth)
	}
	return v, nil
}

func readBulk(r *bufio.Reader, buf []byte, v reply) (reply, error) {
	if v.number < 0 {
		v.null = true
		return v, nil
	}
	if v.number > maxBulk {
		return reply{}, errTooLarge
	}
	// Grown as it arrives: a length is a claim, not memory.
	for want := int(v.number) + 2; len(buf) < want; {
		at := len(buf)
		step := min(want-at, 64<<10)
		if cap(buf)-at < step {
			buf = append(buf, make([]byte, step)...)
		} else {
			buf = buf[:at+step]
		}
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return reply{}, unexpected(err)
		}
	}
	if end := buf[v.number:]; end[0] != '\r' || end[1] != '\n' {
		return reply{}, fmt.Errorf("%w: a string that does not end where it says", errProtocol)
	}
	v.text = buf[:v.number]
	return v, nil
}

func readArray(r *bufio.Reader, v reply, budget *int, depth int) (reply, error) {
	if v.number < 0 {
		v.null = true
		return v, nil
	}
	if v.number > int64(*budget) {
		return reply{}, errTooLarge
	}
	for range v.number {
		item, err := readValue(r, nil, budget, depth+1)
		if err != nil {
			return reply{}, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

// readLine reads up to CRLF; the line is never empty and valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine:
		return nil, errTooLarge
	case err != nil:
		return nil, unexpected(err)
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%w: %q", errProtocol, core.Clean(string(line), 32))
	}
	return line[:len(line)-2], nil
}

// unexpected makes the end of a stream inside a reply an error that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server closed the connection")
	}
	return err
}
