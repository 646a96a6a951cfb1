package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"vitals/core"
)

// Status is what the stub_status module tells. Accepts, Handled and Requests
// count since nginx was started; the others are levels.
type Status struct {
	Active, Reading, Writing, Waiting uint64
	Accepts, Handled, Requests        uint64
}

// errNotStatus says that an address answers with something else.
var errNotStatus = errors.New("the page is not that of stub_status")

// parseStatus reads the page of stub_status:
//
//	Active connections: 291
//	server accepts handled requests
//	 16630948 16630948 31070465
//	Reading: 6 Writing: 179 Waiting: 106
//
// Everything must be there, in this order, and nothing else.
func parseStatus(page []byte) (Status, error) {
	var s Status
	p := parser{rest: page}
	p.words("Active", "connections:")
	p.number(&s.Active)
	p.words("server", "accepts", "handled", "requests")
	// Tengine adds the time that requests took.
	timed := p.skip("request_time")
	p.number(&s.Accepts)
	p.number(&s.Handled)
	p.number(&s.Requests)
	if timed {
		var milliseconds uint64
		p.number(&milliseconds)
	}
	p.words("Reading:")
	p.number(&s.Reading)
	p.words("Writing:")
	p.number(&s.Writing)
	p.words("Waiting:")
	p.number(&s.Waiting)
	if p.err == nil && p.next() != nil {
		p.err = errNotStatus
	}
	if p.err != nil {
		return Status{}, p.err
	}
	return s, nil
}

// parser goes through words; after the first error it stands still.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) next() []byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n")
	end := bytes.IndexAny(p.rest, " \t\r\n")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if len(word) == 0 {
		return nil
	}
	return word
}

func (p *parser) words(want ...string) {
	for _, w := range want {
		if p.err == nil && string(p.next()) != w {
			p.err = errNotStatus
		}
	}
}

func (p *parser) skip(word string) bool {
	if p.err != nil {
		return false
	}
	before := p.rest
	if string(p.next()) == word {
		return true
	}
	p.rest = before
	return false
}

func (p *parser) number(to *uint64) {
	if p.err != nil {
		return
	}
	word := p.next()
	n, err := strconv.ParseUint(string(word), 10, 64)
	if err != nil {
		p.err = fmt.Errorf("%w: %q stands where a number should", errNotStatus, core.Clean(string(word), 32))
		return
	}
	*to = n
}
