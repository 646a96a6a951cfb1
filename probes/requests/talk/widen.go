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

// widen asks for more of a connection when the heads of an exchange held more
// than one request, or answers to requests that they did not hold.
func (p *Reader) widen(c *connection, r *Record) {
	cut := int64(len(r.Request)) < r.asked() || int64(len(r.Response)) < r.answered()
	if !cut || p.told < 2 && p.unpaired == 0 || c.captured.Stream || c.widened >= maxWidened {
		return
	}
	c.widened++
	c.transfers, c.gained = 0, 0
	p.capture(c, Capture{Stream: true, Head: wideHead})
	if p.tune != nil {
		p.tune.Endpoint(r.endpoint(), c.captured)
	}
}

// review takes a wide connection back that has no pipelines after all: a request
// and its answer are two transfers at least.
func (p *Reader) review(c *connection, r *Record) {
	if c.proto == nil || captureFor(c.proto).Stream {
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
	p.capture(c, captureFor(c.proto))
	if p.tune != nil {
		p.tune.Endpoint(r.endpoint(), c.captured)
	}
}
