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
