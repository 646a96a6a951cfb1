package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

func TestLoginsAndRights(t *testing.T) {
	c := start(t)
	// As documented, and somebody without any right.
	c.sql("postgres", "CREATE ROLE vitals LOGIN PASSWORD 's3cret-word' CONNECTION LIMIT 2; GRANT pg_monitor TO vitals; CREATE ROLE nobody LOGIN PASSWORD 's3cret-of-nobody'")
	for name, w := range map[string]struct {
		login   kit.Login
		want    error
		missing int
	}{
		"documented": {kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}, nil, 0},
		"wrong":      {kit.Login{User: "vitals", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"unknown":    {kit.Login{User: "stranger", Password: kit.Plain("wrong-s3cret")}, kit.ErrCredentials, 0},
		"no rights":  {kit.Login{User: "nobody", Password: kit.Plain("s3cret-of-nobody")}, nil, 1}, // the directory of the log
		"nothing":    {kit.Login{}, kit.ErrCredentials, 0},
	} {
		r, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: c.address, Login: w.login}))
		if !errors.Is(err, w.want) || len(r.Missing) != w.missing {
			t.Errorf("%s: %v, missing %v", name, err, r.Missing)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "failed to")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := Settings{Address: c.address, Database: "nowhere", Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}}
	if _, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), s)); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a database that is not there: %v", err)
	}
}

func TestNobodyLogsInByGuessing(t *testing.T) {
	c := start(t, "ssl=off")
	before := c.Log()
	for _, address := range []string{c.address, "unix:" + c.socket} {
		_, saw, err := kittest.Probe(t, Kind(), Settings{Address: address})
		want := kit.ErrCredentials
		if strings.HasPrefix(address, "unix:") {
			want = kit.ErrConsent
		}
		if !errors.Is(err, want) || saw == "" {
			t.Errorf("probe of %s: %q, %v", address, saw, err)
		}
		if _, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), Settings{Address: address})); !errors.Is(err, want) {
			t.Errorf("collection from %s: %v", address, err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	said := strings.TrimPrefix(c.Log(), before)
	for line := range strings.Lines(said) {
		if !strings.Contains(line, "connection received") {
			t.Errorf("the server logs: %s", line)
		}
	}
}

// With TLS the server waits for a handshake, and logs one that is broken off.
func TestProbeOfAServerWithTLSLeavesNoTrace(t *testing.T) {
	dir := servertest.Dir(t, "postgres")
	cert, key, _ := servertest.Certificate(t, dir, time.Now().Add(time.Hour))
	servertest.Give(t, "postgres", key)
	c := start(t, "ssl=on", "ssl_cert_file="+cert, "ssl_key_file="+key)
	before := c.Log()
	if _, saw, err := kittest.Probe(t, Kind(), Settings{Address: c.address}); !errors.Is(err, kit.ErrCredentials) || saw == "" {
		t.Errorf("%q, %v", saw, err)
	}
	time.Sleep(200 * time.Millisecond)
	for line := range strings.Lines(strings.TrimPrefix(c.Log(), before)) {
		if !strings.Contains(line, "connection received") {
			t.Errorf("the server logs: %s", line)
		}
	}
	c.sql("postgres", "CREATE ROLE vitals LOGIN PASSWORD 's3cret-word'; GRANT pg_monitor TO vitals")
	s := Settings{Address: c.address, Login: kit.Login{User: "vitals", Password: kit.Plain("s3cret-word")}, TLS: kit.TLS{Enabled: true, CA: cert}}
	if _, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), s)); err != nil {
		t.Errorf("over TLS: %v", err)
	}
	s.TLS.CA = ""
	if _, err := kittest.Round(t, Kind(), kittest.Open(t, Kind(), s)); err == nil {
		t.Error("a certificate that nobody trusts is taken")
	}
}

func TestProbeOfWhatIsNoPostgres(t *testing.T) {
	for name, answer := range map[string]string{"web": "HTTP/1.1 400 Bad Request\r\n\r\n", "silence": ""} {
		address := servertest.Answer(t, answer)
		if _, _, err := kittest.Probe(t, Kind(), Settings{Address: address}); !errors.Is(err, kit.ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSessionIsHarmless(t *testing.T) {
	c := start(t)
	c.load()
	opened := kittest.Open(t, Kind(), c.ambient("shop")).(*collector)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for setting, want := range map[string]string{
		"transaction_read_only": "on", "statement_timeout": "2s", "lock_timeout": "100ms", "application_name": "vitals",
	} {
		err := opened.line.Use(ctx, func(s *session) error {
			return s.query("SHOW "+setting, 1, func(r row) error {
				if got, _ := r.text(setting); got != want {
					t.Errorf("%s is %s, want %s", setting, got, want)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]string{
		"CREATE TABLE x (a int)":            "read-only",
		"DELETE FROM pgbench_accounts":      "read-only",
		"SELECT pg_sleep(10)":               "timeout",
		"SELECT pg_read_file('PG_VERSION')": map[bool]string{true: "permission denied"}[os.Getuid() == 0],
	} {
		if want == "" { // only a peer gives up rights
			continue
		}
		err := opened.line.Use(ctx, func(s *session) error {
			return s.query(sql, 1000, func(row) error { return nil })
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for range 5 {
		if _, err := kittest.Round(t, Kind(), opened); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vitals'"); n != "1" {
		t.Errorf("%s sessions", n)
	}
}

// A table that somebody changes holds up nobody who only asks for figures.
func TestLocksAreNotWaitedFor(t *testing.T) {
	c := start(t)
	c.load()
	locker := servertest.Start(t, "postgres", servertest.Need(t, "psql"), "-h", c.dir, "-p", fmt.Sprint(c.port), "-U", "postgres", "-d", "shop",
		"-c", "BEGIN; LOCK TABLE pgbench_accounts IN ACCESS EXCLUSIVE MODE; LOCK TABLE pg_class IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)")
	locker.Await(func() error {
		if c.sql("postgres", "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'pg_class'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = 'shop')") == "0" {
			return errors.New("not locked")
		}
		return nil
	})
	o := kittest.Open(t, Kind(), c.ambient("postgres"))
	r, err := kittest.Round(t, Kind(), o)
	if err != nil || len(r.Missing) != 0 { // a query that waits is ended after two seconds, and missing
		t.Errorf("%v, missing %v", err, r.Missing)
	}
	if kittest.Value(r, "pg_locks_count", "datname", "shop", "mode", "accessexclusivelock") != 2 {
		t.Error("the locks are not seen")
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
