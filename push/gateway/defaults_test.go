package gateway

import (
	"strings"
	"testing"
	"time"

	"vitals/push/codec"
	"vitals/push/transform"
)

func TestT19_WithoutTransformsTimestampsAreAddedAndNoneIsPossible(t *testing.T) {
	rc, k := receive(t, ReceiverConfig{})
	before := time.Now().UnixMilli()
	rc.want(202, "POST", "/", "a 1\n")
	got := k.messages()[0]
	families, err := collectFamilies(&body{data: got.Body, format: got.Format}, false, (Limits{}).withDefaults())
	if err != nil || families[0].Metric[0].GetTimestampMs() < before {
		t.Errorf("no timestamp was added: %v, %v", families, err)
	}
	rc, k = receive(t, ReceiverConfig{Transforms: []transform.Func{}})
	rc.want(202, "POST", "/", "a 1\n")
	if got := string(k.messages()[0].Body); strings.Contains(got, "a 1 ") {
		t.Errorf("explicitly no transform: %q", got)
	}
}

func TestT65_WithoutAFormatItIsThatOfTheRequest(t *testing.T) {
	rc, k := receive(t, ReceiverConfig{})
	for _, f := range []codec.Format{codec.JSON, codec.Text, codec.Protobuf, codec.OpenMetrics} {
		rc.want(202, "POST", "/", encoded(t, f, gauge("a", 1)), "Content-Type", f.ContentType())
		got := k.messages()[len(k.messages())-1]
		if got.Format != f {
			t.Errorf("came as %v, was written as %v", f, got.Format)
		}
		if families, err := collectFamilies(&body{data: got.Body, format: f}, false, (Limits{}).withDefaults()); err != nil || len(families) != 1 {
			t.Errorf("what was written as %v is not: %v", f, err)
		}
	}
	rc, k = receive(t, ReceiverConfig{Format: codec.Text})
	rc.want(202, "POST", "/", encoded(t, codec.JSON, gauge("a", 1)), "Content-Type", "application/json")
	if got := k.messages()[0]; got.Format != codec.Text || !strings.Contains(string(got.Body), "\na 1") {
		t.Errorf("asked for text: %v %q", got.Format, got.Body)
	}
}
