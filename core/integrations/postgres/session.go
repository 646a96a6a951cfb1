package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/user"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// maxMessage bounds one message of the server: a row, an error, a notice.
const maxMessage = 1 << 20

// session is one connection, logged in, that reads only. It is not safe for
// concurrent use, except for Close.
type session struct {
	pg      *pgconn.PgConn
	raw     net.Conn
	busy    atomic.Bool
	version int    // server_version_num
	extern  string // schema of pg_stat_statements, "" without
}

// row is a row of a result: columns by name, as text. It is valid until the next.
type row struct {
	names  map[string]int
	values [][]byte
}

// text returns a column's value; known is false when it is NULL or not there.
func (r row) text(column string) (v string, known bool) {
	i, ok := r.names[column]
	if !ok || i >= len(r.values) || r.values[i] == nil {
		return "", false
	}
	return string(r.values[i]), true
}

// query runs one statement and calls f for each row, for at most limit rows.
func (s *session) query(sql string, limit int, f func(row) error) error {
	s.busy.Store(true)
	defer s.busy.Store(false)
	results := s.pg.Exec(context.Background(), sql) // the line ends it by closing the connection
	rows := 0
	for results.NextResult() {
		reader := results.ResultReader()
		fields := reader.FieldDescriptions()
		r := row{names: make(map[string]int, len(fields))}
		for i, d := range fields {
			r.names[d.Name] = i
		}
		for reader.NextRow() {
			if rows++; rows > limit {
				return fmt.Errorf("more than %d rows", limit)
			}
			r.values = reader.Values()
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return results.Close()
}

// Close says good-bye when nothing is under way, and hangs up.
func (s *session) Close() error {
	if s.busy.CompareAndSwap(false, true) {
		_ = s.raw.SetDeadline(time.Now().Add(100 * time.Millisecond))
		return s.pg.Close(context.Background())
	}
	return s.raw.Close()
}

// connect dials, logs in, and gives up every right that is not needed.
func (c *collector) connect(ctx context.Context) (*session, error) {
	config, err := c.config(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{}
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if s.raw != nil {
			// The library would cancel what runs on another connection; the time limit
			// of the session does it as well.
			return nil, errors.New("one connection is enough")
		}
		raw, err := c.dial(ctx)
		s.raw = raw
		return raw, err
	}
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, c.loginError(err)
	}
	s.pg = pg
	defer context.AfterFunc(ctx, func() { s.raw.Close() })()
	if err := s.settle(c.settings.Ambient); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up the session: %w", err)
	}
	clear(c.refused)
	return s, nil
}

// config is made by hand: nothing of it comes from PG* variables, services or
// password files.
func (c *collector) config(ctx context.Context) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 user=x dbname=x password=x sslmode=disable passfile=/dev/null connect_timeout=10")
	if err != nil {
		return nil, fmt.Errorf("make the configuration: %w (do PGSERVICE or PGSSL* variables name what is not there?)", err)
	}
	e, err := kit.ParseEndpoint(c.settings.Address, port)
	if err != nil {
		return nil, err
	}
	config.Fallbacks, config.Database, config.ValidateConnect = nil, c.settings.Database, nil
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.RuntimeParams = map[string]string{
		"application_name": "vitals", "default_transaction_read_only": "on", "statement_timeout": "2000", "lock_timeout": "100",
		"client_encoding": "UTF8", "datestyle": "ISO", "extra_float_digits": "1",
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxMessage)
		return f
	}
	if config.User, err = c.user(e); err != nil {
		return nil, err
	}
	if config.Password, err = c.settings.Password.Read(ctx); err != nil {
		return nil, err
	}
	config.TLSConfig = (*tls.Config)(nil)
	if c.settings.TLS.Enabled {
		config.TLSConfig, err = c.settings.TLS.Config(ctx, e.Address)
	}
	return config, err
}

// user is who logs in. Without any sign of who that may be nobody does: the
// server would log a failed login.
func (c *collector) user(e kit.Endpoint) (string, error) {
	switch {
	case c.settings.User != "":
		return c.settings.User, nil
	case c.settings.Ambient:
		uid, _, err := c.env.Owner(e.Address)
		if err != nil {
			return "", err
		}
		if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
			return u.Username, nil
		}
		return "postgres", nil
	case !c.settings.Password.Empty():
		return "vitals", nil
	case e.Network == "unix":
		return "", fmt.Errorf("%w to log in as the owner of the socket; or give user and password", kit.ErrConsent)
	}
	return "", fmt.Errorf("%w: give user and password", kit.ErrCredentials)
}

func (c *collector) dial(ctx context.Context) (net.Conn, error) {
	e, err := kit.ParseEndpoint(c.settings.Address, port)
	if err != nil {
		return nil, err
	}
	if !c.settings.Ambient {
		return c.env.Dial(ctx, e.Network, e.Address)
	}
	uid, gid, err := c.env.Owner(e.Address)
	if err != nil {
		return nil, err
	}
	return c.env.DialAs(ctx, uid, gid, e.Network, e.Address)
}

// settle learns what the server is. Who came in as the server's own user is
// from then on pg_monitor only.
func (s *session) settle(ambient bool) error {
	if ambient {
		if err := s.query("SET ROLE pg_monitor", 1, func(row) error { return nil }); err != nil {
			return err
		}
	}
	const sql = `SELECT current_setting('server_version_num') AS version,
		(SELECT quote_ident(n.nspname) FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'pg_stat_statements') AS schema`
	err := s.query(sql, 1, func(r row) error {
		version, _ := r.text("version")
		s.version, _ = strconv.Atoi(version)
		s.extern, _ = r.text("schema")
		return nil
	})
	if err == nil && s.version < 100000 {
		err = &core.Remedied{Err: fmt.Errorf("version %d: %w", s.version, core.ErrUnsupported), Remedy: "PostgreSQL 10 and later have what is asked", Permanent: true}
	}
	return err
}

// isRefusal reports whether the server answered and goes on.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized != "FATAL" && e.SeverityUnlocalized != "PANIC"
}

// judged says what a refusal means.
func judged(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	said := fmt.Errorf("the server answers: %s (%s)", core.Clean(e.Message, core.MaxRoute), core.Clean(e.Code, 8))
	switch {
	case e.Code == "42501": // insufficient_privilege
		return fmt.Errorf("%w: %w", kit.ErrRights, said)
	case strings.HasPrefix(e.Code, "28"): // invalid authorization, invalid password
		return fmt.Errorf("%w: %w", kit.ErrCredentials, said)
	case e.Code == "57014": // query_canceled
		return fmt.Errorf("it took longer than two seconds: %w", said)
	}
	return said
}

// loginError is an error of the library without what the library says around it.
func (c *collector) loginError(err error) error {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return judged(err)
	}
	if e, ok := errors.AsType[*pgconn.ConnectError](err); ok && e.Unwrap() != nil {
		err = e.Unwrap()
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("log in: %s", core.Clean(c.settings.Password.Hide(err.Error()), core.MaxRoute))
}
