package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"

	"vitals/push/codec"
	"vitals/push/transform"
)

// kept is a sink that keeps messages, fails as told, and can be slow.
type kept struct {
	mu  sync.Mutex
	all []Message
	err error
}

func (k *kept) WriteMessage(_ context.Context, m Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, m)
	return k.err
}

func (k *kept) messages() []Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]Message(nil), k.all...)
}

// receive serves a receiver.
func receive(t testing.TB, c ReceiverConfig) (*server, *kept) {
	t.Helper()
	k := &kept{}
	if c.Sink == nil {
		c.Sink = k
	}
	rc, err := NewReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(rc)
	t.Cleanup(s.Close)
	return &server{t: t, name: "receiver", url: s.URL}, k
}

// takers gives both handlers: what is said of taking in holds for each.
func takers(t *testing.T, l Limits, f func(s *server, path string, ok int, stored func() int)) {
	t.Helper()
	s := start(t, Config{Limits: l})
	f(s, "/metrics/job/j", 200, func() int { return int(s.own("series")) })
	rc, k := receive(t, ReceiverConfig{Limits: l})
	f(rc, "/any/path", 202, func() int {
		n := 0
		for _, m := range k.messages() {
			families, err := collectFamilies(&body{data: m.Body, format: m.Format}, false, (Limits{}).withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			for _, fam := range families {
				n += len(fam.Metric)
			}
		}
		return n
	})
}

func TestT50_ContentTypes(t *testing.T) {
	takers(t, Limits{}, func(s *server, path string, ok int, stored func() int) {
		for _, header := range []string{"image/png", "application/vnd.google.protobuf; proto=x.Y", "text/plain; version=99"} {
			mustContain(t, s.want(415, "POST", path, "a 1\n", "Content-Type", header).text, "text/plain; version=0.0.4", "openmetrics", "json", "delimited")
		}
		s.want(415, "POST", path, encoded(t, codec.Protobuf, gauge("a", 1)), "Content-Type", "")
		s.want(415, "POST", path, encoded(t, codec.Protobuf, gauge("a", 1)), "Content-Type", "application/x-www-form-urlencoded")
		if n := stored(); n != 0 {
			t.Errorf("%s: %d series of refused pushes", s.name, n)
		}
		s.want(ok, "POST", path, "a 1\n", "Content-Type", "")
		s.want(ok, "POST", path, "a 1\n", "Content-Type", "application/x-www-form-urlencoded") // curl
		for _, f := range []codec.Format{codec.Protobuf, codec.Text, codec.OpenMetrics, codec.JSON} {
			s.want(ok, "PUT", path, encoded(t, f, gauge("b", 1)), "Content-Type", f.ContentType())
		}
	})
}

func TestT51_TimestampsAreRefusedBeforeAnything(t *testing.T) {
	ran := false
	note := func(f []*dto.MetricFamily) ([]*dto.MetricFamily, error) { ran = true; return f, nil }
	rc, k := receive(t, ReceiverConfig{Transforms: []transform.Func{note}})
	rc.want(400, "POST", "/", "a 1\nb 2 1700000000000\n")
	if ran || len(k.messages()) != 0 {
		t.Error("a transform ran or something was stored")
	}
	s := start(t, Config{Sinks: []Sink{k}})
	s.want(400, "POST", "/metrics/job/j", "a 1\nb 2 1700000000000\n")
	s.want(400, "POST", "/metrics/job/j", "a 1 1700000000.5\n# EOF\n", "Content-Type", codec.OpenMetrics.ContentType())
	s.wantSeries(false, series{})
	if len(k.messages()) != 0 {
		t.Error("a sink was told")
	}
}

func TestT52_TheErrorNamesTheFirstAndCounts(t *testing.T) {
	takers(t, Limits{}, func(s *server, path string, ok int, _ func() int) {
		r := s.want(400, "POST", path, "a 1\nb 2 17\nc{x=\"1\"} 2 17\nc{x=\"2\"} 3 17\n")
		mustContain(t, r.text, "must not have timestamps", "b and 2 more")
	})
}

func TestT53_StoreErrorIs500(t *testing.T) {
	k := &kept{err: errors.New("the disk is on fire")}
	rc, _ := receive(t, ReceiverConfig{Sink: k})
	mustContain(t, rc.want(500, "POST", "/", "a 1\n").text, "on fire")
	st := &failing{err: errors.New("the disk is on fire")}
	s := start(t, Config{Store: st})
	mustContain(t, s.want(500, "PUT", "/metrics/job/j", "a 1\n").text, "on fire")
	s.wantSeries(true, series{`push_time_seconds{instance="",job="j"}`: 0, `push_failure_time_seconds{instance="",job="j"}`: 1})
	st.set(nil)
}

func TestT54_SuccessIs202AndTheSinkSeesTransformedBytes(t *testing.T) {
	at := time.UnixMilli(1700000000123)
	rc, k := receive(t, ReceiverConfig{Format: codec.Text, Transforms: []transform.Func{
		transform.AddLabels(map[string]string{"from": "here"}), transform.AddTimestamps(func() time.Time { return at }),
	}})
	rc.want(202, "POST", "/", encoded(t, codec.Protobuf, gauge("a", 1)), "Content-Type", contentProtobuf)
	want := "# HELP a help\n# TYPE a gauge\na{from=\"here\"} 1 1700000000123\n"
	if got := k.messages(); len(got) != 1 || string(got[0].Body) != want {
		t.Errorf("%+v, want %q", got, want)
	}
}

func TestT55_OnErrorTheSinkWasGivenTheBytes(t *testing.T) {
	k := &kept{err: errors.New("no")}
	rc, _ := receive(t, ReceiverConfig{Sink: k, Transforms: []transform.Func{}})
	rc.want(500, "POST", "/", "a 1\n")
	if got := k.messages(); len(got) != 1 || !strings.Contains(string(got[0].Body), "a 1\n") {
		t.Errorf("%+v", got)
	}
}

func TestT56_EmptyBodyHasNoFamilies(t *testing.T) {
	takers(t, Limits{}, func(s *server, path string, ok int, stored func() int) {
		for _, kind := range []string{"", "text/plain", contentProtobuf, codec.JSON.ContentType(), codec.OpenMetrics.ContentType()} {
			s.want(ok, "POST", path, "", "Content-Type", kind)
		}
		if n := stored(); n != 0 {
			t.Errorf("%s: %d series", s.name, n)
		}
	})
}

// three are families whose records have known boundaries.
func three(t testing.TB) (whole []byte, first int) {
	one := encoded(t, codec.Protobuf, gauge("a", 1, "x", "1"))
	whole = append(append(append(whole, one...), encoded(t, codec.Protobuf, gauge("b", 2))...), encoded(t, codec.Protobuf, gauge("c", 3))...)
	return whole, len(one)
}

func TestT57_ABodyOfExactlyTheLimitIsWhole(t *testing.T) {
	whole, _ := three(t)
	takers(t, Limits{Body: int64(len(whole))}, func(s *server, path string, ok int, stored func() int) {
		s.want(ok, "POST", path, whole, "Content-Type", contentProtobuf)
		if n := stored(); n != 3 {
			t.Errorf("%s: %d series", s.name, n)
		}
	})
}

func TestT60_TruncatedBodiesAre400(t *testing.T) {
	whole, first := three(t)
	takers(t, Limits{}, func(s *server, path string, ok int, stored func() int) {
		for _, b := range [][]byte{{0x80}, {0xff, 0xff}, {0x05}, whole[:first-1], whole[:first+1], whole[:len(whole)-1], binary.AppendUvarint(nil, 1<<62)} {
			mustContain(t, s.want(400, "POST", path, b, "Content-Type", contentProtobuf).text, "unexpected end of input")
		}
		s.want(400, "POST", path, "a 1\n", "Content-Type", codec.OpenMetrics.ContentType())
		s.want(400, "POST", path, `[{"name":"a"`, "Content-Type", "application/json")
		if n := stored(); n != 0 {
			t.Errorf("%s: %d series", s.name, n)
		}
	})
}

func TestT61_MethodsOfTheHandler(t *testing.T) {
	rc, _ := receive(t, ReceiverConfig{})
	for _, m := range []string{"DELETE", "PATCH", "OPTIONS"} {
		if r := rc.want(405, m, "/", nil); r.header.Get("Allow") != "GET, HEAD, PUT, POST" {
			t.Errorf("%s: Allow %q", m, r.header.Get("Allow"))
		}
	}
	mustContain(t, rc.want(200, "GET", "/", nil).text, "1024000 bytes", "gzip")
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/j<b>", "a 1\n")
	mustContain(t, s.want(200, "GET", "/", nil).text, "1 groups, 1 series", "j&lt;b&gt;")
	s.want(200, "HEAD", "/", nil)
}

// slow sends a head that announces more than comes.
func slow(t testing.TB, s *server, path, part string) (answer string, took time.Duration) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n%s", path, part)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(c) // to the end: the connection is closed
	if err != nil {
		t.Fatalf("after %v: %v, %q", time.Since(began), err, b)
	}
	return string(b), time.Since(began)
}

func TestT62_TheTimeoutBoundsReadingTheBody(t *testing.T) {
	s := start(t, Config{Timeout: 100 * time.Millisecond})
	rc, k := receive(t, ReceiverConfig{Timeout: 100 * time.Millisecond})
	for _, c := range []struct {
		s    *server
		path string
	}{{s, "/metrics/job/j"}, {rc, "/"}} {
		text, took := slow(t, c.s, c.path, "a 1\n")
		if !strings.HasPrefix(text, "HTTP/1.1 503") || took < 100*time.Millisecond || took > 20*time.Second {
			t.Errorf("%s: after %v: %q", c.s.name, took, text)
		}
	}
	s.wantSeries(true, series{})
	if len(k.messages()) != 0 {
		t.Error("the sink was given half a body")
	}
	if n := s.gw.intake.held.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
	// A connection outlives the timeout of a push that was in time. Where this
	// machine stalls for that long, there was none.
	eventually(t, "two pushes over one connection", func() bool {
		first, second := twice(t, s, 150*time.Millisecond)
		if first == 200 && second == 0 {
			t.Fatal("the connection ended with the timeout of its first push")
		}
		return first == 200 && second == 200
	})
}

// twice pushes two times over one connection and gives the statuses, 0 for none.
func twice(t *testing.T, s *server, pause time.Duration) (first, second int) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(c)
	put := func() int {
		fmt.Fprint(c, "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na 1\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	first = put()
	time.Sleep(pause)
	return first, put()
}

// Many at once on one handler: with -race this shows unprotected fields.
func TestT63_ConcurrentRequests(t *testing.T) {
	rc, k := receive(t, ReceiverConfig{})
	s := start(t, Config{Sinks: []Sink{k}})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 20 {
				rc.want(202, "POST", "/", fmt.Sprintf("a{i=\"%d\"} %d\n", i, n))
				s.want(200, "PUT", fmt.Sprintf("/metrics/job/j/i/%d", i%4), fmt.Sprintf("a %d\n", n))
				s.want(200, "GET", "/metrics", nil)
				s.want(200, "GET", "/", nil)
				s.want(200, "GET", "/api/v1/metrics", nil)
				s.want(200, "GET", "/-/healthy", nil)
			}
		})
	}
	wait.Wait()
	if n := len(k.messages()); n != 320 {
		t.Errorf("%d messages", n)
	}
}

func zip(t testing.TB, encoding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	case "snappy":
		w = snappy.NewBufferedWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "block":
		return snappy.Encode(nil, data)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestT64_CompressedBodies(t *testing.T) {
	bomb := append(bytes.Repeat([]byte("# comment\n"), 2000), "a 1\n"...) // 20 kB, a few bytes compressed
	takers(t, Limits{Body: 4000, Decompressed: 10_000}, func(s *server, path string, ok int, stored func() int) {
		for i, encoding := range []string{"gzip", "zstd", "snappy", "deflate", "block"} {
			header := strings.Replace(encoding, "block", "snappy", 1)
			text := fmt.Appendf(nil, "a%d 1\n", i)
			s.want(ok, "POST", path, zip(t, encoding, text), "Content-Encoding", header)
			mustContain(t, s.want(413, "POST", path, zip(t, encoding, bomb), "Content-Encoding", header).text, "decompressed", "10000")
			whole := zip(t, encoding, bytes.Repeat(text, 20))
			s.want(400, "POST", path, whole[:len(whole)-3], "Content-Encoding", header)
			s.want(400, "POST", path, "this is not compressed", "Content-Encoding", header)
		}
		mustContain(t, s.want(415, "POST", path, "a 1\n", "Content-Encoding", "br").text, "gzip, zstd, snappy, deflate")
		s.want(415, "POST", path, "a 1\n", "Content-Encoding", "gzip, gzip")
		s.want(ok, "POST", path, "b 1\n", "Content-Encoding", "identity")
		if n := stored(); n != 6 {
			t.Errorf("%s: %d series, want 6", s.name, n)
		}
	})
}

// What is small as sent, and decompressed, may be large decoded.
func TestDecodingIsBoundedInMemory(t *testing.T) {
	takers(t, Limits{Body: 1 << 20, Decompressed: 8 << 20, InFlight: 16 << 20}, func(s *server, path string, ok int, stored func() int) {
		for _, c := range []struct {
			kind string
			body []byte
			code int
		}{
			{"text/plain", bytes.Repeat([]byte("a 1\n"), 1<<20), 413},
			{"application/json", append(append([]byte(`[{"metric":[`), bytes.Repeat([]byte(`{},`), 1<<20)...), `{}]}]`...), 413},
			{contentProtobuf, append(binary.AppendUvarint(nil, 2<<20), bytes.Repeat([]byte{0x0a, 0}, 1<<20)...), 400},
		} {
			if r := s.do("POST", path, zip(t, "gzip", c.body), "Content-Encoding", "gzip", "Content-Type", c.kind); r.code != c.code {
				t.Errorf("%s: %s: %d %s", s.name, c.kind, r.code, r.text)
			}
		}
	})
	// Families without anything are cheap to send and must be cheap to refuse.
	few := Limits{Decompressed: 8 << 20, PushFamilies: 10, PushSeries: 10}
	rc, _ := receive(t, ReceiverConfig{Limits: few})
	rc.want(422, "POST", "/", zip(t, "gzip", append(binary.AppendUvarint(nil, 2<<20), bytes.Repeat([]byte{0x22, 0}, 1<<20)...)), "Content-Encoding", "gzip", "Content-Type", contentProtobuf)
	s := start(t, Config{Limits: few})
	s.want(422, "POST", "/metrics/job/j", zip(t, "gzip", make([]byte, 8<<20)), "Content-Encoding", "gzip", "Content-Type", contentProtobuf)
}

func TestT66_DefaultLimits(t *testing.T) {
	if l := (Limits{}).withDefaults(); l.Body != 1_024_000 || l.Decompressed != 8_192_000 {
		t.Errorf("%+v", l)
	}
	if CommandBody != 16<<20 {
		t.Error(CommandBody)
	}
	if l := (Limits{Body: CommandBody}).withDefaults(); l.Decompressed != 8*16<<20 {
		t.Errorf("%+v", l)
	}
	s := start(t, Config{})
	line := []byte("# " + strings.Repeat("x", 997) + "\n") // 1000 bytes
	s.want(200, "PUT", "/metrics/job/j", bytes.Repeat(line, 1024))
	s.want(413, "PUT", "/metrics/job/j", append(bytes.Repeat(line, 1024), '\n'))
}

func TestT67_TimestampsTowardsSinksOnly(t *testing.T) {
	k := &kept{}
	s := start(t, Config{Sinks: []Sink{k}, Format: codec.Text})
	s.want(200, "PUT", "/metrics/job/j", "a 1\n")
	text := s.do("GET", "/metrics", nil).text
	mustContain(t, text, "a{instance=\"\",job=\"j\"} 1\n")
	m := k.messages()[0]
	if fields := strings.Fields(string(m.Body)); len(fields) == 0 || !strings.HasPrefix(fields[len(fields)-1], "1") || len(fields[len(fields)-1]) != 13 {
		t.Errorf("the sink got %q", m.Body)
	}
	if m.Key.String() != `{job="j"}` || m.Method != "PUT" {
		t.Errorf("%+v", m)
	}
}

func TestT68_TheDefaultTimeoutIs10sAndOverItIs503(t *testing.T) {
	if DefaultTimeout != 10*time.Second {
		t.Error(DefaultTimeout)
	}
	// Nobody takes from the queue: the push cannot be done in time.
	g, err := New(Config{Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(g)
	defer h.Close()
	s := &server{t: t, name: "idle", url: h.URL}
	r := s.want(503, "PUT", "/metrics/job/j", "a 1\n")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	mustContain(t, r.text, "50ms")
	// What was answered with 503 is not done later.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	eventually(t, "a push that is done in time", func() bool { return s.do("PUT", "/metrics/job/k", "a 1\n").code == 200 })
	s.wantSeries(false, series{`a{instance="",job="k"}`: 1})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestT69_ErrorsAreRecognised(t *testing.T) {
	rec := httptest.NewRecorder()
	g, err := New(Config{Limits: Limits{Body: 10}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	_, err = g.take(rec, httptest.NewRequest(http.MethodPut, "/metrics/job/j", strings.NewReader("this is longer")))
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v is not ErrTooLarge", err)
	}
	rc, err := NewReceiver(ReceiverConfig{Sink: &kept{}})
	if err != nil {
		t.Fatal(err)
	}
	err = rc.take(rec, httptest.NewRequest(http.MethodPut, "/", strings.NewReader("a 1 5\n")))
	if !errors.Is(err, ErrMetricsTimestampPresent) {
		t.Errorf("%v is not ErrMetricsTimestampPresent", err)
	}
}
