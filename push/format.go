package push

import (
	"fmt"
	"slices"
	"strings"

	"vitals/core"
	"vitals/push/codec"
)

// Format is how families are written.
type Format string

// Formats. The empty one is text, as it is for the pushers of the field; auto is
// what the kind of destination takes best: of a gateway delimited protobuf, or
// text where that is refused.
const (
	FormatAuto        Format = "auto"
	FormatProtobuf    Format = "protobuf"
	FormatText        Format = "text"
	FormatOpenMetrics Format = "openmetrics"
	FormatJSON        Format = "json"
	FormatInflux      Format = "influx" // line protocol
)

// codec is Text for the empty format.
func (f Format) codec() codec.Format {
	switch f {
	case FormatProtobuf, FormatAuto:
		return codec.Protobuf
	case FormatOpenMetrics:
		return codec.OpenMetrics
	case FormatJSON:
		return codec.JSON
	case FormatInflux:
		return codec.LineProtocol
	}
	return codec.Text
}

// Compression of bodies on their way.
type Compression string

// Compressions.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
	None Compression = "none"
)

// checkFormat judges Format and Compression and fills in what they mean. Auto
// stays for a gateway, which may refuse what is best.
func (s *settings) checkFormat() error {
	switch {
	case s.Format == "":
		s.Format = FormatText
	case s.Format == FormatAuto && s.Kind != Pushgateway:
		s.Format = s.kind.formats[0]
	case s.Format != FormatAuto && !slices.Contains(s.kind.formats, s.Format):
		return fmt.Errorf("push format %q: a %s takes %s", core.Clean(string(s.Format), 32), s.Kind, words(s.kind.formats))
	}
	switch s.Compression {
	case "":
		s.Compression = Gzip
	case Gzip, Zstd, None:
	default:
		return fmt.Errorf("push compression %q: use gzip, zstd or none", core.Clean(string(s.Compression), 32))
	}
	return nil
}

func words(formats []Format) string {
	var out []string
	for _, f := range formats {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

// encoding is one way to write a body.
type encoding struct {
	format codec.Format
	packed Compression // None, or how it is compressed
}

// encodings of s in the order of preference. Pushgateways from 1.5 on read gzip,
// all read delimited protobuf, and some receivers of the same protocol read text
// only; none of them says so beforehand. What one refuses (400, 415) is tried
// in the next form, and what worked is kept.
func (s *settings) encodings() []encoding {
	format := s.Format.codec()
	var out []encoding
	switch s.Compression {
	case Zstd:
		out = append(out, encoding{format, Zstd}, encoding{format, Gzip})
	case Gzip:
		out = append(out, encoding{format, Gzip})
	}
	out = append(out, encoding{format, None})
	if s.Format == FormatAuto {
		out = append(out, encoding{codec.Text, None})
	}
	return out
}
