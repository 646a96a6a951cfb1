package redis

import (
	"errors"
	"math"
	"strings"
	"time"

	"vitals/core"
	"vitals/core/integrations/kit"
)

// rest asks for what INFO does not tell. A server that does not have a command,
// or does not let us use it, tells the rest all the same.
func (c *collector) rest(r *conn, b *kit.Batch) error {
	err := c.optional("slowlog", b, func() error {
		n, err := r.number("SLOWLOG", "LEN")
		if err == nil {
			b.Add(slowlogLength, float64(n))
		}
		return err
	})
	if err != nil {
		return err
	}
	err = c.optional("latency", b, func() error {
		events, err := r.array("LATENCY", "LATEST")
		if err == nil {
			spikes(events, b)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.optional("latency histogram", b, func() error {
		commands, err := r.array("LATENCY", "HISTOGRAM")
		if err == nil {
			c.histograms(commands, b)
		}
		return err
	})
}

// refusal is why a part is not asked for until a time. A part that this server
// does not have has no reason.
type refusal struct {
	err   error
	until time.Time
}

// optional makes a refusal of the server a missing part. It is asked for again
// after minutes: each refusal counts in the server's statistics and in its log of
// denied commands.
func (c *collector) optional(part string, b *kit.Batch, ask func() error) error {
	if r, ok := c.refused[part]; ok && b.At.Before(r.until) {
		if r.err != nil {
			b.Missing(part, r.err)
		}
		return nil
	}
	delete(c.refused, part)
	err := ask()
	answer, ok := errors.AsType[serverError](err)
	if !ok {
		return err
	}
	r := refusal{until: b.At.Add(10 * time.Minute)}
	if !strings.HasPrefix(string(answer), "ERR") {
		r.err = judged(err)
		b.Missing(part, r.err)
	}
	c.refused[part] = r
	return nil
}

// spikes tells LATENCY LATEST: for each event its name, when, how long and the
// longest in milliseconds.
func spikes(events []reply, b *kit.Batch) {
	for _, e := range events {
		if len(e.items) < 3 {
			continue
		}
		name := string(e.items[0].text)
		b.Add(spikeLast, float64(e.items[1].number), name)
		b.Add(spikeSeconds, float64(e.items[2].number)/1000, name)
	}
}

// histograms tells LATENCY HISTOGRAM: for each command pairs "calls" n and
// "histogram_usec" (bound, count, ...), of which only bounds that count
// something are there; counts are cumulative already. The sum is that of
// commandstats.
func (c *collector) histograms(commands []reply, b *kit.Batch) {
	for i := 0; i+1 < len(commands); i += 2 {
		name := string(commands[i].text)
		sum, known := c.usec[name]
		if !known {
			sum = math.NaN()
		}
		h := &core.Buckets{Sum: sum}
		facts := commands[i+1].items
		for k := 0; k+1 < len(facts); k += 2 {
			switch string(facts[k].text) {
			case "calls":
				h.Count = float64(facts[k+1].number)
			case "histogram_usec":
				h.Classic = buckets(facts[k+1].items)
			}
		}
		if rising(h) {
			b.AddHistogram(commandLatency, h, name)
		}
	}
}

func buckets(pairs []reply) []core.Bucket {
	out := make([]core.Bucket, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, core.Bucket{Upper: float64(pairs[i].number), Count: float64(pairs[i+1].number)})
	}
	return out
}

// rising reports whether bounds and counts grow, as those of a histogram must.
func rising(h *core.Buckets) bool {
	last := core.Bucket{Upper: math.Inf(-1)}
	for _, k := range h.Classic {
		if k.Upper <= last.Upper || k.Count < last.Count || k.Count > h.Count {
			return false
		}
		last = k
	}
	return true
}
