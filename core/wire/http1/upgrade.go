package http1

import (
	"bytes"

	"vitals/core/wire"
	"vitals/core/wire/sse"
)

// Protocols that a connection may go on with.
const (
	h2c       = "http2"
	websocket = "websocket"
)

// upgrade gives the protocol that an Upgrade header names.
func upgrade(value []byte) string {
	first, _, _ := bytes.Cut(value, []byte(","))
	switch first = bytes.TrimSpace(first); {
	case equalFold(first, websocket):
		return websocket
	case equalFold(first, "h2c"):
		return h2c
	}
	return wire.Unknown
}

// isEvents reports whether a Content-Type is that of server-sent events.
func isEvents(value []byte) bool {
	media, _, _ := bytes.Cut(value, []byte(";"))
	return equalFold(bytes.TrimSpace(media), sse.ContentType)
}
