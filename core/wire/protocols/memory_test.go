package protocols

import (
	"runtime"
	"testing"

	"vitals/core/wire"
	"vitals/core/wire/wiretest"
)

// A connection costs little after a conversation: tens of thousands of them
// fit into a small process.
func TestConnectionsAreSmall(t *testing.T) {
	const many, limit = 2000, 4 << 10
	names := wire.NewNames(1000, nil)
	for _, c := range []struct{ protocol, recording string }{
		{"postgres", "prepared"}, {"mysql", "driver"}, {"redis", "pipeline"}, {"memcached", "text"},
	} {
		var p *wire.Protocol
		for _, q := range List() {
			if owner(q) == c.protocol {
				p = q
			}
		}
		spans := wiretest.Load(t, "../"+c.protocol+"/testdata/"+c.recording+".rec").Exchanges(1<<20, 1<<20)
		conns := make([]wire.Conn, many)
		var out wire.Out
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range conns {
			conns[i] = p.New(wire.Options{Names: names})
			for k := range spans {
				conns[i].Feed(&spans[k], &out)
			}
			out.Reset()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many
		t.Logf("%s: %d bytes a connection", c.protocol, each)
		if each > limit {
			t.Errorf("%s: %d bytes a connection, at most %d", c.protocol, each, limit)
		}
		runtime.KeepAlive(conns)
	}
}
