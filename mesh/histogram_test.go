package mesh

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistogramMerge(t *testing.T) {
	a := Histogram{Count: 3, Sum: 6, Buckets: []Bucket{{0, 1, 1}, {1, 2, 2}}}
	b := Histogram{Count: 4, Sum: 20, Buckets: []Bucket{{1, 2, 1}, {4, 8, 3}}}
	kept := a.Clone()
	sum := a.Clone()
	sum.Merge(b)
	want := Histogram{Count: 7, Sum: 26, Buckets: []Bucket{{0, 1, 1}, {1, 2, 3}, {4, 8, 3}}}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	sum.Buckets[0].Count = 99
	if diff := cmp.Diff(kept, a); diff != "" {
		t.Errorf("the merge shares memory with what it merged:\n%s", diff)
	}
	var empty Histogram
	empty.Merge(b)
	if diff := cmp.Diff(b, empty); diff != "" {
		t.Errorf("into an empty one (-want +got):\n%s", diff)
	}
}

func TestHistogramQuantile(t *testing.T) {
	h := Histogram{Count: 10, Buckets: []Bucket{{0, 10, 5}, {10, 1000, 4}, {1000, math.Inf(1), 1}}}
	for _, tt := range []struct{ q, want float64 }{
		{0, 0}, {0.25, 5}, {0.5, 10}, {0.7, 100}, {0.9, 1000}, {1, 1000},
	} {
		if got := h.Quantile(tt.q); math.Abs(got-tt.want) > 1e-9*max(1, tt.want) {
			t.Errorf("Quantile(%v) = %v, want %v", tt.q, got, tt.want)
		}
	}
	if got := (&Histogram{}).Quantile(0.5); !math.IsNaN(got) {
		t.Errorf("Quantile of nothing = %v, want NaN", got)
	}
}

// A merged quantile is as good as the buckets: within one of them of the truth.
func TestMergedQuantileIsWithinItsBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const growth = 1.1
	var merged Histogram
	var all []float64
	for range 8 {
		counts := make(map[int]float64)
		for range 500 {
			v := math.Exp(random.NormFloat64()*1.5 + 3)
			all = append(all, v)
			counts[int(math.Ceil(math.Log(v)/math.Log(growth)))]++
		}
		part := Histogram{Count: 500}
		for i, n := range counts {
			part.Buckets = append(part.Buckets, Bucket{math.Pow(growth, float64(i-1)), math.Pow(growth, float64(i)), n})
		}
		slices.SortFunc(part.Buckets, compareBuckets)
		merged.Merge(part)
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		truth := all[int(q*float64(len(all)))-1]
		if got := merged.Quantile(q); got < truth/growth/1.01 || got > truth*growth*1.01 {
			t.Errorf("Quantile(%v) = %v, truth %v: off by more than a bucket", q, got, truth)
		}
	}
}

// Histograms of different layouts merge, too: a quantile of what came of it is
// never outside what the buckets allow, and none is below a lesser one.
func TestMergedLayouts(t *testing.T) {
	layouts := [][]float64{
		{1, 5, 10, 25, 50, 100, 250, 1000, math.Inf(1)},
		{2, 4, math.Inf(1)},
		{0.5, 100, 10000},
		{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384},
		{30, 300, math.Inf(1)},
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 5))
		var merged Histogram
		var least, most []float64
		for range 2 + random.IntN(4) {
			bounds := layouts[random.IntN(len(layouts))]
			part := Histogram{}
			lower := 0.0
			for _, upper := range bounds {
				b := Bucket{Lower: lower, Upper: upper, Count: float64(random.IntN(4))}
				lower = upper
				if b.Count == 0 {
					continue
				}
				part.Buckets = append(part.Buckets, b)
				for range int(b.Count) {
					least, most = append(least, b.Lower), append(most, b.Upper)
				}
			}
			merged.Merge(part)
		}
		slices.Sort(least)
		slices.Sort(most)
		last := 0.0
		for q := 0.01; q < 1 && len(least) > 0; q += 0.01 {
			got := merged.Quantile(q)
			i := min(int(math.Ceil(q*float64(len(least))))-1, len(least)-1)
			if got < last*(1-1e-9) || got < least[i]*(1-1e-9) || got > most[i]*(1+1e-9) {
				t.Fatalf("seed %d: Quantile(%.2f) = %v after %v, want %v to %v\n%+v", seed, q, got, last, least[i], most[i], merged.Buckets)
			}
			last = got
		}
	}
}
