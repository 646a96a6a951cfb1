package expose

import (
	"strings"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
	"vitals/core/metric"
)

// seriesKey is what makes requests equal once processes are summed up.
type seriesKey struct {
	family  *desc
	layout  *layout
	service string
	role    string

	protocol, address, method, route string
	code, scheme, errType            string
	status                           int
}

// sum is the distribution of one series: that of its only row, or a merged one.
type sum struct {
	key  seriesKey
	one  *core.Distribution
	many *metric.Durations

	status, host, port string // label values made of the key
}

func (g *sum) add(d *core.Distribution) {
	switch {
	case g.one == nil && g.many == nil:
		g.one = d
	case g.many == nil:
		g.many = &metric.Durations{}
		g.many.Add(g.one)
		fallthrough
	default:
		g.many.Add(d)
	}
}

// requests renders the histograms of requests, summed over the processes of a
// service, those that ended included.
func (f *families) requests(s *core.Snapshot) {
	groups := make(map[seriesKey]int, len(s.Requests))
	sums := make([]sum, 0, len(s.Requests))
	missing, open := map[untimedKey]uint64{}, map[untimedKey]uint64{}
	for _, rows := range [][]*core.RequestRow{s.Requests, s.Retired} {
		for _, r := range rows {
			if r.Stream {
				open[untimedKey{r.Service, r.Role, r.Protocol}] += r.Count
				continue
			}
			if timed := timedCount(r); r.Count > timed {
				missing[untimedKey{r.Service, r.Role, r.Protocol}] += r.Count - timed
			}
			if r.Duration == nil {
				continue
			}
			key := keyOf(r)
			i, ok := groups[key]
			if !ok {
				i = len(sums)
				groups[key] = i
				sums = append(sums, sum{key: key})
			}
			sums[i].add(r.Duration)
		}
	}
	for d, counts := range map[*desc]map[untimedKey]uint64{untimed: missing, streams: open} {
		for k, n := range counts {
			f.add(&d.Desc, float64(n), "service_name", k.service, "role", k.role.String(), "protocol", k.protocol)
		}
	}
	h, l := newHistograms(len(sums)), newLabeler(len(sums))
	metrics := make([]dto.Metric, len(sums))
	for i := range sums {
		g := &sums[i]
		d := g.one
		if g.many != nil {
			d = g.many.Snapshot()
		}
		fam := f.family(&g.key.family.Desc)
		metrics[i].Label, metrics[i].Histogram = l.next(g), h.next(d)
		fam.Metric = append(fam.Metric, &metrics[i])
	}
}

type untimedKey struct {
	service  string
	role     core.Role
	protocol string
}

func timedCount(r *core.RequestRow) uint64 {
	if r.Duration == nil {
		return 0
	}
	return r.Duration.Count
}

// splitAddress splits "host:port" and "[v6]:port"; a lone address has no port.
func splitAddress(peer string) (address, port string) {
	i := strings.LastIndexByte(peer, ':')
	if i < 0 || peer[0] != '[' && strings.IndexByte(peer, ':') != i || strings.HasSuffix(peer, "]") {
		return strings.Trim(peer, "[]"), ""
	}
	return strings.Trim(peer[:i], "[]"), peer[i+1:]
}

// histograms makes protobuf histograms; bounds are shared between all of them.
type histograms struct {
	bounds [core.ClassicBuckets - 1]float64
	zero   float64
	// Slabs: what would be many small allocations.
	list    []dto.Histogram
	buckets []dto.Bucket
	counts  []uint64
	refs    []*dto.Bucket
}

// zeroThreshold is the width of the zero bucket that client libraries use.
const zeroThreshold = 2.938735877055719e-39

func newHistograms(n int) *histograms {
	h := &histograms{zero: zeroThreshold}
	for i := range h.bounds {
		h.bounds[i] = core.ClassicBound(i)
	}
	h.list = make([]dto.Histogram, n)
	h.buckets = make([]dto.Bucket, n*len(h.bounds))
	h.counts = make([]uint64, n*len(h.bounds))
	h.refs = make([]*dto.Bucket, n*len(h.bounds))
	return h
}

// next renders d with classic buckets and as a native histogram.
func (h *histograms) next(d *core.Distribution) *dto.Histogram {
	out := &h.list[0]
	h.list = h.list[1:]
	out.SampleCount, out.SampleSum = &d.Count, &d.Sum
	if len(d.Classic) == core.ClassicBuckets {
		n := len(h.bounds)
		buckets, counts, refs := h.buckets[:n:n], h.counts[:n:n], h.refs[:n:n]
		h.buckets, h.counts, h.refs = h.buckets[n:], h.counts[n:], h.refs[n:]
		sum := uint64(0)
		for i := range buckets {
			sum += d.Classic[i]
			counts[i] = sum
			buckets[i].UpperBound, buckets[i].CumulativeCount = &h.bounds[i], &counts[i]
			refs[i] = &buckets[i]
		}
		out.Bucket = refs
	}
	out.Schema, out.ZeroThreshold, out.ZeroCount = &d.Scale, &h.zero, &d.ZeroCount
	out.PositiveSpan, out.PositiveDelta = spans(d)
	return out
}

// spans encodes the buckets as a native histogram does: runs of buckets with
// the gaps between them, and each count as the difference to the one before.
// Our bucket i is the native bucket i+1, which is named by its upper bound.
func spans(d *core.Distribution) ([]*dto.BucketSpan, []int64) {
	const gap = 2 // so many empty buckets cost less than a new run
	var runs []dto.BucketSpan
	type run struct {
		first  int32
		length uint32
	}
	var list []run
	for i, n := range d.Buckets {
		at := d.Offset + int32(i) + 1
		if n == 0 {
			continue
		}
		if last := len(list) - 1; last >= 0 && at-list[last].first-int32(list[last].length) <= gap {
			list[last].length = uint32(at - list[last].first + 1)
			continue
		}
		list = append(list, run{at, 1})
	}
	runs = make([]dto.BucketSpan, len(list))
	refs := make([]*dto.BucketSpan, len(list))
	offsets := make([]int32, len(list))
	lengths := make([]uint32, len(list))
	var deltas []int64
	end, before := int32(0), int64(0)
	for i, r := range list {
		offsets[i], lengths[i] = r.first-end, r.length
		runs[i].Offset, runs[i].Length = &offsets[i], &lengths[i]
		refs[i] = &runs[i]
		end = r.first + int32(r.length)
		for b := range r.length {
			n := int64(d.Buckets[r.first-1-d.Offset+int32(b)])
			deltas = append(deltas, n-before)
			before = n
		}
	}
	return refs, deltas
}
