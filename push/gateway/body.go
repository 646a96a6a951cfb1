package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"vitals/core"
	"vitals/push/codec"
)

// intake reads bodies within limits. Safe for concurrent use.
type intake struct {
	limits  Limits
	timeout time.Duration
	held    atomic.Int64 // bytes of bodies in memory
}

const encodings = "gzip, zstd, snappy, deflate"

// body is a request's content, decompressed.
type body struct {
	data    []byte
	format  codec.Format
	wire    int64 // bytes as sent
	release func()
}

// read takes in the whole body, within the deadline of ctx also when it comes
// slowly. The caller calls release when it is done with the data.
func (in *intake) read(ctx context.Context, w http.ResponseWriter, r *http.Request) (*body, error) {
	if r.ContentLength > in.limits.Body {
		return nil, tooLarge("", r.ContentLength, in.limits.Body)
	}
	b := &body{}
	var held int64
	b.release = func() { in.held.Add(-held) }
	hold := func(n int64) error {
		held += n
		if in.held.Add(n) > in.limits.InFlight {
			return unavailable("too many bodies at one time: %d bytes are taken", in.limits.InFlight)
		}
		return nil
	}
	err := in.fill(ctx, w, r, b, hold)
	if err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

func (in *intake) fill(ctx context.Context, w http.ResponseWriter, r *http.Request, b *body, hold func(int64) error) error {
	control := http.NewResponseController(w)
	if deadline, ok := ctx.Deadline(); ok {
		// Without support for deadlines the server's own must do.
		_ = control.SetReadDeadline(deadline)
	}
	raw, err := collect(http.MaxBytesReader(w, r.Body, in.limits.Body), r.ContentLength, hold)
	b.wire = int64(len(raw))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		// After a failure it stays: the server reads what is left of the body.
		_ = control.SetReadDeadline(time.Time{})
	case errors.As(err, &over):
		return tooLarge("", -1, over.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return unavailable("the body did not come within %v", in.timeout)
	default:
		return readError(err)
	}
	if b.data, err = in.decompress(r.Header.Get("Content-Encoding"), raw, hold); err != nil {
		return err
	}
	if b.format, err = formatOf(r.Header.Get("Content-Type"), b.data); err != nil {
		return err
	}
	need := decodeCost(b.format, b.data)
	if need > in.limits.InFlight {
		return &refusal{status: http.StatusRequestEntityTooLarge,
			err: fmt.Errorf("decoding takes about %d bytes of memory, at most %d are given: push in parts, or as protobuf: %w", need, in.limits.InFlight, ErrTooLarge)}
	}
	return hold(need)
}

// decodeCost estimates the memory that decoding takes: of text and JSON the
// whole is built at once, of protobuf a part.
func decodeCost(f codec.Format, data []byte) int64 {
	switch f {
	case codec.Text, codec.OpenMetrics:
		return 400 * int64(bytes.Count(data, []byte{'\n'}))
	case codec.JSON:
		return 400 * int64(bytes.Count(data, []byte{'{'}))
	}
	return 0
}

// readError keeps our own refusals and makes the rest the sender's fault.
func readError(err error) error {
	if ref, ok := errors.AsType[*refusal](err); ok {
		return ref
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("unexpected end of input: %w", io.ErrUnexpectedEOF)
	}
	return malformed("read body: %w", err)
}

// collect reads all of r and accounts for it as it comes.
func collect(r io.Reader, expected int64, hold func(int64) error) ([]byte, error) {
	buf := make([]byte, 0, min(max(expected+1, 512), 64<<10))
	if err := hold(int64(cap(buf))); err != nil {
		return nil, err
	}
	for {
		if len(buf) == cap(buf) {
			if err := hold(int64(cap(buf))); err != nil {
				return nil, err
			}
			grown := make([]byte, len(buf), 2*cap(buf))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

func (in *intake) decompress(encoding string, raw []byte, hold func(int64) error) ([]byte, error) {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	if encoding == "" || encoding == "identity" {
		return raw, nil
	}
	z, err := decompressor(encoding, raw, in.limits.Decompressed)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	data, err := collect(io.LimitReader(z, in.limits.Decompressed+1), 0, hold)
	switch {
	case int64(len(data)) > in.limits.Decompressed || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, tooLarge(" decompressed", -1, in.limits.Decompressed)
	case err != nil:
		if ref, ok := errors.AsType[*refusal](err); ok {
			return nil, ref
		}
		return nil, malformed("decompress %s: %w", encoding, err)
	}
	return data, nil
}

const maxWindow = 8 << 20 // of zstd: what its specification asks decoders to support

func decompressor(encoding string, raw []byte, limit int64) (io.ReadCloser, error) {
	in := bytes.NewReader(raw)
	var z io.ReadCloser
	var err error
	switch encoding {
	case "gzip", "x-gzip":
		z, err = gzip.NewReader(in)
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			z = d.IOReadCloser()
		}
	case "snappy", "x-snappy-framed":
		if z, err = io.NopCloser(snappy.NewReader(in)), nil; !bytes.HasPrefix(raw, []byte("\xff\x06\x00\x00sNaPpY")) {
			z, err = snappyBlock(raw, limit)
		}
	case "deflate":
		// The name means zlib; many send it without its frame.
		if len(raw) > 1 && raw[0]&0x0f == 8 && (int(raw[0])<<8|int(raw[1]))%31 == 0 {
			z, err = zlib.NewReader(in)
		} else {
			z = flate.NewReader(in)
		}
	default:
		return nil, &refusal{status: http.StatusUnsupportedMediaType, err: fmt.Errorf("content encoding %q is not one of: %s", core.Clean(encoding, 64), encodings)}
	}
	if ref, ok := errors.AsType[*refusal](err); ok {
		return nil, ref
	}
	if err != nil {
		return nil, malformed("decompress %s: %w", encoding, err)
	}
	return z, nil
}

// snappyBlock decodes a block, the form without a frame, which is decoded at once.
func snappyBlock(raw []byte, limit int64) (io.ReadCloser, error) {
	n, err := snappy.DecodedLen(raw)
	if err != nil {
		return nil, err
	}
	if int64(n) > limit {
		return nil, tooLarge(" decompressed", int64(n), limit)
	}
	// Blocks compress no better than 1 to 22: a length beyond is a lie.
	if n > 32*len(raw)+64 {
		return nil, snappy.ErrTooLarge
	}
	data, err := snappy.Decode(nil, raw)
	return io.NopCloser(bytes.NewReader(data)), err
}

// formatOf reads the Content-Type. What curl sends by default, and nothing at
// all, is text when the body looks like it.
func formatOf(header string, data []byte) (codec.Format, error) {
	if header == "" || strings.HasPrefix(header, "application/x-www-form-urlencoded") {
		if len(data) == 0 || looksLikeText(data) {
			return codec.Text, nil
		}
	}
	if f, ok := codec.FromContentType(header); ok {
		return f, nil
	}
	return codec.Unset, &refusal{status: http.StatusUnsupportedMediaType, err: fmt.Errorf("content type %q is not one of: %s", core.Clean(header, 128), codec.Accepted)}
}

// looksLikeText: no metric in text has control characters, and every encoded one does.
func looksLikeText(data []byte) bool {
	for _, c := range data[:min(len(data), 512)] {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
