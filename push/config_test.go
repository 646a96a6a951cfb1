package push

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"
)

func TestT48_BadSettingsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"interval 0":        {func(c *Config) { c.Interval = 0 }, "--interval"},
		"interval negative": {func(c *Config) { c.Interval = -time.Second }, "--interval"},
		"no url":            {func(c *Config) { c.URL = " " }, "--push needs"},
		"no host":           {func(c *Config) { c.URL = "http://" }, "no host"},
		"scheme":            {func(c *Config) { c.URL = "ftp://gw" }, "use http or https"},
		"port word":         {func(c *Config) { c.URL = "http://gw:http" }, "--push address"},
		"port 0":            {func(c *Config) { c.URL = "gw:0" }, "1 to 65535"},
		"port large":        {func(c *Config) { c.URL = "gw:65536" }, "1 to 65535"},
		"query":             {func(c *Config) { c.URL = "http://gw/?token=x" }, "base address"},
		"group in url":      {func(c *Config) { c.URL = "http://gw/metrics/job/x" }, "--job"},
		"control character": {func(c *Config) { c.URL = "http://gw/\x1b[2J" }, "--push address"},
		"method":            {func(c *Config) { c.Method = "PATCH" }, "PUT"},
		"timeout":           {func(c *Config) { c.Timeout = -1 }, "timeout"},
		"no instance":       {func(c *Config) { c.Instance = "" }, "--instance"},
		"reserved label":    {func(c *Config) { c.Grouping = []Label{{"__name__", "x"}} }, "reserved"},
		"bad label":         {func(c *Config) { c.Grouping = []Label{{"data-center", "x"}} }, "letters, digits and _"},
		"empty label":       {func(c *Config) { c.Grouping = []Label{{"", "x"}} }, "letters, digits and _"},
		"hostile label":     {func(c *Config) { c.Grouping = []Label{{"a\x1b[2J", "x"}} }, "a·[2J"},
		"job as label":      {func(c *Config) { c.Grouping = []Label{{"job", "x"}} }, "use --job"},
		"twice":             {func(c *Config) { c.Grouping = []Label{{"a", "x"}, {"a", "y"}} }, "twice"},
		"not utf-8":         {func(c *Config) { c.Job = "\xff" }, "UTF-8"},
		"long value":        {func(c *Config) { c.Job = strings.Repeat("x", 1025) }, "1024"},
		"long path": {func(c *Config) {
			for i := range 20 {
				c.Grouping = append(c.Grouping, Label{fmt.Sprint("l", i), strings.Repeat("x", 1000)})
			}
		}, "8192"},
		"two authentications": {func(c *Config) {
			c.URL = "http://u:p@gw"
			c.HTTP = &config.HTTPClientConfig{BearerToken: "t"}
		}, "keep one"},
		"no source": {func(c *Config) { c.Source = nil }, "source"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig("http://gw:9091")
			c.change(&cfg)
			_, err := NewSpec(cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			mustContain(t, err.Error(), c.says)
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

func TestP33_JobIsRequired(t *testing.T) {
	gw := newRecorder(t, status200)
	c := testConfig(gw.URL)
	c.Job = ""
	_, specErr := NewSpec(c)
	for what, err := range map[string]error{"NewSpec": specErr, "Once": Once(t.Context(), c), "DryRun": DryRun(t.Context(), io.Discard, c)} {
		if err == nil {
			t.Errorf("%s accepts an empty job", what)
			continue
		}
		mustContain(t, err.Error(), "--job")
	}
	if n := len(gw.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestP36_AddressesAsPeopleTypeThem(t *testing.T) {
	for in, want := range map[string]string{
		"gw:9091":              "http://gw:9091",
		"localhost":            "http://localhost",
		"http://gw:9091/":      "http://gw:9091",
		"https://gw/push//":    "https://gw/push",
		" http://gw:9091 ":     "http://gw:9091",
		"[::1]:9091":           "http://[::1]:9091",
		"HTTP://gw":            "http://gw",
		"http://user:pw@gw/x/": "http://gw/x",
	} {
		s, err := testConfig(in).check()
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if s.shown != want || s.target != want+"/metrics/job/vitals/instance/web-1" {
			t.Errorf("%q: shown %q, target %q, want %q", in, s.shown, s.target, want)
		}
	}
}

func TestT37_SecretsAreInNoText(t *testing.T) {
	const secret = "hunter2horse"
	gw := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		http.Error(w, "who is "+password+"?", http.StatusForbidden)
	})
	address := strings.Replace(gw.URL, "http://", "http://admin:"+secret+"@", 1)
	c := testConfig(address)
	var got rows
	c.Report = got.report
	err := Once(t.Context(), c)
	if err == nil {
		t.Fatal("403 was taken for a success")
	}
	mustContain(t, err.Error(), "403", "who is ***?", "check user and password")
	var dry strings.Builder
	if err := DryRun(t.Context(), &dry, c); err != nil {
		t.Fatal(err)
	}
	spec, specErr := NewSpec(c)
	if specErr != nil {
		t.Fatal(specErr)
	}
	_, badPort := NewSpec(testConfig("http://admin:" + secret + "@gw:x"))
	_, badEscape := NewSpec(testConfig("http://admin:" + secret + "/z@gw"))
	_, looksLikePath := NewSpec(testConfig("http://admin:9091/" + secret + "@gw"))
	refused := testConfig("http://admin:" + secret + "@127.0.0.1:1")
	for what, text := range map[string]string{
		"error": err.Error(), "row": fmt.Sprintf("%+v", got.last()), "dry run": dry.String(),
		"spec": fmt.Sprintf("%+v", spec), "bad port": badPort.Error(), "bad escape": fmt.Sprint(badEscape), "path": fmt.Sprint(looksLikePath),
		"refused": Once(t.Context(), refused).Error(),
	} {
		if strings.Contains(text, secret) || strings.Contains(text, "admin") {
			t.Errorf("%s tells the secret: %s", what, text)
		}
	}
	if r := gw.requests()[0]; r.auth == "" {
		t.Error("the password did not reach the gateway")
	}
}

func TestFingerprintCoversEverySettingAndSecret(t *testing.T) {
	proxy := func(raw string) config.URL {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return config.URL{URL: u}
	}
	changes := map[string]func(*Config){
		"nothing":  func(*Config) {},
		"url":      func(c *Config) { c.URL = "http://other:9091" },
		"interval": func(c *Config) { c.Interval++ },
		"timeout":  func(c *Config) { c.Timeout = time.Second },
		"job":      func(c *Config) { c.Job = "x" },
		"grouping": func(c *Config) { c.Grouping = []Label{{"a", "b"}} },
		"method":   func(c *Config) { c.Method = "POST" },
		"delete":   func(c *Config) { c.DeleteOnExit = true },
		"user":     func(c *Config) { c.URL = "http://u:p@gw:9091" },
		"password": func(c *Config) { c.URL = "http://u:q@gw:9091" },
		"token":    func(c *Config) { c.HTTP = &config.HTTPClientConfig{BearerToken: "a"} },
		"token 2":  func(c *Config) { c.HTTP = &config.HTTPClientConfig{BearerToken: "b"} },
		"tls key":  func(c *Config) { c.HTTP = &config.HTTPClientConfig{TLSConfig: config.TLSConfig{Cert: "c", Key: "k"}} },
		"tls key2": func(c *Config) { c.HTTP = &config.HTTPClientConfig{TLSConfig: config.TLSConfig{Cert: "c", Key: "l"}} },
		"header": func(c *Config) {
			c.HTTP = &config.HTTPClientConfig{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-A": {Secrets: []config.Secret{"1"}}}}}
		},
		"header 2": func(c *Config) {
			c.HTTP = &config.HTTPClientConfig{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-A": {Secrets: []config.Secret{"2"}}}}}
		},
		"proxy": func(c *Config) {
			c.HTTP = &config.HTTPClientConfig{ProxyConfig: config.ProxyConfig{ProxyURL: proxy("http://a:b@p")}}
		},
		"proxy 2": func(c *Config) {
			c.HTTP = &config.HTTPClientConfig{ProxyConfig: config.ProxyConfig{ProxyURL: proxy("http://a:c@p")}}
		},
	}
	seen := map[string]string{}
	for name, change := range changes {
		print := func() string {
			c := testConfig("http://gw:9091")
			change(&c)
			spec, err := NewSpec(c)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return spec.Fingerprint
		}
		first := print()
		for range 5 {
			if again := print(); again != first {
				t.Errorf("%s: fingerprint is not stable", name)
			}
		}
		if other, dup := seen[first]; dup {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[first] = name
	}
}

// P38_: headers and authentication as configured, and the caller's map untouched.
func TestP38_HeadersAndAuthentication(t *testing.T) {
	gw := newRecorder(t, status200)
	c := testConfig(gw.URL)
	headers := map[string]config.Header{"X-Scope-OrgID": {Values: []string{"team-a"}}}
	c.HTTP = &config.HTTPClientConfig{
		Authorization: &config.Authorization{Credentials: "token-1"},
		HTTPHeaders:   &config.Headers{Headers: headers},
	}
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r := gw.requests()[0]
	if r.auth != "Bearer token-1" || r.header.Get("X-Scope-OrgID") != "team-a" || r.agent != "vitals/1.2.3" {
		t.Errorf("authorization %q, header %q, agent %q", r.auth, r.header.Get("X-Scope-OrgID"), r.agent)
	}
	if len(headers) != 1 || len(headers["X-Scope-OrgID"].Values) != 1 || c.HTTP.FollowRedirects {
		t.Error("the caller's settings were modified")
	}
	if r.header.Get("Idempotency-Key") != "" {
		t.Error("the empty idempotency key was sent")
	}
}

func TestProxyFromTheEnvironment(t *testing.T) {
	proxy := newRecorder(t, status200)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "direct.invalid")
	if err := Once(t.Context(), testConfig("gw.invalid:9091")); err != nil {
		t.Fatal(err)
	}
	if got := proxy.requests(); len(got) != 1 || got[0].path != "http://gw.invalid:9091/metrics/job/vitals/instance/web-1" {
		t.Errorf("the proxy got %v", got)
	}
	if err := Once(t.Context(), testConfig("direct.invalid:9091")); err == nil || len(proxy.requests()) != 1 {
		t.Errorf("NO_PROXY was not heeded: %v", err)
	}
}

func TestTLSIsVerified(t *testing.T) {
	gw := httptest.NewUnstartedServer(http.HandlerFunc(status200))
	gw.Config.ErrorLog = log.New(io.Discard, "", 0)
	gw.StartTLS()
	defer gw.Close()
	c := testConfig(gw.URL)
	if err := Once(t.Context(), c); err == nil {
		t.Error("a certificate of nobody was trusted")
	} else {
		mustContain(t, err.Error(), "certificate", "ca_file")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gw.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c.HTTP = &config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: ca}}
	if err := Once(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestAttachNamesAMissingCertificate(t *testing.T) {
	c := testConfig("https://gw:9091")
	missing := filepath.Join(t.TempDir(), "ca.pem")
	c.HTTP = &config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: missing}}
	spec, err := NewSpec(c)
	if err != nil {
		t.Fatal(err)
	}
	u, err := spec.Make()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Attach(t.Context()); err == nil {
		t.Error("attached without its certificate")
	} else {
		mustContain(t, err.Error(), missing)
	}
	if err := u.Detach(context.Background()); err != nil {
		t.Errorf("Detach after a failed Attach: %v", err)
	}
}
