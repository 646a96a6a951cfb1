package push

import (
	"bytes"

	"github.com/klauspost/compress/gzip"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// encoding is one way to write a body.
type encoding struct {
	format expfmt.Format
	gzip   bool
}

// encodings in the order of preference. Pushgateways from 1.5 on read gzip, all
// read delimited protobuf, and some receivers of the same protocol read text
// only; none of them says so beforehand. What one refuses (400, 415) is tried
// in the next form, and what worked is kept.
func encodings() []encoding {
	return []encoding{
		{expfmt.NewFormat(expfmt.TypeProtoDelim), true},
		{expfmt.NewFormat(expfmt.TypeProtoDelim), false},
		{expfmt.NewFormat(expfmt.TypeTextPlain), false},
	}
}

const (
	gzipAbove  = 1024    // smaller bodies are not worth it
	keepBuffer = 8 << 20 // larger buffers are not kept between pushes
)

// encoder turns families into bodies. Its buffers are reused: a body is valid
// until the next call. Not safe for concurrent use.
type encoder struct {
	plain, packed bytes.Buffer
	zip           *gzip.Writer
}

// encode returns the body and whether it is compressed.
func (e *encoder) encode(families []*dto.MetricFamily, enc encoding) (body []byte, zipped bool, err error) {
	reset(&e.plain)
	for _, f := range families {
		if err := writeFamily(&e.plain, f, enc.format); err != nil {
			return nil, false, err
		}
	}
	if !enc.gzip || e.plain.Len() <= gzipAbove {
		return e.plain.Bytes(), false, nil
	}
	reset(&e.packed)
	if e.zip == nil {
		if e.zip, err = gzip.NewWriterLevel(&e.packed, gzip.BestSpeed); err != nil {
			return nil, false, err
		}
	} else {
		e.zip.Reset(&e.packed)
	}
	if _, err := e.zip.Write(e.plain.Bytes()); err != nil {
		return nil, false, err
	}
	if err := e.zip.Close(); err != nil {
		return nil, false, err
	}
	return e.packed.Bytes(), true, nil
}

func writeFamily(b *bytes.Buffer, f *dto.MetricFamily, format expfmt.Format) error {
	if format.FormatType() != expfmt.TypeProtoDelim {
		_, err := expfmt.MetricFamilyToText(b, f)
		return err
	}
	into, err := appendDelimited(b.AvailableBuffer(), f)
	if err != nil {
		return err
	}
	b.Write(into)
	return nil
}

func reset(b *bytes.Buffer) {
	if b.Cap() > keepBuffer {
		*b = bytes.Buffer{}
	}
	b.Reset()
}
