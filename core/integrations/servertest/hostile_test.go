package servertest_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/integrations/haproxy"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/memcached"
	"vitals/core/integrations/mysql"
	"vitals/core/integrations/nginx"
	"vitals/core/integrations/postgres"
	"vitals/core/integrations/prometheus"
	"vitals/core/integrations/redis"
	"vitals/core/integrations/servertest"
)

// says listens and sends everybody the same text again and again, until they
// hang up or the test ends.
func says(t testing.TB, text string) (address string, silence func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				for {
					if _, err := c.Write([]byte(text)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), func() { l.Close() }
}

// Whatever answers, in whatever amount: an error that can be shown, soon, and no
// memory for it.
func TestHostileServers(t *testing.T) {
	const password = "s3cret-word"
	login := kit.Login{User: "vitals", Password: kit.Plain(password)}
	kinds := map[string]func(address string) (kit.Kind, any){
		"redis":     func(a string) (kit.Kind, any) { return redis.Kind(), redis.Settings{Address: a, Login: login} },
		"memcached": func(a string) (kit.Kind, any) { return memcached.Kind(), memcached.Settings{Address: a, Login: login} },
		"nginx":     func(a string) (kit.Kind, any) { return nginx.Kind(), nginx.Settings{Address: a, Login: login} },
		"haproxy":   func(a string) (kit.Kind, any) { return haproxy.Kind(), haproxy.Settings{Address: a} },
		"stats page": func(a string) (kit.Kind, any) {
			return haproxy.Kind(), haproxy.Settings{Address: a, Path: "/stats", Login: login}
		},
		"postgres": func(a string) (kit.Kind, any) { return postgres.Kind(), postgres.Settings{Address: a, Login: login} },
		"mysql":    func(a string) (kit.Kind, any) { return mysql.Kind(), mysql.Settings{Address: a, Login: login} },
		"prometheus": func(a string) (kit.Kind, any) {
			return prometheus.Kind(), prometheus.Settings{URL: "http://" + a, Login: login}
		},
	}
	page := "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/plain\r\n\r\n"
	goroutines := runtime.NumGoroutine()
	for what, text := range map[string]string{
		"letters":            strings.Repeat("x", 4096),
		"zeros":              strings.Repeat("\x00", 4096),
		"escapes":            "\x1b[2J\x1b]0;" + password + "\x07\r\n",
		"lines":              strings.Repeat("\r\n", 2048),
		"redis: huge":        "$4294967295\r\n" + strings.Repeat("x", 4096),
		"redis: nested":      strings.Repeat("*1\r\n", 1024),
		"memcached: endless": strings.Repeat("STAT a 1\r\n", 512),
		"haproxy: endless":   "# pxname,svname,\n" + strings.Repeat("a,b,\n", 1024),
		"postgres: huge":     "R\x7f\xff\xff\xff" + strings.Repeat("x", 4096),
		"postgres: row":      "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I" + strings.Repeat("D\x00\x00\x00\x06\x00\x00", 512),
		"mysql: huge":        "\xff\xff\xff\x00" + strings.Repeat("x", 4096),
		"mysql: greeting":    "\x22\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB\x00\x01\x00\x00\x00abcdefgh\x00",
		"mysql: whole":       "\x3a\x00\x00\x00\x0a8.0.36-fake\x00" + strings.Repeat("\xff", 45),
		"mysql: other login": "\x3a\x00\x00\x00\x0a8.0.36-fake\x00\x01\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00\x00\x02\x00\x00\x02\xfe\x00",
		"page: endless":      page + strings.Repeat("m{a=\"b\"} 1\n", 512),
	} {
		address, silence := says(t, text)
		for name, make := range kinds {
			k, settings := make(address)
			c := kittest.Open(t, k, settings)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			before := allocated()
			began, b := time.Now(), kit.NewBatch(time.Now(), k.MaxSeries, 0)
			err := c.Collect(ctx, b)
			cancel()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("%s, %s: it took %v", name, what, took)
			}
			if grown := allocated() - before; grown > 256<<20 {
				t.Errorf("%s, %s: %d MiB were allocated", name, what, grown>>20)
			}
			c.Close()
			if err == nil {
				t.Errorf("%s, %s: it tells %d series", name, what, b.Done().Series)
				continue
			}
			if said := err.Error(); len(said) > 400 || said != core.Clean(said, 1000) || strings.Contains(said, password) && what != "escapes" {
				t.Errorf("%s, %s: the error cannot be shown: %q", name, what, said)
			}
		}
		silence()
	}
	settled(t, goroutines)
}

// settled waits for what the driver and the transport end in their own time.
func settled(t testing.TB, goroutines int) {
	t.Helper()
	servertest.Eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > goroutines {
			return fmt.Errorf("%d goroutines are left of %d", n, goroutines)
		}
		return nil
	})
}

// allocated is how much was ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
