package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"vitals/push/codec"
)

type series = map[string]float64

func TestP01_PutReplacesPostMergesDeleteRemoves(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\n")
		s.want(200, "POST", "/metrics/job/j", "b{x=\"3\"} 4\nc 5\n")
		s.wantSeries(false, series{`a{instance="",job="j"}`: 1, `b{instance="",job="j",x="3"}`: 4, `c{instance="",job="j"}`: 5})
		s.want(200, "PUT", "/metrics/job/j", "c 6\n")
		s.wantSeries(false, series{`c{instance="",job="j"}`: 6})
		s.want(202, "DELETE", "/metrics/job/j", nil)
		if s.name == "reference" { // it answers 202 and deletes a moment later
			eventually(t, "the reference to be empty", func() bool { return len(s.series()) == 0 })
		}
		s.wantSeries(true, series{})
	})
}

// Requests of one connection after the other, with many in between: the last
// one decides.
func TestP01_OrderIsKept(t *testing.T) {
	s := start(t, Config{})
	for i := range 200 {
		s.want(200, "PUT", "/metrics/job/j", fmt.Sprintf("a %d\n", i))
		if i%3 == 0 {
			s.want(202, "DELETE", "/metrics/job/j", nil)
		}
	}
	s.wantSeries(false, series{`a{instance="",job="j"}`: 199})
}

func TestP02_GroupIsJobAndLabelsOfThePath(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j/zone/z/instance/i", "a 1\n")
		s.want(200, "PUT", "/metrics/job/j/zone/y/instance/i", "a 2\n")
		s.want(200, "PUT", "/metrics/job/j", "a 3\n")
		s.wantSeries(true, series{
			`a{instance="i",job="j",zone="z"}`: 1, `a{instance="i",job="j",zone="y"}`: 2, `a{instance="",job="j"}`: 3,
			`push_time_seconds{instance="i",job="j",zone="z"}`: 1, `push_time_seconds{instance="i",job="j",zone="y"}`: 1, `push_time_seconds{instance="",job="j"}`: 1,
			`push_failure_time_seconds{instance="i",job="j",zone="z"}`: 0, `push_failure_time_seconds{instance="i",job="j",zone="y"}`: 0, `push_failure_time_seconds{instance="",job="j"}`: 0,
		})
		if r := s.do("PUT", "/metrics/zone/z", "a 1\n"); r.code != 404 {
			s.t.Errorf("%s: without job: %d", s.name, r.code)
		}
	})
	s := start(t, Config{})
	mustContain(t, s.want(400, "PUT", "/metrics/job/", "a 1\n").text, "job name is required")
	s.want(400, "PUT", "/metrics/job@base64/=", "a 1\n")
}

func TestP03_Base64(t *testing.T) {
	sides(t, func(s *server) {
		for i, path := range []string{"job@base64/L3Zhci90bXA", "job@base64/L3Zhci90bXA="} { // /var/tmp
			s.want(200, "PUT", "/metrics/"+path, fmt.Sprintf("a %d\n", i))
			s.wantSeries(false, series{`a{instance="",job="/var/tmp"}`: float64(i)})
		}
		s.want(202, "DELETE", "/metrics/job@base64/L3Zhci90bXA", nil)
	})
}

// The reference takes a value that is not UTF-8 and cannot be scraped from then on.
func TestP03_Base64OfAnyValue(t *testing.T) {
	s := start(t, Config{})
	s.want(400, "PUT", "/metrics/job/j/y@base64/_-8", "a 1\n")
	s.want(200, "PUT", "/metrics/job/j/empty@base64/=/path@base64/w7wvYT8_", "a 1\n")
	s.wantSeries(false, series{`a{empty="",instance="",job="j",path="ü/a??"}`: 1})
	// What a percent-escaped slash means is clear too.
	s.want(200, "PUT", "/metrics/job/a%2Fb/p/c%20d", "b 2\n")
	if v := s.series()[`b{instance="",job="a/b",p="c d"}`]; v != 2 {
		t.Errorf("escaped path: %v", s.series())
	}
}

func TestP04_OddNumberOfComponents(t *testing.T) {
	sides(t, func(s *server) {
		for _, m := range []string{"PUT", "POST", "DELETE"} {
			mustContain(t, s.want(400, m, "/metrics/job/j/zone", "a 1\n").text, "odd number of components")
		}
		s.want(200, "PUT", "/metrics/job/j/", "a 1\n")
		s.want(200, "PUT", "/metrics/job/j/empty/", "b 1\n")
		s.wantSeries(false, series{`a{instance="",job="j"}`: 1, `b{empty="",instance="",job="j"}`: 1})
	})
}

func TestP05_ReservedAndImproperLabelNames(t *testing.T) {
	sides(t, func(s *server) {
		for _, name := range []string{"__x", "__name__", "1a", "a-b"} {
			mustContain(t, s.want(400, "PUT", "/metrics/job/j/"+name+"/v", "a 1\n").text, "improper label name")
		}
		s.wantSeries(true, series{})
	})
}

func TestP06_BadBase64(t *testing.T) {
	sides(t, func(s *server) {
		mustContain(t, s.want(400, "PUT", "/metrics/job/j/x@base64/%25", "a 1\n").text, "invalid base64 encoding")
		s.want(400, "PUT", "/metrics/job@base64/not+url/x/y", "a 1\n")
	})
}

func TestP07_UTF8NamesAreAnOption(t *testing.T) {
	s := start(t, Config{UTF8Names: true})
	s.want(200, "PUT", "/metrics/job/j/U__my_2e_label/v", `{"http.requests","da ta"="x"} 1`+"\n")
	if v := s.series()[`http.requests{da ta="x",instance="",job="j",my.label="v"}`]; v != 1 {
		t.Errorf("%v", s.series())
	}
	s = start(t, Config{})
	s.want(400, "PUT", "/metrics/job/j", `{"http.requests"} 1`+"\n")
	s.want(200, "PUT", "/metrics/job/j/U__a/v", "a 1\n") // an ordinary name then
}

func TestP08_GroupingLabelsOverwriteBodyLabels(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j/zone/z", "a{job=\"other\",zone=\"other\",x=\"1\",instance=\"mine\"} 1\n")
		s.wantSeries(false, series{`a{instance="mine",job="j",x="1",zone="z"}`: 1})
	})
}

func TestP09_InstanceIsAddedAndLabelsSorted(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a{z=\"1\",b=\"2\"} 1\n")
		s.want(200, "PUT", "/metrics/job/k/instance/i", "a{z=\"1\"} 2\n")
		s.wantSeries(false, series{`a{b="2",instance="",job="j",z="1"}`: 1, `a{instance="i",job="k",z="1"}`: 2})
		mustContain(t, s.do("GET", "/metrics", nil).text, `a{b="2",instance="",job="j",z="1"} 1`)
	})
}

func TestP10_SameLabelsInAnyOrderAreOneGroup(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j/a/1/b/2", "x 1\n")
		s.want(200, "PUT", "/metrics/job/j/b/2/a/1", "x 2\n")
		s.wantSeries(false, series{`x{a="1",b="2",instance="",job="j"}`: 2})
	})
}

func (s *server) times(job string) (pushed, failed float64) {
	s.t.Helper()
	for name, v := range map[string]*float64{pushTime: &pushed, failureTime: &failed} {
		for _, m := range s.families()[name].GetMetric() {
			if labelMap(m.Label)["job"] == job {
				*v = m.Gauge.GetValue()
			}
		}
	}
	return pushed, failed
}

func TestP11_PushAndFailureTimes(t *testing.T) {
	sides(t, func(s *server) {
		before := float64(time.Now().UnixNano()) / 1e9
		s.want(200, "PUT", "/metrics/job/j", "a 1\npush_time_seconds 77\npush_failure_time_seconds 78\n")
		pushed, failed := s.times("j")
		if pushed < before || pushed > before+20 || failed != 0 {
			t.Errorf("%s: pushed %v, failed %v after a push at %v", s.name, pushed, failed, before)
		}
		s.want(400, "PUT", "/metrics/job/j", "a 1 5\n")
		again, failed := s.times("j")
		if again != pushed || failed < pushed {
			t.Errorf("%s: a failure: pushed %v (was %v), failed %v", s.name, again, pushed, failed)
		}
		s.want(200, "POST", "/metrics/job/j", "a 2\n")
		pushed, still := s.times("j")
		if still != failed || pushed < failed {
			t.Errorf("%s: a success after it: pushed %v, failed %v (was %v)", s.name, pushed, still, failed)
		}
		s.want(400, "PUT", "/metrics/job/never", "a 1 5\n")
		if pushed, failed := s.times("never"); pushed != 0 || failed == 0 {
			t.Errorf("%s: a group that was never pushed: %v, %v", s.name, pushed, failed)
		}
	})
}

func TestP12_HelpOfTimesIsFixed(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "# HELP push_time_seconds mine\n# TYPE push_time_seconds counter\npush_time_seconds 1\n")
		f := s.families()
		if f[pushTime].GetHelp() != pushTimeHelp || f[failureTime].GetHelp() != failureTimeHelp || f[pushTime].GetType() != dto.MetricType_GAUGE {
			t.Errorf("%s: %v", s.name, f[pushTime])
		}
	})
}

func TestP13_MalformedPushesTouchNoTime(t *testing.T) {
	sides(t, func(s *server) {
		for _, body := range []string{"a{\n", "a one\n", "# TYPE a fancy\na 1\n"} {
			s.want(400, "PUT", "/metrics/job/j", body)
		}
		s.wantSeries(true, series{})
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		was, _ := s.times("j")
		s.want(400, "PUT", "/metrics/job/j", "a{\n")
		if pushed, failed := s.times("j"); pushed != was || failed != 0 {
			t.Errorf("%s: pushed %v (was %v), failed %v", s.name, pushed, was, failed)
		}
	})
}

func TestP14_TimestampsAreRefused(t *testing.T) {
	sides(t, func(s *server) {
		mustContain(t, s.want(400, "PUT", "/metrics/job/j", "a 1 1700000000000\n").text, "must not have timestamps")
		s.wantSeries(false, series{})
	})
}

func TestP15_ConsistencyCheck(t *testing.T) {
	duplicate := gauge("d", 1, "x", "1")
	duplicate.Metric = append(duplicate.Metric, gauge("d", 2, "x", "1").Metric...)
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/base", "# TYPE a gauge\na 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE s summary\ns_sum 1\ns_count 1\n# TYPE late_count gauge\nlate_count 1\n")
		was := s.series()
		for what, body := range map[string]any{
			"type of another group":   "# TYPE a counter\na 1\n",
			"untyped":                 "a 1\n",
			"duplicate in the body":   encoded(t, codec.Protobuf, duplicate),
			"duplicate in text":       "d{x=\"1\"} 1\nd{x=\"1\"} 2\n",
			"name of a histogram":     "# TYPE h_count gauge\nh_count 1\n",
			"name of a bucket":        "h_bucket 1\n",
			"name of a summary":       "s_sum 1\n",
			"histogram over a name":   "# TYPE late histogram\nlate_bucket{le=\"+Inf\"} 1\nlate_sum 1\nlate_count 1\n",
			"label twice":             encoded(t, codec.Protobuf, gauge("l", 1, "x", "1", "x", "2")),
			"label that is not UTF-8": append([]byte{0x1b, 0x0a, 1, 'l', 0x18, 1, 0x22, 0x14, 0x0a, 7, 0x0a, 1, 'x', 0x12, 2, 0xff, 0xfe}, 0x12, 9, 9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f),
			"a gauge without a value": encoded(t, codec.Protobuf, &dto.MetricFamily{Name: proto.String("g"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{}}}),
		} {
			kind := contentProtobuf
			if _, text := body.(string); text {
				kind = "text/plain"
			}
			if r := s.do("PUT", "/metrics/job/new", body, "Content-Type", kind); r.code != 400 {
				t.Errorf("%s: %s: %d %s", s.name, what, r.code, r.text)
			}
		}
		now := s.series()
		for k := range was {
			if now[k] != was[k] {
				t.Errorf("%s: %s changed from %v to %v", s.name, k, was[k], now[k])
			}
		}
		for k := range now {
			if _, ok := was[k]; !ok && !strings.HasPrefix(k, "push_") {
				t.Errorf("%s: %s was kept", s.name, k)
			}
		}
		if pushed, failed := s.times("new"); pushed != 0 || failed == 0 {
			t.Errorf("%s: times %v, %v", s.name, pushed, failed)
		}
		// The group itself may change the types of what it has.
		s.want(200, "PUT", "/metrics/job/base", "# TYPE a counter\na 1\n# TYPE h_count gauge\nh_count 1\n")
	})
}

func TestP15_DuplicatesAcrossGroups(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		s.want(200, "PUT", "/metrics/job/j/x/1", "b 1\n")
		s.want(400, "POST", "/metrics/job/j", "b{x=\"1\"} 2\n")
		// Given free by its owner, a series may be had by another.
		s.want(200, "PUT", "/metrics/job/j/x/1", "c 1\n")
		s.want(200, "POST", "/metrics/job/j", "b{x=\"1\"} 2\n")
		s.want(202, "DELETE", "/metrics/job/j", nil)
		s.want(200, "PUT", "/metrics/job/j/x/1", "b 3\n")
		s.wantSeries(false, series{`b{instance="",job="j",x="1"}`: 3})
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		s.want(400, "PUT", "/metrics/job/j/instance@base64/=", "z 2\n")
	})
	// The last push has spoiled the reference: every push is refused from then
	// on. Ours did not take in what has the same labels.
	ref := reference(t)
	ref.want(200, "PUT", "/metrics/job/j", "a 1\n")
	ref.want(400, "PUT", "/metrics/job/j/instance@base64/=", "z 2\n")
	ref.want(400, "PUT", "/metrics/job/innocent", "x 1\n")
	s := start(t, Config{})
	s.want(200, "PUT", "/metrics/job/j", "a 1\n")
	s.want(400, "PUT", "/metrics/job/j/instance@base64/=", "z 2\n")
	s.want(200, "PUT", "/metrics/job/innocent", "x 1\n")
	s.want(202, "DELETE", "/metrics/job/j", nil)
	s.want(200, "PUT", "/metrics/job/j/instance@base64/=", "a 2\n")
}

func TestP15_OwnMetrics(t *testing.T) {
	s := start(t, Config{})
	mustContain(t, s.want(400, "PUT", "/metrics/job/j", "vitals_gateway_groups 1\n").text, "gateway's own")
	// What other programs have of this kind is theirs to push.
	s.want(200, "PUT", "/metrics/job/j", "# TYPE go_goroutines gauge\ngo_goroutines 7\n# TYPE process_open_fds gauge\nprocess_open_fds 9\n")
	f := s.families()
	if f["go_goroutines"].GetMetric()[0].Gauge.GetValue() != 7 || len(f[ownPrefix+"groups"].GetMetric()) != 1 {
		t.Error("own and pushed metrics are mixed up")
	}
	ref := reference(t)
	ref.want(200, "PUT", "/metrics/job/j", "# TYPE go_goroutines gauge\ngo_goroutines 7\n")
}

func TestP16_WithoutTheCheckEverythingIsAccepted(t *testing.T) {
	s := start(t, Config{Unchecked: true})
	ref := reference(t, "--push.disable-consistency-check")
	for _, s := range []*server{s, ref} {
		s.want(202, "PUT", "/metrics/job/a", "# TYPE x gauge\nx 1\n")
		s.want(202, "PUT", "/metrics/job/b", "# TYPE x counter\nx 2\n")
		s.want(202, "PUT", "/metrics/job/a/instance@base64/=", "# TYPE x gauge\nx 3\n")
	}
	// The reference cannot be scraped any more; ours leaves out what does not fit, and counts it.
	eventually(t, "the reference to break", func() bool { return ref.do("GET", "/metrics", nil).code == 500 })
	text := s.want(200, "GET", "/metrics", nil).text
	mustContain(t, text, `x{instance="",job="a"} 1`, "# TYPE x gauge")
	if strings.Contains(text, `job="b"} 2`) || s.own("metrics_hidden_total") < 1 {
		t.Error("the counter among gauges is neither left out nor counted")
	}
}

func TestP17_StatusCodes(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		s.want(200, "POST", "/metrics/job/j", "a 1\n")
		s.want(202, "DELETE", "/metrics/job/j", nil)
		s.want(202, "DELETE", "/metrics/job/unknown", nil)
	})
	u := start(t, Config{Unchecked: true})
	u.want(202, "PUT", "/metrics/job/j", "a 1\n")
	u.want(202, "POST", "/metrics/job/j", "a 1\n")
}

func TestP18_EmptyPushes(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		s.want(400, "PUT", "/metrics/job/j", "a 1 5\n")
		first, failed := s.times("j")
		s.want(200, "POST", "/metrics/job/j", "")
		s.wantSeries(false, series{`a{instance="",job="j"}`: 1})
		second, still := s.times("j")
		if second <= first || still != failed {
			t.Errorf("%s: empty POST: %v after %v, failed %v after %v", s.name, second, first, still, failed)
		}
		s.want(200, "PUT", "/metrics/job/j", "")
		s.wantSeries(true, series{`push_time_seconds{instance="",job="j"}`: 1, `push_failure_time_seconds{instance="",job="j"}`: 1})
		if third, still := s.times("j"); third <= second || still != failed {
			t.Errorf("%s: empty PUT: %v after %v, failed %v after %v", s.name, third, second, still, failed)
		}
	})
}

// The reference refuses both; people trip on it.
func TestP19_MissingLineFeedAndCarriageReturns(t *testing.T) {
	s, ref := start(t, Config{}), reference(t)
	for job, body := range map[string]string{"nolf": "a 1", "crlf": "# TYPE a untyped\r\na 1\r\n", "both": "b{x=\"1\"} 3\r\na 1"} {
		ref.want(400, "PUT", "/metrics/job/"+job, body)
		s.want(200, "PUT", "/metrics/job/"+job, body)
		if v := s.series()[`a{instance="",job="`+job+`"}`]; v != 1 {
			t.Errorf("%s: %v", job, v)
		}
	}
}

func TestP20_GetOnAGroupIs405(t *testing.T) {
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j", "a 1\n")
		for _, m := range []string{"GET", "PATCH"} {
			r := s.want(405, m, "/metrics/job/j", nil)
			mustContain(t, r.header.Get("Allow"), "DELETE", "POST", "PUT")
		}
		s.want(405, "POST", "/metrics", "a 1\n")
		mustContain(t, s.want(200, "OPTIONS", "/metrics/job/j", nil).header.Get("Allow"), "DELETE", "POST", "PUT")
	})
}

func TestP25_HealthReadinessAndQuit(t *testing.T) {
	sides(t, func(s *server) {
		if s.want(200, "GET", "/-/healthy", nil).text != "OK" || s.want(200, "GET", "/-/ready", nil).text != "OK" {
			t.Errorf("%s: not OK", s.name)
		}
		s.want(403, "PUT", "/-/quit", nil)
		s.want(403, "POST", "/-/quit", nil)
		s.want(405, "GET", "/-/quit", nil)
	})
	quit := make(chan struct{})
	s := start(t, Config{Quit: func() { close(quit) }})
	s.want(200, "PUT", "/-/quit", nil)
	<-quit
}

func TestP26_JSONAPI(t *testing.T) {
	var answers []map[string]any
	sides(t, func(s *server) {
		s.want(200, "PUT", "/metrics/job/j/zone/z", "# HELP a h\n# TYPE a counter\na_total{x=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 1.5\ns_count 1\n")
		s.want(400, "PUT", "/metrics/job/bad", "a_total 1 5\n")
		r := s.want(200, "GET", "/api/v1/metrics", nil)
		if r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", s.name, r.header.Get("Content-Type"))
		}
		v := unmarshal(t, r.text)
		scrub(v)
		data := v["data"].([]any)
		slices.SortFunc(data, func(a, b any) int {
			return strings.Compare(fmt.Sprint(a.(map[string]any)["labels"]), fmt.Sprint(b.(map[string]any)["labels"]))
		})
		answers = append(answers, v)
		status := unmarshal(t, s.want(200, "GET", "/api/v1/status", nil).text)
		about := status["data"].(map[string]any)
		if _, err := time.Parse(time.RFC3339Nano, about["start_time"].(string)); err != nil || status["status"] != "success" || about["flags"] == nil || about["build_information"] == nil {
			t.Errorf("%s: %v", s.name, status)
		}
		s.want(202, "PUT", "/api/v1/admin/wipe", nil)
		eventually(t, s.name+" to be empty", func() bool { return len(s.series()) == 0 })
		s.want(405, "POST", "/api/v1/admin/wipe", nil)
	})
	if d := cmp.Diff(answers[1], answers[0]); d != "" {
		t.Errorf("ours differs from the reference:\n%s", d)
	}
	start(t, Config{}).want(404, "PUT", "/api/v1/admin/wipe", nil)
}
