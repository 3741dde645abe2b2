package servicegraph

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// bounds are the classic buckets', in seconds.
var bounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// The native buckets grow by the fourth root of two, as the graph's own do
// after a while: from 61 µs to a quarter of an hour.
const (
	schema          = 2
	perDoubling     = 4
	lowest, highest = -56, 39
)

// histogram counts seconds in both of Prometheus' forms: the classic one for
// whoever scrapes this process as text, the native one for the store. A bucket
// across one of ours counts above it: what is shown is never better than it was.
type histogram struct {
	sum     float64
	classic [len(bounds) + 1]float64 // not cumulated; the last has no bound
	native  []float64                // the first has the index first
	first   int
}

// add takes milliseconds.
func (h *histogram) add(from mesh.Histogram) {
	h.sum += from.Sum / 1000
	for _, b := range from.Buckets {
		const tiny = 1e-9 // bounds that are one come from different powers
		upper := b.Upper / 1000
		i, _ := slices.BinarySearch(bounds[:], upper*(1-tiny))
		h.classic[i] += b.Count
		index := highest
		if upper > 0 && !math.IsInf(upper, 1) {
			index = int(math.Ceil(math.Log2(upper)*perDoubling - tiny))
		}
		*h.at(min(max(index, lowest), highest)) += b.Count
	}
}

// at gives a native bucket, making room for it.
func (h *histogram) at(index int) *float64 {
	switch {
	case h.native == nil:
		h.native, h.first = make([]float64, 1), index
	case index < h.first:
		h.native, h.first = append(make([]float64, h.first-index), h.native...), index
	case index >= h.first+len(h.native):
		h.native = append(h.native, make([]float64, index-h.first-len(h.native)+1)...)
	}
	return &h.native[index-h.first]
}

// dto gives the histogram as it is exposed: in whole numbers, of which those of
// the native buckets must add up.
func (h *histogram) dto() *dto.Histogram {
	out := &dto.Histogram{
		SampleSum: new(h.sum), Schema: new(int32(schema)), ZeroThreshold: new(0.0), ZeroCount: new(uint64(0)),
		PositiveSpan:  []*dto.BucketSpan{{Offset: new(int32(h.first)), Length: new(uint32(len(h.native)))}},
		PositiveDelta: make([]int64, len(h.native)),
		Bucket:        make([]*dto.Bucket, len(bounds)),
	}
	var count, before int64
	for i, n := range h.native {
		n := int64(math.Round(n))
		out.PositiveDelta[i], before = n-before, n
		count += n
	}
	out.SampleCount = new(uint64(count))
	total := 0.0
	for i := range bounds {
		total += h.classic[i]
		out.Bucket[i] = &dto.Bucket{UpperBound: &bounds[i], CumulativeCount: new(uint64(math.Round(total)))}
	}
	return out
}
