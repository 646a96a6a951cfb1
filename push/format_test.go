package push

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"vitals/push/codec"
)

// T34_: whoever says no format gets text; what it is called is what it is.
func TestT34_EmptyFormatMeansText(t *testing.T) {
	for format, kind := range map[Format]string{
		"": "text/plain; version=0.0.4", FormatText: "text/plain; version=0.0.4", FormatProtobuf: "application/vnd.google.protobuf",
		FormatAuto: "application/vnd.google.protobuf", FormatOpenMetrics: "application/openmetrics-text; version=1.0.0", FormatJSON: "application/json",
	} {
		gw := newRecorder(t, status200)
		c := testConfig(gw.URL)
		c.Format = format
		if err := Once(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r := gw.requests()[0]
		if !strings.HasPrefix(r.contentType, kind) {
			t.Errorf("%q is sent as %q", format, r.contentType)
		}
		f, ok := codec.FromContentType(r.contentType)
		if !ok {
			t.Fatalf("%q cannot be read", r.contentType)
		}
		n := 0
		err := codec.Decode(f, r.body, codec.Options{}, func(f *dtoFamily) error {
			n++
			if f.GetName() != "http_server_requests_total" || f.Metric[0].Counter.GetValue() != 1 {
				return fmt.Errorf("%v", f)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%q: %d families, %v", format, n, err)
		}
	}
}

// A gateway that reads one format only is told so, not tried with others.
func TestChosenFormatsAreNotReplaced(t *testing.T) {
	gw := newRecorder(t, refuse415)
	for _, format := range []Format{FormatProtobuf, FormatText, FormatJSON} {
		c := testConfig(gw.URL)
		c.Format, c.Families = format, wide(200)
		before := len(gw.requests())
		if err := Once(t.Context(), c); err == nil {
			t.Errorf("%s: 415 was taken for a success", format)
		}
		kinds := map[string]bool{}
		for _, r := range gw.requests()[before:] {
			kinds[r.contentType] = true
		}
		if len(kinds) != 1 || len(gw.requests())-before != 2 {
			t.Errorf("%s: %d requests as %v, want compressed and plain", format, len(gw.requests())-before, kinds)
		}
	}
}

// Every compression gives back what went in, and is left away where it is refused.
func TestCompressions(t *testing.T) {
	for compression, want := range map[Compression]string{"": "gzip", Gzip: "gzip", Zstd: "zstd", None: ""} {
		gw := newRecorder(t, status200)
		c := testConfig(gw.URL)
		c.Compression, c.Families = compression, wide(500)
		if err := Once(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r := gw.requests()[0]
		if r.encoding != want {
			t.Errorf("%q: sent as %q", compression, r.encoding)
		}
		if f := r.parsed(t)["http_server_requests_total"]; !proto.Equal(f, wide(500)(nil)[0]) {
			t.Errorf("%q: something else arrived", compression)
		}
	}
	gw := newRecorder(t, refuse415)
	c := testConfig(gw.URL)
	c.Compression, c.Families = Zstd, wide(500)
	if err := Once(t.Context(), c); err == nil {
		t.Error("415 was taken for a success")
	}
	var tried []string
	for _, r := range gw.requests() {
		tried = append(tried, r.encoding)
	}
	if got := strings.Join(tried, " "); got != "zstd gzip  " {
		t.Errorf("tried %q", got)
	}
}
