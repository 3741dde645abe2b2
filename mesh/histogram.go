package mesh

import (
	"math"
	"slices"
	"sort"
)

// Bucket counts observations in (Lower, Upper].
type Bucket struct {
	Lower, Upper float64
	Count        float64
}

// Histogram is a mergeable distribution: buckets sorted by Upper, then Lower,
// without empty ones. Native (exponential) and classic bucket layouts are both
// carried as bounds, so that any two histograms can be merged. The zero value
// is empty and ready to use.
type Histogram struct {
	Count   float64
	Sum     float64
	Buckets []Bucket
}

// Merge adds o to h. It never aliases o's buckets.
func (h *Histogram) Merge(o Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	if len(o.Buckets) == 0 {
		return
	}
	merged := make([]Bucket, 0, len(h.Buckets)+len(o.Buckets))
	a, b := h.Buckets, o.Buckets
	for len(a) > 0 && len(b) > 0 {
		switch c := compareBuckets(a[0], b[0]); {
		case c < 0:
			merged, a = append(merged, a[0]), a[1:]
		case c > 0:
			merged, b = append(merged, b[0]), b[1:]
		default:
			sum := a[0]
			sum.Count += b[0].Count
			merged, a, b = append(merged, sum), a[1:], b[1:]
		}
	}
	merged = append(merged, a...)
	h.Buckets = append(merged, b...)
}

// Quantile gives the value below which the fraction q of all observations
// fell, interpolated inside its bucket: on a logarithmic scale where the
// bucket's bounds allow it, linearly from zero. Of a bucket without an upper
// bound all that is known is its lower one. NaN when empty.
func (h *Histogram) Quantile(q float64) float64 {
	var total float64
	overlap, reach := false, math.Inf(-1)
	for _, b := range h.Buckets {
		total += b.Count
		const rounding = 1 - 1e-9 // bounds that are one come from different powers
		overlap = overlap || b.Lower < reach*rounding
		reach = b.Upper
	}
	if total == 0 {
		return math.NaN()
	}
	rank := q * total
	if overlap {
		return h.spread(rank)
	}
	for _, b := range h.Buckets {
		if rank > b.Count {
			rank -= b.Count
			continue
		}
		if math.IsInf(b.Upper, 1) {
			return b.Lower
		}
		return b.value(rank / b.Count)
	}
	last := h.Buckets[len(h.Buckets)-1]
	if math.IsInf(last.Upper, 1) {
		return last.Lower
	}
	return last.Upper
}

// spread finds the value of a rank where buckets overlap, because histograms of
// different layouts were merged: each bucket's observations are taken to lie
// spread over it, so that the answer grows with the rank.
func (h *Histogram) spread(rank float64) float64 {
	bounds := make([]float64, 0, 2*len(h.Buckets))
	for _, b := range h.Buckets {
		bounds = append(bounds, b.Lower)
		if !math.IsInf(b.Upper, 1) {
			bounds = append(bounds, b.Upper)
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	at := sort.Search(len(bounds), func(i int) bool { return h.below(bounds[i]) >= rank })
	switch at {
	case 0:
		return bounds[0]
	case len(bounds):
		return bounds[len(bounds)-1]
	}
	low, high := bounds[at-1], bounds[at]
	before, after := h.below(low), h.below(high)
	// What lies in the bound itself, where a bucket has no upper one, is no part of the way to it.
	for _, b := range h.Buckets {
		if math.IsInf(b.Upper, 1) && b.Lower == high {
			after -= b.Count
		}
	}
	if rank >= after {
		return high
	}
	return Bucket{Lower: low, Upper: high}.value((rank - before) / (after - before))
}

// below counts the observations up to a value.
func (h *Histogram) below(value float64) (n float64) {
	for _, b := range h.Buckets {
		switch {
		case value >= b.Upper, value >= b.Lower && math.IsInf(b.Upper, 1):
			n += b.Count
		case value <= b.Lower:
		case b.Lower > 0:
			n += b.Count * math.Log(value/b.Lower) / math.Log(b.Upper/b.Lower)
		default:
			n += b.Count * (value - b.Lower) / (b.Upper - b.Lower)
		}
	}
	return n
}

// value gives the value at a part of the bucket.
func (b Bucket) value(part float64) float64 {
	if b.Lower > 0 {
		return b.Lower * math.Pow(b.Upper/b.Lower, part)
	}
	return b.Lower + (b.Upper-b.Lower)*part
}

// Clone gives an independent copy.
func (h *Histogram) Clone() Histogram {
	c := *h
	c.Buckets = slices.Clone(h.Buckets)
	return c
}

func compareBuckets(a, b Bucket) int {
	switch {
	case a.Upper < b.Upper:
		return -1
	case a.Upper > b.Upper:
		return 1
	case a.Lower < b.Lower:
		return -1
	case a.Lower > b.Lower:
		return 1
	}
	return 0
}
