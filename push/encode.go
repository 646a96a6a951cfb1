package push

import (
	"bytes"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"

	"vitals/push/codec"
)

const (
	packAbove  = 1024    // smaller bodies are not worth it
	keepBuffer = 8 << 20 // larger buffers are kept only while they are needed
	zstdWindow = 1 << 20 // metrics repeat nearby; a larger one costs memory on both sides
)

// encoder turns families into bodies. Its buffers are reused: a body is valid
// until the next call. Not safe for concurrent use.
type encoder struct {
	plain, packed bytes.Buffer
	gzip          *gzip.Writer
	zstd          *zstd.Encoder
}

// encode returns the body and how it is compressed: None when it is small.
func (e *encoder) encode(families []*dto.MetricFamily, enc encoding) (body []byte, packed Compression, err error) {
	reset(&e.plain)
	if err := writeFamilies(&e.plain, families, enc.format); err != nil {
		return nil, None, err
	}
	if enc.packed == None || e.plain.Len() <= packAbove {
		return e.plain.Bytes(), None, nil
	}
	reset(&e.packed)
	if enc.packed == Zstd {
		err = e.packZstd()
	} else {
		err = e.packGzip()
	}
	if err != nil {
		return nil, None, err
	}
	return e.packed.Bytes(), enc.packed, nil
}

func (e *encoder) packGzip() (err error) {
	if e.gzip == nil {
		if e.gzip, err = gzip.NewWriterLevel(&e.packed, gzip.BestSpeed); err != nil {
			return err
		}
	} else {
		e.gzip.Reset(&e.packed)
	}
	if _, err := e.gzip.Write(e.plain.Bytes()); err != nil {
		return err
	}
	return e.gzip.Close()
}

func (e *encoder) packZstd() (err error) {
	if e.zstd == nil {
		if e.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true)); err != nil {
			return err
		}
	}
	e.packed.Write(e.zstd.EncodeAll(e.plain.Bytes(), e.packed.AvailableBuffer()))
	return nil
}

func writeFamilies(b *bytes.Buffer, families []*dto.MetricFamily, format codec.Format) error {
	if format != codec.Protobuf {
		return codec.Encode(b, format, families)
	}
	for _, f := range families {
		into, err := appendDelimited(b.AvailableBuffer(), f)
		if err != nil {
			return err
		}
		b.Write(into)
	}
	return nil
}

// reset empties b, and gives its memory back when it is large and the body
// before this one took little of it.
func reset(b *bytes.Buffer) {
	if b.Cap() > keepBuffer && b.Len() < b.Cap()/4 {
		*b = bytes.Buffer{}
	}
	b.Reset()
}
