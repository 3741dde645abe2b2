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
func (v *viewing) latencyOf(list []sum) []bucketCount {
	out := v.counts.take(len(list))
	for i, s := range list {
		out[i] = bucketCount{s.key - v.engine.ring.keys.buckets, s.n}
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
	tally   tally
	latency []quanta // by bucket
}

func (t *total) add(f *figures, times quanta) {
	t.tally.add(&f.tally, times)
	for _, c := range f.latency {
		if n := int(c.id) + 1; n > len(t.latency) {
			t.latency = append(t.latency, make([]quanta, n-len(t.latency))...)
		}
		t.latency[c.id] += quantaOf(c.n, perThing) * times
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
		t.add(g.totalled, -1)
	}
	if now != nil {
		t.add(now, 1)
	}
	g.totalled = now
}

// totals reads it out.
func (v *viewing) totals(t *total) Totals {
	v.merged = v.merged[:0]
	for id, n := range t.latency {
		if n > 0 {
			v.merged = append(v.merged, bucketCount{uint32(id), n.rate()})
		}
	}
	return Totals{RPS: round(t.tally.total.rate()), ErrorRatio: round(t.tally.errorRatio()), P95MS: v.quantilesOf(v.merged).p95}
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
