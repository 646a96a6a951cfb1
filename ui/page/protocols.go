package page

import (
	"strings"

	"vitals/core"
)

// protocols tells which protocols each process speaks. It is worked out once for
// a snapshot, when somebody asks.
type protocols struct {
	of    *core.Snapshot
	masks map[core.ProcKey]uint64 // bits are indices of names
	names []string                // at most 64
	texts map[uint64]string
}

// Protocols names the protocols that a process answers or asks in, in short:
// "http pg redis"; "" when no request of it was read.
func (c *Context) Protocols(k core.ProcKey) string {
	p := &c.protocols
	if p.of != c.Snap {
		p.read(c.Snap)
	}
	return p.texts[p.masks[k]]
}

func (p *protocols) read(s *core.Snapshot) {
	if p.masks == nil {
		p.masks, p.texts = map[core.ProcKey]uint64{}, map[uint64]string{}
	}
	p.of = s
	clear(p.masks)
	for _, q := range s.Requests {
		if core.Recognised(q.Protocol) {
			p.masks[q.Proc] |= p.bit(q.Protocol)
		}
	}
	for _, mask := range p.masks {
		if _, known := p.texts[mask]; !known {
			p.texts[mask] = p.text(mask)
		}
	}
}

func (p *protocols) bit(protocol string) uint64 {
	for i, name := range p.names {
		if name == protocol {
			return 1 << i
		}
	}
	if len(p.names) == 64 {
		return 0
	}
	p.names = append(p.names, protocol)
	return 1 << (len(p.names) - 1)
}

func (p *protocols) text(mask uint64) string {
	var parts []string
	for i, name := range p.names {
		if mask&(1<<i) != 0 {
			parts = append(parts, Short(name))
		}
	}
	return strings.Join(parts, " ")
}

// Short is a protocol in a few letters, for columns.
func Short(protocol string) string {
	switch protocol {
	case "postgresql":
		return "pg"
	case "memcached":
		return "memc"
	case "websocket":
		return "ws"
	}
	return protocol
}
