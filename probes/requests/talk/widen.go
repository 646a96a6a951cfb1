package talk

// Pipelines do not fit into what is captured of an exchange: neither all of the
// requests nor all of the answers are in its heads. Connections on which they are
// seen are handed over transfer by transfer, with as much of each as there is,
// and go back when they turn out to be ordinary.

const (
	wideHead   = 16384
	wideReview = 256 // transfers after which a wide connection is looked at
	maxWidened = 4   // times that a connection is widened
)

// deepen asks for all of each transfer when messages were lost in what was not
// captured of a connection that goes by transfer anyway.
func (p *Reader) deepen(c *connection, r *Record) {
	if p.holes == 0 || int64(len(r.Request)) >= r.size() || c.captured.Head == wideHead {
		return
	}
	p.captureAll(c, r, Capture{Stream: true, Head: wideHead})
}

// widen asks for more of a connection when the heads of an exchange held more
// than one request, or answers to requests that they did not hold.
func (p *Reader) widen(c *connection, r *Record) {
	cut := int64(len(r.Request)) < r.asked() || int64(len(r.Response)) < r.answered()
	if !cut || p.told < 2 && p.unpaired == 0 || c.captured.Stream || c.widened >= maxWidened {
		return
	}
	c.widened++
	c.transfers, c.gained = 0, 0
	p.captureAll(c, r, Capture{Stream: true, Head: wideHead})
}

// review takes a wide connection back that has no pipelines after all: a request
// and its answer are two transfers at least.
func (p *Reader) review(c *connection, r *Record) {
	if c.conn == nil || r.datagram() {
		return
	}
	if captureFor(c.proto).Stream {
		p.deepen(c, r)
		return
	}
	c.transfers++
	c.gained += p.told
	if c.transfers < wideReview {
		return
	}
	ordinary := c.gained*2 <= uint64(c.transfers)
	c.transfers, c.gained = 0, 0
	if !ordinary {
		return
	}
	p.ignore(c)
	p.captureAll(c, r, captureFor(c.proto))
}

// captureAll tells the kernel how to hand over a connection and those to come at
// its place.
func (p *Reader) captureAll(c *connection, r *Record, how Capture) {
	p.capture(c, how)
	if at := r.endpoint(); p.tune != nil && p.judge.deeper(at, how) {
		p.tune.Endpoint(at, how)
	}
}
