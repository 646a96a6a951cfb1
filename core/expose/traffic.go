package expose

import "vitals/core"

// traffic renders how much of what services said was understood.
func (f *families) traffic(s *core.Snapshot) {
	for _, svc := range s.Services {
		c := &svc.Coverage
		if c.Exchanges+c.BytesIn+c.BytesOut == 0 {
			continue
		}
		rest := c.Exchanges
		for _, o := range []struct {
			outcome string
			n       uint64
		}{
			{"parsed", c.Parsed}, {"unknown", c.Unknown}, {"encrypted", c.Encrypted}, {"blind", c.Blind}, {"unpaired", c.Unpaired}, {"lost", c.Lost},
		} {
			f.add(&exchanges.Desc, float64(o.n), "service_name", svc.Name, "outcome", o.outcome)
			rest -= min(rest, o.n)
		}
		f.add(&exchanges.Desc, float64(rest), "service_name", svc.Name, "outcome", "not understood")
		all := c.BytesIn + c.BytesOut
		f.add(&socketBytes.Desc, float64(min(c.BytesParsed, all)), "service_name", svc.Name, "outcome", "parsed")
		f.add(&socketBytes.Desc, float64(all-min(c.BytesParsed, all)), "service_name", svc.Name, "outcome", "not parsed")
		f.add(&connections.Desc, float64(c.Joined), "service_name", svc.Name, "joined", "true")
		f.add(&connections.Desc, float64(c.Connections-min(c.Joined, c.Connections)), "service_name", svc.Name, "joined", "false")
	}
}

// edges renders who calls whom. What came from outside is what is left when the
// known callers are taken away: not a counter.
func (f *families) edges(s *core.Snapshot) {
	for _, e := range s.Edges {
		if e.From == "outside" {
			continue
		}
		f.add(&edgeRequests.Desc, float64(e.Count), "client", e.From, "server", e.To, "protocol", e.Protocol)
		f.add(&edgeErrors.Desc, float64(e.Errors), "client", e.From, "server", e.To, "protocol", e.Protocol)
	}
}
