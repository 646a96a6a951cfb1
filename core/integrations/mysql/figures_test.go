package mysql

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"vitals/core/integrations/servertest"
)

func TestWhereStatusVariablesGo(t *testing.T) {
	for name, want := range map[string][2]string{
		"com_select": {"mysql_global_status_commands_total", "select"}, "handler_read_rnd_next": {"mysql_global_status_handlers_total", "read_rnd_next"},
		"connection_errors_accept": {"mysql_global_status_connection_errors_total", "accept"}, "innodb_rows_read": {"mysql_global_status_innodb_row_ops_total", "read"},
		"innodb_buffer_pool_pages_data": {"mysql_global_status_buffer_pool_pages", "data"}, "innodb_buffer_pool_pages_dirty": {"mysql_global_status_buffer_pool_dirty_pages", ""},
		"innodb_buffer_pool_pages_flushed": {"mysql_global_status_buffer_pool_page_changes_total", "flushed"}, "threads_running": {"mysql_global_status_threads_running", ""},
	} {
		n := place(name)
		if n.metric == nil || n.metric.Name != want[0] || strings.Join(n.labels, ",") != want[1] {
			t.Errorf("%s: %+v", name, n)
		}
	}
	if n := place("innodb_buffer_pool_pages_total"); n.metric != nil {
		t.Errorf("a sum of series is told beside them: %+v", n)
	}
}

func TestValues(t *testing.T) {
	for in, want := range map[string]float64{"12": 12, "0.5": 0.5, "ON": 1, "Yes": 1, "OFF": 0, "Connecting": 0, "Primary": 1} {
		if got := number(in); got != want {
			t.Errorf("%q is %v", in, got)
		}
	}
	for _, in := range []string{"", "REPEATABLE-READ", "inf", "NULL"} {
		if got := number(in); !math.IsNaN(got) {
			t.Errorf("%q is %v", in, got)
		}
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{"8.4.0": true, "9.1.0-commercial": true, "8.0.36": false, "5.7.44-log": false, "": false, "garbage": false} {
		if newer(version, 8, 4) != want {
			t.Errorf("%q is at least 8.4: %v", version, !want)
		}
	}
}

func greeting(version string) []byte {
	body := append([]byte{10}, version+"\x00"+strings.Repeat("c", restOfGreeting)...)
	return append([]byte{byte(len(body)), 0, 0, 0}, body...)
}

func TestGreetings(t *testing.T) {
	for in, want := range map[string]string{"8.0.36": "8.0.36", "5.5.5-10.11.6-MariaDB": "10.11.6-MariaDB"} {
		packet, version, err := readGreeting(bytes.NewReader(greeting(in)))
		if err != nil || version != want || !bytes.Equal(packet, greeting(in)) {
			t.Errorf("%s: %q, %v", in, version, err)
		}
	}
	for name, in := range map[string][]byte{
		"web": []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "long": {0xff, 0xff, 0xff, 0}, "other version": {12, 0, 0, 0, 9, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"cut after it":    append([]byte{20, 0, 0, 0, 10}, "8.0.36\x00abcdefghijklm"[:19]...),
		"endless version": append([]byte{200, 0, 0, 0, 10}, bytes.Repeat([]byte{'x'}, 199)...),
	} {
		if _, _, err := readGreeting(bytes.NewReader(in)); !errors.Is(err, errGreeting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refusal := append([]byte{20, 0, 0, 0, 0xff, 0x10, 0x04}, "Too many\x1bconnections"[:17]...)
	if _, _, err := readGreeting(bytes.NewReader(refusal)); err == nil || !strings.Contains(err.Error(), "Too many") || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("a refusal: %v", err)
	}
}

func TestBoundedConnection(t *testing.T) {
	b := &bounded{prefix: []byte("ab")}
	p := make([]byte, 1)
	for _, want := range "ab" {
		if n, err := b.Read(p); n != 1 || err != nil || p[0] != byte(want) {
			t.Errorf("%d %v %q", n, err, p)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(greeting("8.0.36"))
	f.Add([]byte{20, 0, 0, 0, 0xff, 0x10, 0x04})
	f.Fuzz(func(t *testing.T, in []byte) {
		packet, version, err := readGreeting(bytes.NewReader(in))
		if err == nil && (!bytes.HasPrefix(in, packet) || version == "" && !bytes.Contains(in, []byte("5.5.5-"))) {
			t.Fatalf("%q of %q", version, in)
		}
	})
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
