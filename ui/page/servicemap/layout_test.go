package servicemap

import (
	"fmt"
	"math/rand"
	"testing"

	"vitals/core"
)

func rows(pairs ...string) (out []*core.EdgeRow) {
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, &core.EdgeRow{From: pairs[i], To: pairs[i+1], Protocol: "http", Count: 10, Rate: float64(len(pairs) - i)})
	}
	return out
}

func TestCallersStandLeftOfTheCalled(t *testing.T) {
	g := plan(gather(rows("outside", "web", "web", "api", "api", "db", "web", "db")), nil, 6, 60)
	column := map[string]int{}
	for _, n := range g.nodes {
		column[n.name] = n.rank
	}
	for name, want := range map[string]int{"outside": 0, "web": 1, "api": 2, "db": 3} {
		if column[name] != want {
			t.Errorf("%s stands in column %d, want %d", name, column[name], want)
		}
	}
	if g.loops != 0 || g.more != 0 {
		t.Errorf("loops %d, more %d", g.loops, g.more)
	}
}

func TestCirclesAreCut(t *testing.T) {
	g := plan(gather(rows("a", "b", "b", "c", "c", "a", "c", "c")), nil, 6, 60)
	if len(g.nodes) != 3 || g.loops != 2 {
		t.Errorf("%d nodes, %d loops, want 3 and 2", len(g.nodes), g.loops)
	}
}

func TestProtocolsAreAddedUp(t *testing.T) {
	edges := gather([]*core.EdgeRow{
		{From: "a", To: "b", Protocol: "http", Count: 10, Errors: 1, Rate: 1, P99: 0.1},
		{From: "a", To: "b", Protocol: "grpc", Count: 5, Rate: 2, P99: 0.3},
	})
	if e := edges[0]; len(edges) != 1 || e.count != 15 || e.errors != 1 || e.rate != 3 || e.p99 != 0.3 || len(e.protocols) != 2 {
		t.Errorf("%+v", edges[0])
	}
}

// Whatever calls whom: every node is placed once, none lies on another, links
// join neighbours, and what is not drawn is counted.
func TestAnyGraphIsLaidOut(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 300 {
		var all []*core.EdgeRow
		for range rng.Intn(60) {
			all = append(all, &core.EdgeRow{From: fmt.Sprint(rng.Intn(25)), To: fmt.Sprint(rng.Intn(25)), Count: 1, Rate: rng.Float64()})
		}
		columns, limit := 1+rng.Intn(6), 1+rng.Intn(30)
		g := plan(gather(all), nil, columns, limit)
		if len(g.columns) > columns || len(g.nodes) > limit {
			t.Fatalf("%d columns of %d, %d nodes of %d", len(g.columns), columns, len(g.nodes), limit)
		}
		for i, column := range g.columns {
			y := -1
			for _, n := range column {
				if n.rank != i || n.y <= y {
					t.Fatalf("node %q of column %d lies at column %d, row %d after %d", n.name, i, n.rank, n.y, y)
				}
				y = n.y + n.height() - 1
				for _, l := range n.out {
					if l.to.rank != n.rank+1 || l.from != n {
						t.Fatalf("a link from column %d to %d", n.rank, l.to.rank)
					}
				}
			}
			if y >= g.height {
				t.Fatalf("row %d of %d", y, g.height)
			}
		}
	}
}
