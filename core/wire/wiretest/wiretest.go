// Package wiretest is what the tests of protocol parsers share: recordings of
// real conversations, the properties that every parser has, and a proxy that
// shows a parser what a real client and a real server say.
package wiretest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"vitals/core/wire"
)

// Turn is one transfer of a recording.
type Turn struct {
	From wire.Side
	Data []byte
}

// Recording is one connection.
type Recording []Turn

// Load reads a recording: lines of ">" for the client or "<" for the server and
// a quoted Go string; lines of "#" are comments.
func Load(t testing.TB, path string) Recording {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rec Recording
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		data, err := strconv.Unquote(strings.TrimSpace(line[1:]))
		if err != nil || line[0] != '<' && line[0] != '>' {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		from := wire.Client
		if line[0] == '<' {
			from = wire.Server
		}
		rec = append(rec, Turn{from, []byte(data)})
	}
	if len(rec) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return rec
}

// LoadAll reads all recordings (*.rec) of a folder, by their names.
func LoadAll(t testing.TB, folder string) map[string]Recording {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(folder, "*.rec"))
	if len(paths) == 0 {
		t.Fatalf("no recordings in %s", folder)
	}
	all := make(map[string]Recording)
	for _, p := range paths {
		all[strings.TrimSuffix(filepath.Base(p), ".rec")] = Load(t, p)
	}
	return all
}

// Text is a recording as Load reads it.
func (r Recording) Text() string {
	var b strings.Builder
	for _, turn := range r {
		fmt.Fprintf(&b, "%c %q\n", "><"[turn.From], turn.Data)
	}
	return b.String()
}

// Step is the time between two turns, and half of it how long a turn takes.
const Step = 1000

// Spans gives the turns as spans, all captured.
func (r Recording) Spans() []wire.Span {
	spans := make([]wire.Span, len(r))
	for i, turn := range r {
		at := int64(i+1) * Step
		spans[i] = wire.Span{From: turn.From, Data: turn.Data, Size: int64(len(turn.Data)), First: at, Last: at}
	}
	return spans
}

// Exchanges gives one span for each change of direction, with at most asked
// bytes captured of what the client sent and answered of what the server sent.
func (r Recording) Exchanges(asked, answered int) []wire.Span {
	var spans []wire.Span
	for _, s := range r.Spans() {
		if n := len(spans); n > 0 && spans[n-1].From == s.From {
			last := &spans[n-1]
			last.Data, last.Size, last.Last = append(bytes.Clone(last.Data), s.Data...), last.Size+s.Size, s.Last
		} else {
			spans = append(spans, s)
		}
	}
	for i := range spans {
		spans[i].Turn = true
		limit := asked
		if spans[i].From == wire.Server {
			limit = answered
		}
		spans[i].Data = spans[i].Data[:min(limit, len(spans[i].Data))]
	}
	return spans
}

// Result is everything that a parser said of a connection.
type Result struct {
	Exchanges       []wire.Exchange
	Unpaired        int
	Parsed, Skipped int64
	Wrong           bool
	Switch, Blind   string
}

// Feed shows spans to a new parser, and then the end of the connection when
// reason is not empty.
func Feed(p *wire.Protocol, spans []wire.Span, joined bool, reason string) Result {
	conn := p.New(wire.Options{Names: wire.NewNames(1000, nil), Joined: joined})
	var r Result
	var out wire.Out
	take := func() {
		r.Exchanges = append(r.Exchanges, out.Exchanges...)
		r.Unpaired += out.Unpaired
		r.Parsed += out.Parsed
		r.Skipped += out.Skipped
		r.Wrong = r.Wrong || out.Wrong
		if out.Switch != "" {
			r.Switch = out.Switch
		}
		if out.Blind != "" {
			r.Blind = out.Blind
		}
		out.Reset()
	}
	var last int64
	for i := range spans {
		s := spans[i]
		s.Data = bytes.Clone(s.Data) // parsers must not keep it
		conn.Feed(&s, &out)
		clear(s.Data)
		take()
		last = s.Last
		if r.Wrong || r.Switch != "" || r.Blind != "" {
			return r
		}
	}
	if reason != "" {
		conn.End(last+Step, reason, &out)
		take()
	}
	return r
}

// Check tests what holds for every parser and recording: the split of the bytes
// into transfers does not matter, every byte is accounted for, times are in
// order, and less that was captured never makes more that is said.
func Check(t *testing.T, p *wire.Protocol, rec Recording) Result {
	t.Helper()
	whole := CheckSplits(t, p, rec)
	for _, heads := range [][2]int{{256, 64}, {1024, 1024}, {64, 16}, {20, 5}, {5, 0}, {1, 1}} {
		spans := rec.Exchanges(heads[0], heads[1])
		got := Feed(p, spans, false, "reset")
		name := fmt.Sprintf("with heads of %d and %d bytes", heads[0], heads[1])
		checkSane(t, name, spans, got)
		if len(got.Exchanges) > len(whole.Exchanges) {
			t.Errorf("%s: %d exchanges, there are %d", name, len(got.Exchanges), len(whole.Exchanges))
		}
		if len(got.Exchanges) < len(whole.Exchanges) && got.Skipped == 0 && !got.Wrong {
			t.Errorf("%s: %d exchanges of %d, and nothing skipped", name, len(got.Exchanges), len(whole.Exchanges))
		}
	}
	return whole
}

// CheckSplits is Check without what holds for short captures only where each
// message tells its length at its beginning.
func CheckSplits(t *testing.T, p *wire.Protocol, rec Recording) Result {
	t.Helper()
	whole := Feed(p, rec.Spans(), false, "reset")
	checkSane(t, "as recorded", rec.Spans(), whole)
	if whole.Skipped != 0 || whole.Unpaired != 0 || whole.Wrong {
		t.Errorf("as recorded: skipped %d, unpaired %d, wrong %v", whole.Skipped, whole.Unpaired, whole.Wrong)
	}
	checkSplits(t, p, rec, whole)
	checkJoins(t, p, rec)
	return whole
}

func checkSplits(t *testing.T, p *wire.Protocol, rec Recording, whole Result) {
	t.Helper()
	total := 0
	for _, turn := range rec {
		total += len(turn.Data)
	}
	step := max(1, total/1500) // every byte of what is small
	for at := 1; at < total; at += step {
		same(t, fmt.Sprintf("split at byte %d", at), Feed(p, splitAt(rec.Spans(), at), false, "reset"), whole)
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 7))
		same(t, fmt.Sprintf("random split %d", seed), Feed(p, splitRandomly(rec.Spans(), r, 1+int(seed)), false, "reset"), whole)
	}
	merged := rec.Exchanges(1<<20, 1<<20)
	got := Feed(p, merged, false, "reset")
	checkSane(t, "merged by direction", merged, got)
	if len(got.Exchanges) != len(whole.Exchanges) {
		t.Errorf("merged by direction: %d exchanges, want %d", len(got.Exchanges), len(whole.Exchanges))
	}
}

// checkJoins begins in the middle, with a first span that is cut off at its front.
func checkJoins(t *testing.T, p *wire.Protocol, rec Recording) {
	t.Helper()
	spans := rec.Spans()
	for i := range spans {
		for _, cut := range []int{0, 1, 3, len(spans[i].Data) / 2} {
			if cut >= len(spans[i].Data) {
				continue
			}
			rest := append([]wire.Span(nil), spans[i:]...)
			rest[0].Data = rest[0].Data[cut:]
			rest[0].Size = int64(len(rest[0].Data))
			checkSane(t, fmt.Sprintf("joined at turn %d, byte %d", i, cut), rest, Feed(p, rest, true, "reset"))
		}
	}
}

func same(t *testing.T, how string, got, want Result) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	for i := range want.Exchanges {
		if i >= len(got.Exchanges) || got.Exchanges[i] != want.Exchanges[i] {
			var g any = "nothing"
			if i < len(got.Exchanges) {
				g = got.Exchanges[i]
			}
			t.Fatalf("%s: exchange %d is\n%+v, want\n%+v", how, i, g, want.Exchanges[i])
		}
	}
	t.Fatalf("%s: %d exchanges, unpaired %d, parsed %d, skipped %d; want %d, %d, %d, %d", how,
		len(got.Exchanges), got.Unpaired, got.Parsed, got.Skipped,
		len(want.Exchanges), want.Unpaired, want.Parsed, want.Skipped)
}

func checkSane(t *testing.T, how string, spans []wire.Span, r Result) {
	t.Helper()
	var size int64
	for _, s := range spans {
		size += s.Size
	}
	if !r.Wrong && r.Switch == "" && r.Blind == "" && r.Parsed+r.Skipped != size {
		t.Errorf("%s: parsed %d and skipped %d of %d bytes", how, r.Parsed, r.Skipped, size)
	}
	if err := Sane(r.Exchanges, size); err != nil {
		t.Errorf("%s: %v", how, err)
	}
}

// Sane says what is impossible in exchanges of a connection with so many bytes.
func Sane(all []wire.Exchange, size int64) error {
	var sum int64
	for i := range all {
		x := &all[i]
		switch {
		case x.Start == 0 || x.End < x.Start || x.First != 0 && (x.First < x.Start || x.First > x.End):
			return fmt.Errorf("times out of order: %+v", *x)
		case x.Asked < 0 || x.Answered < 0:
			return fmt.Errorf("a negative size: %+v", *x)
		case x.Method == "":
			return fmt.Errorf("no method: %+v", *x)
		}
		sum += x.Asked + x.Answered
	}
	if sum > size {
		return fmt.Errorf("%d bytes in exchanges of %d that went by", sum, size)
	}
	return nil
}

func splitAt(spans []wire.Span, at int) []wire.Span {
	var all []wire.Span
	for _, s := range spans {
		if at > 0 && at < len(s.Data) {
			a, b := s, s
			a.Data, b.Data = s.Data[:at], s.Data[at:]
			a.Size, b.Size = int64(len(a.Data)), int64(len(b.Data))
			all = append(all, a, b)
		} else {
			all = append(all, s)
		}
		at -= len(s.Data)
	}
	return all
}

func splitRandomly(spans []wire.Span, r *rand.Rand, max int) []wire.Span {
	var all []wire.Span
	for _, s := range spans {
		for len(s.Data) > 0 {
			n := min(1+r.IntN(max), len(s.Data))
			a := s
			a.Data, a.Size = s.Data[:n], int64(n)
			all = append(all, a)
			s.Data = s.Data[n:]
		}
	}
	return all
}

// Lines gives a line for each exchange: its method and target, then what is
// remarkable about it. It is what tables compare.
func Lines(all []wire.Exchange) []string {
	lines := make([]string, len(all))
	for i := range all {
		x := &all[i]
		words := []string{x.Method}
		add := func(ok bool, word string) {
			if ok {
				words = append(words, word)
			}
		}
		add(x.Protocol != "", x.Protocol)
		add(x.Target != "", x.Target)
		add(x.Status != 0, strconv.Itoa(x.Status))
		add(x.Code != "", x.Code)
		add(x.FailedServer || x.FailedClient, "failed")
		add(x.Error != "", x.Error)
		add(x.Stream, "stream")
		add(x.Partial, "partial")
		lines[i] = strings.Join(words, " ")
	}
	return lines
}

// WantLines compares exchanges with the lines that they should give.
func WantLines(t testing.TB, name string, got []wire.Exchange, want ...string) {
	t.Helper()
	lines := Lines(got)
	if !reflect.DeepEqual(lines, want) && len(lines)+len(want) > 0 {
		t.Errorf("%s:\n\t%s\nwant:\n\t%s", name, strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}
