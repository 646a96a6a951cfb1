package blackbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vitals/core/integrations/kit"
	"vitals/core/integrations/kittest"
	"vitals/core/integrations/servertest"
)

const modules = `modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  tls: {prober: tcp, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {insecure_skip_verify: true}}}
  dns: {prober: dns, dns: {preferred_ip_protocol: ip4, transport_protocol: udp, query_name: box.test, query_type: A}}
`

// site is a web server over TLS whose certificate ends at a time.
func site(t testing.TB, end time.Time) (*httptest.Server, string) {
	t.Helper()
	cert, _, pair := servertest.Certificate(t, servertest.Dir(t, ""), end)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/slow":
			time.Sleep(500 * time.Millisecond)
		default:
			fmt.Fprint(w, "all is well")
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, cert
}

func nameServer(t testing.TB) string {
	t.Helper()
	port := servertest.Port(t)
	s := servertest.Start(t, "", servertest.Need(t, "dnsmasq"), "-k", "-C", "/dev/null", "-R", "-h", "-p", fmt.Sprint(port), "--listen-address=127.0.0.1", "--bind-interfaces",
		"--address=/box.test/192.0.2.7", "--local=/box.test/", "--user=root", "--pid-file=")
	s.Listens("tcp", servertest.Loopback(port))
	return servertest.Loopback(port)
}

func TestFiguresEqualThoseOfTheExporter(t *testing.T) {
	s, cert := site(t, time.Now().Add(100*24*time.Hour))
	names := nameServer(t)
	dir, port := servertest.Dir(t, ""), servertest.Port(t)
	servertest.Start(t, "", servertest.Need(t, "prometheus-blackbox-exporter"), "--config.file="+servertest.Write(t, dir, "b.yml", modules), "--web.listen-address", servertest.Loopback(port))
	address := s.Listener.Addr().String()
	for module, c := range map[string]struct {
		theirs, ours string
		least        int
	}{
		"http": {"https://" + address + "/moved", "https://" + address + "/moved", 10},
		"tcp":  {address, "tcp://" + address, 3},
		"tls":  {address, "tls://" + address, 4},
		"dns":  {names, "dns://" + names + "/box.test", 6},
	} {
		page := servertest.Scrape(t, fmt.Sprintf("http://127.0.0.1:%d/probe?module=%s&target=%s", port, module, url.QueryEscape(c.theirs)))
		r := kittest.Collect(t, Kind(), Settings{Target: c.ours, TLS: kit.TLS{CA: cert}})
		if len(r.Missing) != 0 {
			t.Errorf("%s: missing %v", module, r.Missing)
		}
		servertest.Oracle{
			Moving: map[string]float64{"probe_duration_seconds": 30, "probe_http_duration_seconds": 30, "probe_dns_lookup_time_seconds": 30},
			Absent: []string{"probe_ip_addr_hash", "probe_ssl_last_chain", "probe_dns_duration_seconds", "probe_http_last_modified", "probe_dns_serial", "probe_failed_due_to_regex"},
			Least:  c.least,
		}.Compare(t, servertest.PageOf(r), page)
	}
}

func TestAnswersThatAreNotGood(t *testing.T) {
	s, cert := site(t, time.Now().Add(100*24*time.Hour))
	names := nameServer(t)
	closed := servertest.Loopback(servertest.Port(t))
	trusted := kit.TLS{CA: cert}
	for name, c := range map[string]struct {
		s      Settings
		want   float64
		reason string
	}{
		"good":                {Settings{Target: s.URL, TLS: trusted}, 1, ""},
		"match":               {Settings{Target: s.URL, TLS: trusted, Match: "is w[e]ll"}, 1, ""},
		"no match":            {Settings{Target: s.URL, TLS: trusted, Match: "is bad"}, 0, "match"},
		"status":              {Settings{Target: s.URL + "/broken", TLS: trusted}, 0, "500"},
		"status wanted":       {Settings{Target: s.URL + "/broken", TLS: trusted, Status: []int{500}}, 1, ""},
		"redirect":            {Settings{Target: s.URL + "/moved", TLS: trusted, NoRedirects: true}, 0, "302"},
		"not trusted":         {Settings{Target: s.URL}, 0, "certificate"},
		"tls not trusted":     {Settings{Target: "tls://" + s.Listener.Addr().String()}, 0, "certificate"},
		"other name":          {Settings{Target: s.URL, TLS: kit.TLS{CA: cert, ServerName: "elsewhere.test"}}, 0, "elsewhere.test"},
		"nobody":              {Settings{Target: "tcp://" + closed}, 0, "refused"},
		"nobody on http":      {Settings{Target: "http://" + closed}, 0, "refused"},
		"nobody on dns":       {Settings{Target: "dns://" + closed + "/box.test"}, 0, "refused"},
		"name known":          {Settings{Target: "dns://" + names + "/box.test"}, 1, ""},
		"name unknown":        {Settings{Target: "dns://" + names + "/none.test"}, 0, "answers"},
		"no such record":      {Settings{Target: "dns://" + names + "/box.test?type=AAAA"}, 0, "no such record"},
		"host without a name": {Settings{Target: "tcp://none..invalid:80"}, 0, "find the address"},
	} {
		r := kittest.Collect(t, Kind(), c.s)
		reason := ""
		if err := r.Missing["answer"]; err != nil {
			reason = err.Error()
		}
		if got := kittest.Value(r, "probe_success"); got != c.want || !strings.Contains(reason, c.reason) || (reason == "") != (c.want == 1) {
			t.Errorf("%s: %v because %q", name, got, reason)
		}
	}
}

// The end of a certificate is told also when it is over, and complained of before.
func TestCertificatesThatEnd(t *testing.T) {
	for name, c := range map[string]struct {
		left    time.Duration
		success float64
		missing string
	}{"long": {100 * 24 * time.Hour, 1, ""}, "soon": {3*24*time.Hour + time.Hour, 1, "in 3 days"}, "over": {-time.Hour, 0, "it ended"}} {
		end := time.Now().Add(c.left)
		s, cert := site(t, end)
		for _, target := range []string{s.URL, "tls://" + s.Listener.Addr().String()} {
			most := time.Until(end).Seconds()
			r := kittest.Collect(t, Kind(), Settings{Target: target, TLS: kit.TLS{CA: cert}, CertificateDays: 14})
			least := time.Until(end).Seconds()
			said := ""
			if err := r.Missing["certificate"]; err != nil {
				said = err.Error()
			}
			if kittest.Value(r, "probe_success") != c.success || !strings.Contains(said, c.missing) || kittest.Value(r, "probe_ssl_earliest_cert_expiry") != float64(end.Unix()) {
				t.Errorf("%s of %s: success %v, %q, ends %v", name, target, kittest.Value(r, "probe_success"), said, kittest.Value(r, "probe_ssl_earliest_cert_expiry"))
			}
			if left := kittest.Value(r, "vitals_probe_certificate_seconds_left"); !(left <= most && left >= least-1) { // in whole seconds
				t.Errorf("%s: %v seconds left, want %v to %v", name, left, least-1, most)
			}
		}
	}
}

func TestWhoDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts by the kernel, and says nothing
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, target := range []string{"http://" + l.Addr().String(), "tls://" + l.Addr().String(), "dns://" + u.LocalAddr().String() + "/x.test"} {
		c := kittest.Open(t, Kind(), Settings{Target: target})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		b := kit.NewBatch(time.Now(), 0, 0)
		err := c.Collect(ctx, b) // for ever, did it not mind its time
		cancel()
		r := b.Done()
		if err != nil || kittest.Value(r, "probe_success") != 0 || r.Missing["answer"] == nil {
			t.Errorf("%s: %v, missing %v", target, err, r.Missing)
		}
	}
	c := kittest.Open(t, Kind(), Settings{Target: "tls://" + l.Addr().String()})
	time.AfterFunc(50*time.Millisecond, c.Close)
	if _, err := kittest.Round(t, Kind(), c); err == nil {
		t.Error("closed while it asked, and told something")
	}
}

func TestSettings(t *testing.T) {
	for given, want := range map[string]string{
		"https://example.org": "https://example.org:443/", "http://example.org:8080/x?y=z#w": "http://example.org:8080/x?y=z", "tcp://db:5432": "tcp://db:5432",
		"dns://192.0.2.1/example.org": "dns://192.0.2.1:53/example.org",
	} {
		if s, id, err := Kind().Prepare(Settings{Target: given}, kit.Shared{Instance: "box"}); err != nil || id != want || s.(Settings).Target != want {
			t.Errorf("%s: %+v as %q, %v", given, s, id, err)
		}
	}
	for name, s := range map[string]Settings{
		"nothing": {}, "no host": {Target: "https:///x"}, "scheme": {Target: "ftp://x/"}, "login": {Target: "https://u:s3cret@x/"}, "no port": {Target: "tcp://x"},
		"no name": {Target: "dns://192.0.2.1"}, "type": {Target: "dns://192.0.2.1/x?type=ODD"}, "method": {Target: "http://x", Method: "DELETE"},
		"pattern": {Target: "http://x", Match: "("}, "status": {Target: "http://x", Status: []int{7}}, "pair": {Target: "https://x", TLS: kit.TLS{Cert: "x"}},
	} {
		if _, _, err := Kind().Prepare(s, kit.Shared{Instance: "box"}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocs(t *testing.T) { servertest.Docs(t, Kind()) }
