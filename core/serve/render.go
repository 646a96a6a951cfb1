package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"vitals/core"
	"vitals/core/diagnose"
)

// Pages are put together in memory before the first byte is sent: an error is
// still an answer, and a slow client holds a buffer, not a lock.

// worthGzip is from which size on an answer is compressed, keptBuffer up to
// which a buffer is kept for the next page.
const (
	worthGzip  = 1 << 10
	keptBuffer = 4 << 20
)

// kept buffers and compressors. A pool is safe for concurrent use and emptied by
// the collector.
type kept struct{ buffers, gzips sync.Pool }

func (k *kept) buffer() *bytes.Buffer {
	if b, ok := k.buffers.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

func (k *kept) put(b *bytes.Buffer) {
	if b.Cap() <= keptBuffer {
		b.Reset()
		k.buffers.Put(b)
	}
}

func (k *kept) gzip(w io.Writer) *gzip.Writer {
	if z, ok := k.gzips.Get().(*gzip.Writer); ok {
		z.Reset(w)
		return z
	}
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
	return z
}

// errBusy is answered when too many pages are put together already.
var errBusy = errors.New("too many requests at one time: come back in a second")

// token takes a place among those that put a page together.
func (s *Server) token(r *http.Request) (release func(), err error) {
	release = func() { <-s.renders }
	select {
	case s.renders <- struct{}{}: // a free place is had whatever else has come meanwhile
		return release, nil
	default:
	}
	timer := time.NewTimer(s.cfg.Limits.Wait)
	defer timer.Stop()
	select {
	case s.renders <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, errBusy
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// send puts a page together and sends it, compressed if the client takes that.
func (s *Server) send(w http.ResponseWriter, r *http.Request, code int, contentType string, render func(io.Writer) error) error {
	release, err := s.token(r)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		return errors.Join(err, answer(w, http.StatusServiceUnavailable, err.Error()))
	}
	b := s.kept.buffer()
	defer s.kept.put(b)
	err = func() error {
		defer release()
		return render(b)
	}()
	if err != nil {
		return errors.Join(err, answer(w, http.StatusInternalServerError, diagnose.Redact(err.Error())))
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept, Accept-Encoding")
	if b.Len() < worthGzip || !takesGzip(r.Header) {
		h.Set("Content-Length", strconv.Itoa(b.Len()))
		w.WriteHeader(code)
		if r.Method == http.MethodHead {
			return nil
		}
		_, err = w.Write(b.Bytes())
		return err
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	if r.Method == http.MethodHead {
		return nil
	}
	z := s.kept.gzip(w)
	defer s.kept.gzips.Put(z)
	_, err = z.Write(b.Bytes())
	return errors.Join(err, z.Close())
}

// takesGzip reads Accept-Encoding: gzip is taken when it is named without q=0.
func takesGzip(h http.Header) bool {
	for _, line := range h.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				_, q, found := strings.Cut(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
				v, err := strconv.ParseFloat(q, 64)
				return !found || err == nil && v > 0
			}
		}
	}
	return false
}

// formats that metrics are told in, by preference.
func formats() []expfmt.Format {
	return []expfmt.Format{
		expfmt.FmtProtoDelim, expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtText,
	}
}

// exposition sends families in the form that the client prefers. A family that
// cannot be told is left out, and the header Vitals-Partial says so; problem is
// told there, too.
func (s *Server) exposition(w http.ResponseWriter, r *http.Request, families []*dto.MetricFamily, problem error) error {
	format := expfmt.NegotiateAccept(r.Header, formats()...)
	return s.send(w, r, http.StatusOK, string(format), func(out io.Writer) error {
		b := out.(*bytes.Buffer)
		enc := expfmt.NewEncoder(b, format)
		for _, f := range families {
			before := b.Len()
			if err := enc.Encode(f); err != nil {
				b.Truncate(before)
				problem = errors.Join(problem, fmt.Errorf("%s: %w", f.GetName(), err))
			}
		}
		if problem != nil {
			text := diagnose.Redact(problem.Error())
			w.Header().Set("Vitals-Partial", core.Clean(text, core.MaxRoute))
			s.warn("some metrics could not be told", text)
		}
		if c, ok := enc.(expfmt.Closer); ok {
			return c.Close()
		}
		return nil
	})
}

// warn logs what is wrong when it is not what was logged last: a page is asked
// for every few seconds.
func (s *Server) warn(what, why string) {
	if text := what + why; s.said.Swap(text) != text {
		s.cfg.Log.Warn(what, "error", why)
	}
}
