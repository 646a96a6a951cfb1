package gateway

import (
	"context"
	"fmt"
	"log/slog"

	"vitals/push/codec"
)

// Store keeps groups over restarts. It is used by one goroutine at a time.
type Store interface {
	// Load calls f with the data of every group, in any order. Data that f calls
	// corrupt (ErrCorrupt) is set aside, other errors of f end Load.
	Load(f func(data []byte) error) error
	// Commit stores all changes, or returns an error and keeps what it can of the
	// state before; the gateway stores those groups again later. What was
	// committed survives a crash of the machine.
	Commit(changes []Change) error
	// Close releases what the store holds.
	Close() error
}

// Change is the new state of one group.
type Change struct {
	ID   string // unique for each grouping key; any bytes
	Data []byte // nil when the group is gone
}

// Message is a push that was taken, as sinks get it: transformed and encoded.
type Message struct {
	Key    Key    // nil from a Receiver
	Method string // PUT or POST
	Format codec.Format
	Body   []byte
}

// Sink takes messages, several at a time. It must not keep the body and must
// return when ctx ends.
type Sink interface {
	WriteMessage(ctx context.Context, m Message) error
}

// LogSink writes every push to a log, at level Info.
type LogSink struct{ Log *slog.Logger }

// WriteMessage logs m.
func (s LogSink) WriteMessage(ctx context.Context, m Message) error {
	body := string(m.Body)
	if m.Format == codec.Protobuf || m.Format == codec.Unset {
		body = fmt.Sprintf("%d bytes of protobuf", len(m.Body))
	}
	s.Log.InfoContext(ctx, "push", "group", m.Key.String(), "method", m.Method, "body", body)
	return nil
}
