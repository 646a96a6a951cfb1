package codec

import (
	"fmt"
	"io"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Numbers of the fields of a family.
const (
	fieldName, fieldHelp, fieldType, fieldMetric, fieldUnit = 1, 2, 3, 4, 5
)

// partMetrics is how many metrics are decoded at a time: a family of a hundred
// thousand series then takes no more memory than a small one.
const partMetrics = 256

// maxMessage bounds what is decoded at once: a single metric, or all of a family
// but its metrics. Decoded it takes many times that.
const maxMessage = 1 << 20

// wire leaves out what the model does not know.
var wire = proto.UnmarshalOptions{DiscardUnknown: true}

func decodeProtobuf(body []byte, visit func(*dto.MetricFamily) error) error {
	for rest, n := body, 1; len(rest) > 0; n++ {
		message, size := protowire.ConsumeBytes(rest)
		if size < 0 {
			return fmt.Errorf("family %d, at byte %d: %w", n, len(body)-len(rest), wireError(size))
		}
		rest = rest[size:]
		head, metrics, err := decodeHead(message)
		if err == nil {
			err = decodeParts(head, message, metrics, visit)
		}
		if err != nil {
			return fmt.Errorf("family %d: %w", n, err)
		}
	}
	return nil
}

// decodeHead reads all of a family but its metrics, which it counts.
func decodeHead(message []byte) (head *dto.MetricFamily, metrics int, err error) {
	var plain []byte
	err = fields(message, func(number protowire.Number, whole, _ []byte) error {
		if number == fieldMetric {
			metrics++
		} else {
			plain = append(plain, whole...)
		}
		return sized(plain)
	})
	if err != nil {
		return nil, 0, err
	}
	head = &dto.MetricFamily{}
	return head, metrics, wire.Unmarshal(plain, head)
}

func decodeParts(head *dto.MetricFamily, message []byte, left int, visit func(*dto.MetricFamily) error) error {
	if left == 0 {
		return visit(head)
	}
	part := head
	err := fields(message, func(number protowire.Number, _, value []byte) error {
		if number != fieldMetric {
			return nil
		}
		if value == nil {
			return fmt.Errorf("%s: a metric is not a message", head.GetName())
		}
		if err := sized(value); err != nil {
			return fmt.Errorf("%s: %w", head.GetName(), err)
		}
		m := &dto.Metric{}
		if err := wire.Unmarshal(value, m); err != nil {
			return fmt.Errorf("%s: %w", head.GetName(), err)
		}
		part.Metric = append(part.Metric, m)
		if left--; left > 0 && len(part.Metric) < partMetrics {
			return nil
		}
		full := part
		part = &dto.MetricFamily{Name: head.Name, Help: head.Help, Type: head.Type, Unit: head.Unit,
			Metric: make([]*dto.Metric, 0, min(left, partMetrics))}
		return visit(full)
	})
	return err
}

func sized(message []byte) error {
	if len(message) > maxMessage {
		return fmt.Errorf("a message of %d bytes, at most %d are taken", len(message), maxMessage)
	}
	return nil
}

// fields calls f with each field: its whole bytes, and its content when it is
// length-delimited, else nil.
func fields(message []byte, f func(number protowire.Number, whole, content []byte) error) error {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return wireError(tag)
		}
		size := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if size < 0 {
			return wireError(size)
		}
		var content []byte
		if kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(message[tag:])
		}
		if err := f(number, message[:tag+size], content); err != nil {
			return err
		}
		message = message[tag+size:]
	}
	return nil
}

func wireError(code int) error {
	if err := protowire.ParseError(code); err != io.ErrUnexpectedEOF {
		return err
	}
	return fmt.Errorf("unexpected end of input: %w", io.ErrUnexpectedEOF)
}
