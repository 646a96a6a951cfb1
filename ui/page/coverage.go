package page

import (
	"fmt"

	"vitals/core"
	"vitals/ui/canvas"
	"vitals/ui/format"
)

// CoverageText is how much of what was said is understood, in a sentence; empty
// when nothing was said. The token is a warning when something stays unseen.
func CoverageText(v *core.Coverage) (string, canvas.Token) {
	if v.Exchanges == 0 {
		return "", canvas.FG
	}
	text, tok := share(v.Parsed, v.Exchanges)+" of "+amount(v.Exchanges)+" exchanges understood", canvas.FG
	for _, part := range [...]struct {
		n    uint64
		what string
	}{{v.Encrypted, " encrypted"}, {v.Blind, " unreadable"}, {v.Unknown, " of no known protocol"}, {v.Lost, " lost"}} {
		if part.n > 0 {
			text, tok = text+", "+amount(part.n)+part.what, canvas.Warn
		}
	}
	if v.Why != "" && v.Encrypted+v.Blind > 0 {
		text += ": " + v.Why
	}
	return text, tok
}

// CoverageLines tell all of it, one thing in a line, and what each means.
func CoverageLines(v *core.Coverage) (lines []Line) {
	add := func(key, text string, tok canvas.Token) { lines = append(lines, Line{key, text, tok}) }
	add("read", fmt.Sprintf("%s of %s exchanges, %s", amount(v.Parsed), amount(v.Exchanges), share(v.Parsed, v.Exchanges)), canvas.FG)
	if all := v.BytesIn + v.BytesOut; all > 0 {
		add("bytes", fmt.Sprintf("%s in, %s out; of %s it is known what they were", size(v.BytesIn), size(v.BytesOut), share(v.BytesParsed, all)), canvas.FG)
	}
	some := func(n uint64, key, one, many, text string, tok canvas.Token) {
		switch {
		case n == 1:
			add(key, "1 "+one+text, tok)
		case n > 0:
			add(key, amount(n)+" "+many+text, tok)
		}
	}
	because := ""
	if v.Why != "" {
		because = ": " + v.Why
	}
	some(v.Encrypted, "encrypted", "exchange", "exchanges", " whose plain text cannot be had"+because, canvas.Warn)
	if v.Encrypted > 0 {
		because = ""
	}
	some(v.Blind, "blind", "exchange", "exchanges", " that cannot be read"+because, canvas.Warn)
	some(v.Unknown, "unknown", "exchange", "exchanges", " of a protocol that vitals does not know", canvas.Muted)
	some(v.Unpaired, "unpaired", "answer", "answers", " without a request, or the reverse", canvas.Muted)
	if v.Connections > 0 {
		text := fmt.Sprintf("of %s connections %s were open before vitals came", amount(v.Connections), amount(v.Joined))
		if v.Joined > 0 {
			text += ": what was asked on them before the first look is not known"
		}
		add("joined", text, canvas.Muted)
	}
	some(v.Gaps, "gaps", "time", "times", " records of a connection were missing; it was picked up again after each", canvas.Warn)
	some(v.Lost, "lost", "exchange", "exchanges", " that the kernel counted and that never reached vitals", canvas.Crit)
	return lines
}

func share(part, of uint64) string { return Percent(float64(part) / float64(of)) }
func amount(n uint64) string       { return format.Of(format.Count, float64(n)) }
func size(n uint64) string         { return format.Of(format.Bytes, float64(n)) }
