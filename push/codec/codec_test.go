package codec

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func labels(kv ...string) (out []*dto.LabelPair) {
	for i := 0; i+1 < len(kv); i += 2 {
		out = append(out, &dto.LabelPair{Name: proto.String(kv[i]), Value: proto.String(kv[i+1])})
	}
	return out
}

func family(name string, kind dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: proto.String(name), Help: proto.String("help \"of\" \\ it\nall"), Type: kind.Enum(), Metric: metrics}
}

// sample has every kind of metric and the values that formats stumble over.
func sample() []*dto.MetricFamily {
	gauges := family("a_gauge", dto.MetricType_GAUGE)
	for i, v := range []float64{1.5, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -0.1} {
		gauges.Metric = append(gauges.Metric, &dto.Metric{
			Label: labels("i", string(rune('a'+i)), "text", "ü\"\\\n,= "), Gauge: &dto.Gauge{Value: proto.Float64(v)},
		})
	}
	return []*dto.MetricFamily{
		gauges,
		family("b_total", dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(7)}}),
		family("c_seconds", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{
			SampleCount: proto.Uint64(3), SampleSum: proto.Float64(4.5),
			Bucket: []*dto.Bucket{
				{UpperBound: proto.Float64(1), CumulativeCount: proto.Uint64(1)},
				{UpperBound: proto.Float64(math.Inf(1)), CumulativeCount: proto.Uint64(3)},
			},
		}}),
		family("d_summary", dto.MetricType_SUMMARY, &dto.Metric{Label: labels("x", "y"), Summary: &dto.Summary{
			SampleCount: proto.Uint64(2), SampleSum: proto.Float64(3),
			Quantile: []*dto.Quantile{{Quantile: proto.Float64(0.5), Value: proto.Float64(1)}, {Quantile: proto.Float64(0.9), Value: proto.Float64(math.NaN())}},
		}}),
		family("e_untyped", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: proto.Float64(-1)}}),
	}
}

func exponential() *dto.MetricFamily {
	return family("n_seconds", dto.MetricType_HISTOGRAM, &dto.Metric{Label: labels("l", "v"), Histogram: &dto.Histogram{
		SampleCount: proto.Uint64(7), SampleSum: proto.Float64(9), Schema: proto.Int32(0),
		ZeroThreshold: proto.Float64(0.001), ZeroCount: proto.Uint64(1),
		PositiveSpan:     []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(2)}, {Offset: proto.Int32(1), Length: proto.Uint32(1)}},
		PositiveDelta:    []int64{1, 1, -1}, // 1, 2, 1
		NegativeSpan:     []*dto.BucketSpan{{Offset: proto.Int32(1), Length: proto.Uint32(1)}},
		NegativeDelta:    []int64{2},
		CreatedTimestamp: &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 5},
	}})
}

func encode(t testing.TB, f Format, families []*dto.MetricFamily) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, f, families); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode joins the parts of a family.
func decode(f Format, body []byte) (out []*dto.MetricFamily, err error) {
	err = Decode(f, body, Options{}, func(part *dto.MetricFamily) error {
		if n := len(out); n > 0 && out[n-1].GetName() == part.GetName() && len(part.Metric) > 0 && len(out[n-1].Metric)%partMetrics == 0 {
			out[n-1].Metric = append(out[n-1].Metric, part.Metric...)
			return nil
		}
		out = append(out, part)
		return nil
	})
	return out, err
}

func same(t *testing.T, want, got []*dto.MetricFamily) {
	t.Helper()
	if d := cmp.Diff(want, got, protocmp.Transform(), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
}

func TestT21_ProtobufRoundTripAndConcatenatedStreams(t *testing.T) {
	in := append(sample(), exponential(), family("empty", dto.MetricType_GAUGE))
	body := encode(t, Protobuf, in)
	got, err := decode(Protobuf, body)
	if err != nil {
		t.Fatal(err)
	}
	same(t, in, got)
	got, err = decode(Protobuf, bytes.Repeat(body, 3))
	if err != nil || len(got) != 3*len(in) {
		t.Errorf("%d families of 3 streams, want %d, %v", len(got), 3*len(in), err)
	}
	// One family in many parts.
	wide := family("wide", dto.MetricType_GAUGE)
	for i := range 3*partMetrics + 1 {
		wide.Metric = append(wide.Metric, &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(float64(i))}})
	}
	got, err = decode(Protobuf, encode(t, Protobuf, []*dto.MetricFamily{wide}))
	if err != nil {
		t.Fatal(err)
	}
	same(t, []*dto.MetricFamily{wide}, got)
}

func TestT22_JSONRoundTripAndSeveralArrays(t *testing.T) {
	in := append(sample(), exponential())
	body := encode(t, JSON, in)
	got, err := decode(JSON, body)
	if err != nil {
		t.Fatal(err)
	}
	same(t, in, got)
	got, err = decode(JSON, append(append(body, " [] \n"...), body...))
	if err != nil || len(got) != 2*len(in) {
		t.Errorf("%d families of 3 arrays, %v", len(got), err)
	}
	// Numbers for types, as other encoders of the same model write them.
	got, err = decode(JSON, []byte(`[{"name":"x","type":1,"metric":[{"gauge":{"value":2}}],"help":null}]`))
	if err != nil || got[0].GetType() != dto.MetricType_GAUGE || got[0].Metric[0].Gauge.GetValue() != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{`{`, `{}`, `[`, `[{"name":"x"`, `[{"nome":"x"}]`, `[{"name":1}]`, `[{"metric":{}}]`, `[{"type":"FANCY"}]`,
		`[{"metric":[{"gauge":{"value":"five"}}]}]`, `[{"metric":[{"histogram":{"sample_count":-1}}]}]`, `[1]`, `[{"metric":[{"histogram":{"schema":99999999999}}]}]`} {
		if got, err := decode(JSON, []byte(bad)); err == nil {
			t.Errorf("%s was read as %v", bad, got)
		}
	}
}

func TestT23_DefaultIsDelimitedProtobuf(t *testing.T) {
	if !bytes.Equal(encode(t, Unset, sample()), encode(t, Protobuf, sample())) || Unset.ContentType() != Protobuf.ContentType() {
		t.Error("no format is not delimited protobuf")
	}
	f := &dto.MetricFamily{}
	if err := protodelim.UnmarshalFrom(bytes.NewReader(encode(t, Unset, sample())), f); err != nil || f.GetName() != "a_gauge" {
		t.Errorf("%v, %v", f, err)
	}
}

func TestT24_LineProtocol(t *testing.T) {
	in := append(sample(), exponential())
	in[1].Metric[0].TimestampMs = proto.Int64(1700000000123)
	in[0].Metric = in[0].Metric[:2] // 1.5 and NaN
	in[0].Metric[0].Label[1].Value = proto.String(`a b,c=d"\e`)
	in[0].Metric[0].Label = append(in[0].Metric[0].Label, labels("empty", "")...)
	var b strings.Builder
	skipped, err := WriteLines(&b, in)
	if err != nil {
		t.Fatal(err)
	}
	want := `a_gauge,i=a,text=a\ b\,c\=d"\e gauge=1.5
b_total counter=7 1700000000123000000
c_seconds 1=1,+Inf=3,count=3,sum=4.5
d_summary,x=y 0.5=1,count=2,sum=3
e_untyped value=-1
n_seconds,l=v -1=2,0.001=3,1=4,2=6,8=7,count=7,sum=9
`
	if b.String() != want || skipped != 1 {
		t.Errorf("skipped %d, got\n%swant\n%s", skipped, b.String(), want)
	}
	for _, v := range []string{"a\nb", `ends in \`} {
		skipped, _ = WriteLines(io.Discard, []*dto.MetricFamily{family("x", dto.MetricType_GAUGE, &dto.Metric{Label: labels("l", v), Gauge: &dto.Gauge{Value: proto.Float64(1)}})})
		if skipped != 1 {
			t.Errorf("%q was written", v)
		}
	}
}

func TestT25_JSONCarriesNaNAndInf(t *testing.T) {
	text := string(encode(t, JSON, sample()))
	for _, s := range []string{`"value":"NaN"`, `"value":"+Inf"`, `"value":"-Inf"`, `"upper_bound":"+Inf"`} {
		if !strings.Contains(text, s) {
			t.Errorf("no %s in %s", s, text)
		}
	}
}

func TestT26_OpenMetricsEndsInEOF(t *testing.T) {
	for _, in := range [][]*dto.MetricFamily{nil, sample()} {
		if !strings.HasSuffix(string(encode(t, OpenMetrics, in)), "# EOF\n") {
			t.Errorf("%d families: no # EOF", len(in))
		}
	}
}

func TestT27_SameFamiliesSameBytes(t *testing.T) {
	for _, f := range []Format{Protobuf, Text, OpenMetrics, JSON, LineProtocol} {
		first := encode(t, f, append(sample(), exponential()))
		for range 20 {
			if !bytes.Equal(first, encode(t, f, append(sample(), exponential()))) {
				t.Errorf("%s differs", f.ContentType())
			}
		}
	}
}

func TestTextRoundTripAndTolerance(t *testing.T) {
	got, err := decode(Text, encode(t, Text, sample()))
	if err != nil {
		t.Fatal(err)
	}
	same(t, sample(), got)
	for _, body := range []string{"x 1", "x 1\r\n", "x 1\n", "# HELP x h\r\nx 1"} {
		got, err := decode(Text, []byte(body))
		if err != nil || len(got) != 1 || got[0].Metric[0].Untyped.GetValue() != 1 || strings.Contains(got[0].GetHelp(), "\r") {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	for _, body := range []string{"x", "x{", "x 1 2 3", "# TYPE x fancy\nx 1", "1x 1", "x{a=\"\xff\"} 1"} {
		if got, err := decode(Text, []byte(body)); err == nil {
			t.Errorf("%q was read as %v", body, got)
		}
	}
}

func TestOpenMetricsIsRead(t *testing.T) {
	got, err := decode(OpenMetrics, encode(t, OpenMetrics, sample()))
	if err != nil {
		t.Fatal(err)
	}
	same(t, sample(), got)

	body := `# HELP req requests \"all\" \\ of them
# TYPE req counter
req_total{a="}# \"x\" \\"} 5 # {trace="1"} 1 2.5
req_created{a="}# \"x\" \\"} 1700000000.5
# TYPE b info
b_info{v="1"} 1
# TYPE t gauge
# UNIT t seconds
t 3
# TYPE u unknown
u 4
# TYPE gh gaugehistogram
gh_bucket{le="+Inf"} 2
gh_gcount 2
gh_gsum 3
# EOF
`
	got, err = decode(OpenMetrics, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range got {
		byName[f.GetName()] = f
	}
	req := byName["req_total"]
	if req.GetType() != dto.MetricType_COUNTER || req.GetHelp() != `requests "all" \ of them` || req.Metric[0].Counter.GetValue() != 5 ||
		req.Metric[0].Label[0].GetValue() != `}# "x" \` || req.Metric[0].Counter.CreatedTimestamp.GetNanos() != 5e8 {
		t.Errorf("counter: %v", req)
	}
	if f := byName["b_info"]; f.GetType() != dto.MetricType_GAUGE {
		t.Errorf("info: %v", f)
	}
	if f := byName["t"]; f.GetUnit() != "seconds" || f.Metric[0].Gauge.GetValue() != 3 {
		t.Errorf("gauge: %v", f)
	}
	if f := byName["u"]; f.GetType() != dto.MetricType_UNTYPED {
		t.Errorf("unknown: %v", f)
	}
	if byName["gh_gcount"] == nil || byName["req_created"] != nil {
		t.Errorf("families %v", byName)
	}
	got, err = decode(OpenMetrics, []byte("x 1 1700000000.25\n# EOF\n"))
	if err != nil || got[0].Metric[0].GetTimestampMs() != 1700000000250 {
		t.Errorf("timestamp: %v, %v", got, err)
	}
	for _, bad := range []string{"x 1\n", "x 1\n# EOF\ny 1\n# EOF", "# TYPE x fancy\n# EOF", "x{ 1\n# EOF", "x\n# EOF", "x 1 2 3\n# EOF", "x 1 soon\n# EOF",
		"# TYPE x counter\n# TYPE x counter\n# EOF", "# TYPE x counter\nx_total 1\nx_created -5\n# EOF"} {
		if got, err := decode(OpenMetrics, []byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func TestTruncatedBodiesAreErrors(t *testing.T) {
	for _, f := range []Format{Protobuf, JSON, OpenMetrics} {
		in := append(sample(), exponential())
		whole := encode(t, f, in)
		for cut := 1; cut < len(whole)-1; cut++ {
			got, err := decode(f, whole[:cut])
			switch {
			case err != nil && errors.Is(err, io.ErrUnexpectedEOF):
			case err != nil && f != Protobuf:
			case err == nil && f == Protobuf && proto.Size(got[len(got)-1]) == proto.Size(in[len(got)-1]): // on a boundary
			default:
				t.Fatalf("%s cut at %d: %d families, %v", f.ContentType(), cut, len(got), err)
			}
		}
	}
}

func TestContentTypes(t *testing.T) {
	for header, want := range map[string]Format{
		"text/plain": Text, "text/plain; version=0.0.4; charset=utf-8": Text, "TEXT/PLAIN": Text,
		"application/openmetrics-text; version=1.0.0": OpenMetrics, "application/json": JSON,
		contentProtobuf: Protobuf, contentProtobuf + "; escaping=values": Protobuf, "application/vnd.google.protobuf": Protobuf,
	} {
		if got, ok := FromContentType(header); !ok || got != want {
			t.Errorf("%s: %d, %v", header, got, ok)
		}
	}
	for _, header := range []string{"", ";", "image/png", "application/x-www-form-urlencoded", "text/plain; version=9", "text/html",
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text", "application/vnd.google.protobuf; proto=other"} {
		if got, ok := FromContentType(header); ok {
			t.Errorf("%s: %d", header, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, format := range []Format{Protobuf, Text, OpenMetrics, JSON} {
		var b bytes.Buffer
		if err := Encode(&b, format, append(sample(), exponential())); err != nil {
			f.Fatal(err)
		}
		f.Add(byte(format), b.Bytes())
	}
	f.Add(byte(OpenMetrics), []byte("# TYPE a counter\na_total 1\na_created 1\n# EOF\n"))
	f.Fuzz(func(t *testing.T, format byte, body []byte) {
		got, err := decode(Format(format), body)
		if err != nil {
			return
		}
		// What was read can be written as protobuf and read back.
		var b bytes.Buffer
		for _, family := range got {
			if _, err := protodelim.MarshalTo(&b, family); err != nil {
				return // not UTF-8: refused by whoever uses it
			}
		}
		if _, err := decode(Protobuf, b.Bytes()); err != nil {
			t.Errorf("cannot be read back: %v", err)
		}
	})
}
