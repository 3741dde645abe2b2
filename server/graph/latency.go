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
