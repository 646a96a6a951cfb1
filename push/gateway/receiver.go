package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"

	"vitals/core"
	"vitals/push/codec"
	"vitals/push/transform"
)

// Receiver is an http.Handler that keeps nothing: a push to any path is decoded,
// transformed, encoded and given to a sink. It is what a collector of usage
// figures needs; a Gateway is what Prometheus needs.
type Receiver struct {
	ReceiverConfig
	intake intake
}

// ReceiverConfig describes a Receiver. Sink is required.
type ReceiverConfig struct {
	Sink Sink
	// Transforms are applied in order. Nil means AddTimestamps; empty means none.
	Transforms []transform.Func
	// Format is how the sink gets a push; unset means the format it came in.
	Format  codec.Format
	Limits  Limits
	Timeout time.Duration // of the whole request, 0 means 10 s
	// UTF8Names allows any UTF-8 as name of metrics and labels.
	UTF8Names bool
}

// NewReceiver makes a receiver.
func NewReceiver(c ReceiverConfig) (*Receiver, error) {
	if c.Sink == nil {
		return nil, fmt.Errorf("receiver: a sink is required")
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Transforms == nil {
		c.Transforms = []transform.Func{transform.AddTimestamps(nil)}
	}
	c.Limits = c.Limits.withDefaults()
	return &Receiver{ReceiverConfig: c, intake: intake{limits: c.Limits, timeout: c.Timeout}}, nil
}

// ServeHTTP takes POST and PUT alike and answers 202.
func (c *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const allow = "GET, HEAD, PUT, POST"
	var err error
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		err = c.take(w, r)
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "This address takes metrics by POST and PUT, up to %d bytes.\nContent types: %s\nContent encodings: %s\n", c.Limits.Body, codec.Accepted, encodings)
		return
	default:
		err = &refusal{status: http.StatusMethodNotAllowed, allow: allow, err: fmt.Errorf("this address takes %s", allow)}
	}
	if err != nil {
		answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (c *Receiver) take(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), c.Timeout)
	defer cancel()
	b, err := c.intake.read(ctx, w, r)
	if err != nil {
		return err
	}
	defer b.release()
	m, err := message(b, c.UTF8Names, c.Limits, c.Transforms, c.Format)
	if err != nil {
		return err
	}
	m.Method = r.Method
	if err := c.Sink.WriteMessage(ctx, m); err != nil {
		if ctx.Err() != nil {
			return unavailable("not done within %v", c.Timeout)
		}
		return err
	}
	return nil
}

// message is a body as a sink gets it. Timestamps are refused before any
// transform can add some.
func message(b *body, utf8Names bool, l Limits, transforms []transform.Func, format codec.Format) (Message, error) {
	families, err := collectFamilies(b, utf8Names, l)
	if err != nil {
		return Message{}, err
	}
	if err := refuseTimestamps(families); err != nil {
		return Message{}, err
	}
	if families, err = transform.Chain(transforms...)(families); err != nil {
		return Message{}, fmt.Errorf("transform: %w", err)
	}
	if format == codec.Unset {
		format = b.format
	}
	var out bytes.Buffer
	if err := codec.Encode(&out, format, families); err != nil {
		return Message{}, err
	}
	return Message{Format: format, Body: out.Bytes()}, nil
}

func refuseTimestamps(families []*dto.MetricFamily) error {
	first, n := "", 0
	for _, f := range families {
		for _, m := range f.Metric {
			if m.TimestampMs == nil {
				continue
			}
			if n++; n == 1 {
				first = core.Clean(f.GetName(), core.MaxName)
			}
		}
	}
	if n > 0 {
		return inconsistent("%w: %s and %d more have one", ErrMetricsTimestampPresent, first, n-1)
	}
	return nil
}
