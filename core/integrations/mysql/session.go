package mysql

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os/user"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"vitals/core"
	"vitals/core/integrations/kit"
)

const (
	maxGreeting = 4 << 10
	// What follows the version: connection, two parts of a challenge, capabilities.
	restOfGreeting = 44
	maxRound       = 16 << 20 // bytes of all answers of one round
	maxRows        = 5000     // of one answer
)

var errGreeting = errors.New("this is no greeting of MySQL's protocol")

// session is one connection, logged in, that reads only. It is not safe for
// concurrent use, except for Close.
type session struct {
	conn             driver.Conn
	raw              *bounded
	busy             atomic.Bool
	version, comment string
	mariadb          bool
}

// bounded is a connection that takes in so many bytes and no more until allow.
type bounded struct {
	net.Conn
	prefix []byte // read before, and to be read again
	left   atomic.Int64
}

func (b *bounded) allow() { b.left.Store(maxRound) }

// Read gives what was put back, then what arrives.
func (b *bounded) Read(p []byte) (int, error) {
	if len(b.prefix) > 0 {
		n := copy(p, b.prefix)
		b.prefix = b.prefix[n:]
		return n, nil
	}
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, errors.New("the server's answers are larger than 16 MiB")
	}
	return n, err
}

// row is a row of a result, by column.
type row struct {
	columns []string
	values  []driver.Value
}

// text returns a column's value, "" for NULL and for what is not there.
func (r row) text(column string) string {
	for i, c := range r.columns {
		if strings.EqualFold(c, column) {
			return asText(r.values[i])
		}
	}
	return ""
}

func asText(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// guard makes an error of the driver's panics: it trusts lengths that a server
// sends.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("an answer that breaks MySQL's protocol: %s", core.Clean(fmt.Sprint(p), core.MaxName))
	}
}

// query runs one statement and calls f for each row.
func (s *session) query(sql string, f func(row)) (err error) {
	defer guard(&err)
	s.busy.Store(true)
	defer s.busy.Store(false)
	s.raw.allow()
	// The line ends it by closing the connection, not by its context.
	rows, err := s.conn.(driver.QueryerContext).QueryContext(context.Background(), sql, nil)
	if err != nil {
		return err
	}
	r := row{columns: rows.Columns(), values: make([]driver.Value, len(rows.Columns()))}
	for n := 0; ; n++ {
		err := rows.Next(r.values)
		if errors.Is(err, io.EOF) {
			return rows.Close()
		}
		if err == nil && n >= maxRows {
			err = fmt.Errorf("more than %d rows", maxRows)
		}
		if err != nil {
			return err
		}
		f(r)
	}
}

// Close says good-bye when nothing is under way, and hangs up.
func (s *session) Close() error {
	if s.busy.CompareAndSwap(false, true) {
		_ = s.raw.SetDeadline(time.Now().Add(100 * time.Millisecond))
		return s.conn.Close()
	}
	return s.raw.Close()
}

// connect dials, logs in, and makes the session harmless.
func (c *collector) connect(ctx context.Context) (*session, error) {
	s := &session{}
	config := driverpkg.NewConfig()
	config.Net, config.Addr, config.AllowNativePasswords, config.Collation = "tcp", "server", true, "utf8mb4_general_ci"
	config.Logger = silence{}
	password, err := c.settings.Password.Read(ctx)
	if err != nil {
		return nil, err
	}
	config.Passwd = password
	if c.settings.TLS.Enabled {
		e, err := kit.ParseEndpoint(c.settings.Address, port)
		if err != nil {
			return nil, err
		}
		if config.TLS, err = c.settings.TLS.Config(ctx, e.Address); err != nil {
			return nil, err
		}
	}
	// Who is to log in may follow from who greets.
	before := driverpkg.BeforeConnect(func(ctx context.Context, config *driverpkg.Config) (err error) {
		config.User, s.raw, err = c.greet(ctx)
		return err
	})
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return s.raw, nil }
	if err := config.Apply(before); err != nil {
		return nil, err
	}
	connector, err := driverpkg.NewConnector(config)
	if err != nil {
		return nil, err
	}
	if s.conn, err = login(ctx, connector); err != nil {
		if s.raw != nil {
			s.raw.Close()
		}
		return nil, judged(err)
	}
	defer context.AfterFunc(ctx, func() { s.raw.Close() })()
	if err := s.settle(); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up the session: %w", err)
	}
	clear(c.refused)
	return s, nil
}

func login(ctx context.Context, c driver.Connector) (conn driver.Conn, err error) {
	defer guard(&err)
	return c.Connect(ctx)
}

// silence keeps the driver from printing what it also returns.
type silence struct{}

func (silence) Print(...any) {}

// greet dials, and says who is to log in. Without any sign of who that may be
// nobody does: the server would log a failed login.
func (c *collector) greet(ctx context.Context) (name string, b *bounded, err error) {
	e, err := kit.ParseEndpoint(c.settings.Address, port)
	if err != nil {
		return "", nil, err
	}
	if !c.settings.Ambient && c.settings.User == "" && c.settings.Password.Empty() {
		if e.Network == "unix" {
			return "", nil, fmt.Errorf("%w to log in as the server's own user; or give user and password", kit.ErrConsent)
		}
		return "", nil, fmt.Errorf("%w: give user and password", kit.ErrCredentials)
	}
	if c.settings.Ambient && c.settings.User == "" {
		return c.greetOwner(ctx, e)
	}
	name = c.settings.User
	var raw net.Conn
	if c.settings.Ambient {
		raw, err = c.dialAs(ctx, e, name)
	} else {
		raw, err = c.env.Dial(ctx, e.Network, e.Address)
	}
	if name == "" {
		name = "vitals"
	}
	if err != nil {
		return "", nil, err
	}
	b, _, err = greeted(ctx, raw)
	return name, b, err
}

// greeted reads the greeting, which stays to be read again: the driver trusts
// what it says. After an error the connection is closed.
func greeted(ctx context.Context, raw net.Conn) (b *bounded, version string, err error) {
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	b = &bounded{Conn: raw}
	b.allow()
	if b.prefix, version, err = readGreeting(b); err != nil {
		raw.Close()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, "", err
	}
	return b, version, nil
}

// greetOwner connects as the owner of the socket, whom MariaDB lets in. MySQL
// lets root in.
func (c *collector) greetOwner(ctx context.Context, e kit.Endpoint) (string, *bounded, error) {
	uid, gid, err := c.env.Owner(e.Address)
	if err != nil {
		return "", nil, err
	}
	name := "mysql"
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		name = u.Username
	}
	raw, err := c.env.DialAs(ctx, uid, gid, e.Network, e.Address)
	if err != nil {
		return "", nil, err
	}
	b, version, err := greeted(ctx, raw)
	if err != nil || strings.Contains(version, "MariaDB") || name == "root" {
		return name, b, err
	}
	raw.Close()
	if raw, err = c.dialAs(ctx, e, "root"); err != nil {
		return "", nil, err
	}
	b, _, err = greeted(ctx, raw)
	return "root", b, err
}

// dialAs connects as a user of this machine.
func (c *collector) dialAs(ctx context.Context, e kit.Endpoint, name string) (net.Conn, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("ambient: this machine knows no user %q", core.Clean(name, 64))
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return c.env.DialAs(ctx, uint32(uid), uint32(gid), e.Network, e.Address)
}

// readGreeting reads the first packet of a server and what version it names.
func readGreeting(r io.Reader) (packet []byte, version string, err error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, "", err
	}
	size := int(binary.LittleEndian.Uint32(header) & 0xffffff)
	if size < 10 || size > maxGreeting || header[3] != 0 {
		return nil, "", errGreeting
	}
	packet = append(header, make([]byte, size)...)
	if _, err := io.ReadFull(r, packet[4:]); err != nil {
		return nil, "", err
	}
	if packet[4] == 0xff { // an error instead: too many connections, host blocked
		said := packet[7:]
		return nil, "", fmt.Errorf("the server answers: %s", core.Clean(string(said), core.MaxRoute))
	}
	text, rest, ok := bytes.Cut(packet[5:], []byte{0})
	if packet[4] != 10 || !ok || len(rest) < restOfGreeting || len(text) == 0 || len(text) > core.MaxName {
		return nil, "", errGreeting
	}
	return packet, strings.TrimPrefix(string(text), "5.5.5-"), nil // what MariaDB says to old replicas
}

// settle learns what the server is and takes from the session what it does not need.
func (s *session) settle() error {
	err := s.query("SELECT @@version AS version, @@version_comment AS comment", func(r row) {
		s.version, s.comment = r.text("version"), r.text("comment")
	})
	if err != nil {
		return err
	}
	s.mariadb = strings.Contains(s.version, "MariaDB")
	limit := "max_execution_time = 2000"
	if s.mariadb {
		limit = "max_statement_time = 2"
	}
	for _, sql := range []string{"SET SESSION TRANSACTION READ ONLY", "SET SESSION lock_wait_timeout = 1, " + limit} {
		if err := s.query(sql, func(row) {}); err != nil {
			return err
		}
	}
	return nil
}

// isRefusal reports whether the server answered and goes on.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*driverpkg.MySQLError](err)
	return ok
}

// judged says what a refusal means.
func judged(err error) error {
	e, ok := errors.AsType[*driverpkg.MySQLError](err)
	if !ok {
		return err
	}
	said := fmt.Errorf("the server answers: %s (%d)", core.Clean(e.Message, core.MaxRoute), e.Number)
	switch e.Number {
	case 1045, 1698, 1524, 1862, 4151: // access denied, unknown plugin, expired or locked
		return fmt.Errorf("%w: %w", kit.ErrCredentials, said)
	case 1044, 1142, 1143, 1227:
		return fmt.Errorf("%w: %w", kit.ErrRights, said)
	}
	return said
}

// number reads what the server means by a value: NaN when it is no number.
func number(value string) float64 {
	switch strings.ToLower(value) {
	case "yes", "on", "primary", "connected", "true":
		return 1
	case "no", "off", "connecting", "non-primary", "disconnected", "false", "disabled":
		return 0
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
