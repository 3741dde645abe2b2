package graph

import (
	"math"
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// bucketCount is how many requests a second fell into a latency bucket.
type bucketCount struct {
	id uint32
	n  float64
}

// quantiles are p50, p95 and p99 in milliseconds, nil without observations.
type quantiles struct{ p50, p95, p99 *float64 }

// latencyOf copies the latency buckets out of sums.
func (v *viewing) latencyOf(s *sums, keys []uint32) []bucketCount {
	out := v.counts.take(len(keys))
	for i, key := range keys {
		out[i] = bucketCount{key - v.engine.ring.keys.buckets, s.v[key]}
	}
	return out
}

// quantilesOf reads quantiles from a merged histogram. It sorts the counts.
func (v *viewing) quantilesOf(counts []bucketCount) quantiles {
	b := v.engine.buckets
	slices.SortFunc(counts, func(x, y bucketCount) int { return int(b.rank[x.id]) - int(b.rank[y.id]) })
	h := mesh.Histogram{Buckets: v.ordered[:0]}
	for _, c := range counts {
		if c.n > 0 {
			h.Buckets = append(h.Buckets, mesh.Bucket{Lower: b.list[c.id].lower, Upper: b.list[c.id].upper, Count: c.n})
		}
	}
	v.ordered = h.Buckets
	if len(h.Buckets) == 0 {
		return quantiles{}
	}
	q := v.numbers.take(3)
	for i, at := range [...]float64{0.50, 0.95, 0.99} {
		x := h.Quantile(at)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return quantiles{}
		}
		q[i] = round(x)
	}
	return quantiles{&q[0], &q[1], &q[2]}
}

// quantilesOfAll merges the main histograms of edges and reads quantiles from
// the result: quantiles themselves cannot be added.
func (v *viewing) quantilesOfAll(edges []*gathered) quantiles {
	if len(edges) == 1 {
		return edges[0].lead.quantiles
	}
	all := v.engine.scratch.lead
	base := v.engine.ring.keys.buckets
	for _, g := range edges {
		for _, c := range g.lead.latency {
			all.add(base+c.id, c.n)
		}
	}
	v.merged = v.merged[:0]
	for _, key := range all.touched {
		v.merged = append(v.merged, bucketCount{key - base, all.v[key]})
	}
	all.reset()
	return v.quantilesOf(v.merged)
}

// total is what all edges of a view come to. It follows them one by one.
type total struct {
	all, failed float64   // requests
	tcp, broken float64   // connections
	latency     []float64 // by bucket
}

// quantum is what the parts of a total are whole multiples of: one in half a
// year. Up to half a thousand million a second such sums have no rest, so that
// what was added is taken away again, in whatever order.
const quantum = 1.0 / (1 << 24)

func (t *total) add(times float64, f *figures) {
	quanta := func(n float64) float64 { return math.Round(n/quantum) * quantum * times }
	t.all += quanta(f.tally.total)
	t.failed += quanta(f.tally.failed)
	t.tcp += quanta(f.tally.opened)
	t.broken += quanta(f.tally.by[classTCP])
	for _, c := range f.latency {
		if n := int(c.id) + 1; n > len(t.latency) {
			t.latency = append(t.latency, make([]float64, n-len(t.latency))...)
		}
		t.latency[c.id] += quanta(c.n)
	}
}

// follow makes the total have of an edge what it comes to now: nothing when it
// is dropped, and when it was counted on the way to its service.
func (t *total) follow(g *gathered) {
	now := g.lead
	if g.dropped || g.second {
		now = nil
	}
	if now == g.totalled {
		return
	}
	if g.totalled != nil {
		t.add(-1, g.totalled)
	}
	if now != nil {
		t.add(1, now)
	}
	g.totalled = now
}

// totals reads it out.
func (v *viewing) totals(t *total) Totals {
	v.merged = v.merged[:0]
	for id, n := range t.latency {
		if n > 0 {
			v.merged = append(v.merged, bucketCount{uint32(id), n})
		}
	}
	all := tally{total: t.all, failed: t.failed, opened: t.tcp}
	all.by[classTCP] = t.broken
	return Totals{RPS: round(all.total), ErrorRatio: round(all.errorRatio()), P95MS: v.quantilesOf(v.merged).p95}
}

// slab hands out slices of large arrays: a view has some thousand small ones.
type slab[T any] struct{ free []T }

func (s *slab[T]) take(n int) []T {
	if n == 0 {
		return nil
	}
	if n > len(s.free) {
		s.free = make([]T, max(n, 512))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}
