package mesh

import (
	"math"
	"slices"
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
// bucket's bounds allow it, linearly from zero. NaN when empty.
func (h *Histogram) Quantile(q float64) float64 {
	var total float64
	for _, b := range h.Buckets {
		total += b.Count
	}
	if total == 0 {
		return math.NaN()
	}
	rank := q * total
	for _, b := range h.Buckets {
		if rank > b.Count {
			rank -= b.Count
			continue
		}
		part := rank / b.Count
		switch {
		case math.IsInf(b.Upper, 1):
			return b.Lower
		case b.Lower > 0:
			return b.Lower * math.Pow(b.Upper/b.Lower, part)
		default:
			return b.Lower + (b.Upper-b.Lower)*part
		}
	}
	last := h.Buckets[len(h.Buckets)-1]
	if math.IsInf(last.Upper, 1) {
		return last.Lower
	}
	return last.Upper
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
