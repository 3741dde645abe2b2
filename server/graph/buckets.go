package graph

import (
	"math"
	"slices"
)

// bounds are a histogram bucket's, (lower, upper].
type bounds struct{ lower, upper float64 }

// buckets gives each distinct pair of bounds a small number, and the numbers'
// order by bounds. It never forgets one: the number is in the rings.
type buckets struct {
	list  []bounds
	wide  []uint32 // the wider bucket that it lies in, for old slots; or itself
	rank  []uint32 // place among all by upper, then lower bound
	ids   map[bounds]uint32
	limit int
}

func newBuckets(limit int) *buckets {
	return &buckets{ids: make(map[bounds]uint32), limit: limit}
}

// id gives the number of a bucket. Over the limit it is counted in the nearest
// bucket that there is, and folded says so; ok is false for bounds that are no
// bucket's.
func (b *buckets) id(at bounds) (id uint32, folded, ok bool) {
	if id, known := b.ids[at]; known {
		return id, false, true
	}
	if math.IsNaN(at.lower) || math.IsNaN(at.upper) || at.lower >= at.upper {
		return 0, false, false
	}
	if len(b.list) >= b.limit {
		return b.nearest(at.upper), true, true
	}
	id = b.add(at)
	if w := widened(at); w != at {
		if wide, known := b.ids[w]; known {
			b.wide[id] = wide
		} else if len(b.list) < b.limit {
			b.wide[id] = b.add(w)
		}
	}
	b.order()
	return id, false, true
}

func (b *buckets) add(at bounds) uint32 {
	id := uint32(len(b.list))
	b.list = append(b.list, at)
	b.wide = append(b.wide, id)
	b.ids[at] = id
	return id
}

func (b *buckets) order() {
	ids := make([]uint32, len(b.list))
	for i := range ids {
		ids[i] = uint32(i)
	}
	slices.SortFunc(ids, func(x, y uint32) int { return compareBounds(b.list[x], b.list[y]) })
	b.rank = slices.Grow(b.rank[:0], len(ids))[:len(ids)]
	for place, id := range ids {
		b.rank[id] = uint32(place)
	}
}

func (b *buckets) nearest(upper float64) uint32 {
	best, distance := uint32(0), math.Inf(1)
	for id, at := range b.list {
		if d := math.Abs(at.upper - upper); d < distance {
			best, distance = uint32(id), d
		}
	}
	return best
}

func compareBounds(x, y bounds) int {
	switch {
	case x.upper < y.upper:
		return -1
	case x.upper > y.upper:
		return 1
	case x.lower < y.lower:
		return -1
	case x.lower > y.lower:
		return 1
	}
	return 0
}

// perDoubling is how many buckets of old slots lie between x and 2x.
const perDoubling = 4

// widened gives the bucket of old slots that a finer one lies in: growth by
// the fourth root of two, a tenth of the value to either side. A bucket that
// lies in none stays as it is.
func widened(at bounds) bounds {
	if at.lower <= 0 || math.IsInf(at.upper, 1) {
		return at
	}
	const tiny = 1e-9 // the bounds come from powers, computed elsewhere
	k := math.Ceil(math.Log2(at.upper)*perDoubling - tiny)
	wide := bounds{math.Exp2((k - 1) / perDoubling), math.Exp2(k / perDoubling)}
	if at.lower < wide.lower*(1-tiny) {
		return at
	}
	return wide
}

// round keeps what a reader can use, so that elements that did not change to
// the eye do not change on the wire: three decimals, or four digits below one.
func round(x float64) float64 {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 { // most counts a second are whole
		return x
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	scale := 1000.0
	switch a := math.Abs(x); {
	case a >= 1:
	case a >= 0.1:
		scale = 1e4
	case a >= 0.01:
		scale = 1e5
	default:
		scale = math.Pow(10, 3-math.Floor(math.Log10(a)))
	}
	if math.IsInf(scale, 0) {
		return 0
	}
	return math.Round(x*scale) / scale
}
