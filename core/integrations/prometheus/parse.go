package prometheus

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"vitals/core"
)

// Limits of what one page may hold, besides its size.
const (
	maxFamilies = 5000
	maxSamples  = 200_000 // lines of series: buckets count each
	maxLabels   = 64
	maxBuckets  = 1000 // of one histogram
)

// errPage says that what answers is no metrics page, or a broken one.
var errPage = errors.New("this is no metrics page")

// parse reads a page. The families do not refer to the page.
func parse(contentType string, page []byte) ([]core.Family, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain" // as many write by hand
	}
	switch kind {
	case "application/vnd.google.protobuf":
		return parseProtobuf(page)
	case "application/openmetrics-text":
		return parseText(string(page), true)
	case "text/html", "application/json", "application/octet-stream":
		return nil, fmt.Errorf("%w: it is %s", errPage, core.Clean(kind, 64))
	}
	return parseText(string(page), false)
}

// builder makes families of samples as they come.
type builder struct {
	families []core.Family
	index    map[string]int // families by name
	// What has several lines for one series: histograms and summaries, by family
	// and labels.
	series  map[string]place
	samples int
}

type place struct{ family, series int }

func newBuilder() *builder {
	return &builder{index: map[string]int{}, series: map[string]place{}}
}

// family finds or makes a family.
func (b *builder) family(name, help string, kind core.MetricKind) (int, error) {
	if i, ok := b.index[name]; ok {
		return i, nil
	}
	if len(b.families) == maxFamilies {
		return 0, fmt.Errorf("%w: it has more than %d metrics", errPage, maxFamilies)
	}
	b.index[name] = len(b.families)
	b.families = append(b.families, core.Family{Name: name, Help: help, Kind: kind})
	return len(b.families) - 1, nil
}

// sum counts what was taken in.
func (b *builder) sum() error {
	if b.samples++; b.samples > maxSamples {
		return fmt.Errorf("%w: it has more than %d samples", errPage, maxSamples)
	}
	return nil
}

// done gives the families that have series, buckets and quantiles in order.
func (b *builder) done() []core.Family {
	out := b.families[:0]
	for _, f := range b.families {
		for _, s := range f.Series {
			if s.Buckets != nil {
				slices.SortFunc(s.Buckets.Classic, func(x, y core.Bucket) int { return cmp.Compare(x.Upper, y.Upper) })
			}
			if s.Ranks != nil {
				slices.SortFunc(s.Ranks.Quantiles, func(x, y core.Rank) int { return cmp.Compare(x.Q, y.Q) })
			}
		}
		if len(f.Series) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// own renames labels that are the framework's to give, as Prometheus does.
func own(name string) string {
	if name == "job" || name == "instance" {
		return "exported_" + name
	}
	return name
}

// key tells series of one family apart.
func key(family string, labels []core.Label) string {
	var b strings.Builder
	b.WriteString(family)
	for _, l := range labels {
		b.WriteByte(0xff)
		b.WriteString(l.Name)
		b.WriteByte(0xfe)
		b.WriteString(l.Value)
	}
	return b.String()
}
