// Package codec reads and writes metric families in the formats of pushes:
// length-delimited protobuf, Prometheus text, OpenMetrics, JSON, and line
// protocol, which is only written. The same families give the same bytes.
package codec

import (
	"errors"
	"fmt"
	"io"
	"mime"

	dto "github.com/prometheus/client_model/go"

	"vitals/core/expose"
)

// Format is a way to write metric families. The zero value is not given: it is
// written as Protobuf.
type Format uint8

// The formats.
const (
	Unset Format = iota
	Protobuf
	Text
	OpenMetrics
	JSON
	LineProtocol
)

// ErrFormat is wrapped by the error of a format that cannot be read.
var ErrFormat = errors.New("format cannot be read")

const contentProtobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

// ContentType is how the format is named in HTTP.
func (f Format) ContentType() string {
	switch f {
	case Text:
		return "text/plain; version=0.0.4; charset=utf-8"
	case OpenMetrics:
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	case JSON:
		return "application/json"
	case LineProtocol:
		return "application/vnd.influx.line-protocol; charset=utf-8"
	}
	return contentProtobuf
}

// Accepted lists the content types that Decode reads, in words for an answer.
const Accepted = contentProtobuf + "; text/plain; version=0.0.4; application/openmetrics-text; application/json"

// FromContentType gives the format of a Content-Type header; false when it is
// none that Decode reads.
func FromContentType(header string) (Format, bool) {
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		return Unset, false
	}
	switch kind {
	case "application/vnd.google.protobuf":
		if p, ok := params["proto"]; ok && p != "io.prometheus.client.MetricFamily" {
			return Unset, false
		}
		if e, ok := params["encoding"]; ok && e != "delimited" {
			return Unset, false
		}
		return Protobuf, true
	case "text/plain":
		v, given := params["version"]
		return Text, !given || v == "0.0.4" || v == "1.0.0"
	case "application/openmetrics-text":
		return OpenMetrics, true
	case "application/json":
		return JSON, true
	}
	return Unset, false
}

// Options of Decode.
type Options struct {
	// UTF8Names allows any UTF-8 text as name of a metric or label, where the
	// format checks names while it parses.
	UTF8Names bool
}

// Decode reads body and calls visit for each family; its first error ends the
// reading and is returned. A family may come in several parts, and visit may
// keep what it is given. An empty body has no families. The visits before an
// error have been made: whoever wants all or nothing collects first.
func Decode(f Format, body []byte, o Options, visit func(*dto.MetricFamily) error) error {
	switch f {
	case Unset, Protobuf:
		return decodeProtobuf(body, visit)
	case Text:
		return decodeText(body, o, visit)
	case OpenMetrics:
		return decodeOpenMetrics(body, o, visit)
	case JSON:
		return decodeJSON(body, visit)
	}
	return fmt.Errorf("%s: %w", f.ContentType(), ErrFormat)
}

// Encode writes families in the order given.
func Encode(w io.Writer, f Format, families []*dto.MetricFamily) error {
	switch f {
	case Unset, Protobuf:
		return expose.WriteDelimited(w, families)
	case Text:
		return expose.WriteText(w, families)
	case OpenMetrics:
		return expose.WriteOpenMetrics(w, families)
	case JSON:
		return encodeJSON(w, families)
	case LineProtocol:
		_, err := WriteLines(w, families)
		return err
	}
	return fmt.Errorf("format %d is not one", f)
}
