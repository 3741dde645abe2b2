package scrape

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// distribution is one histogram, however it is exposed: as one native series,
// as classic buckets with their sum and count, or as both at once. The native
// form is taken when there is one.
//
// A histogram is reset as a whole. Buckets that were judged one by one could
// disagree about it, when some have overtaken their old values already.
type distribution struct {
	key    distributionKey
	edge   *edge
	scale  float64
	series int // that lead here

	round  uint64 // in which it was staged last
	start  int64  // ms, as staged
	origin origin // of the scrape before

	whole   native                    // as staged
	native  *histogram.FloatHistogram // of the scrape before
	buckets []*bucket                 // by upper bound
	sum     total
	count   total
}

// distributionKey tells the histograms of one target apart, by a hash of their
// labels: the text itself would be most of what is remembered of a target.
type distributionKey struct {
	labels uint64
	field  dialect.Field
}

// native is a native histogram as it was read: counted in integers, as all
// exporters do, or in floats.
type native struct {
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

func (n native) any() bool { return n.h != nil || n.fh != nil }

// totals saves the conversion of histograms that have not moved, which are
// most.
func (n native) totals() (count, sum float64) {
	if n.h != nil {
		return float64(n.h.Count), n.h.Sum
	}
	return n.fh.Count, n.fh.Sum
}

// float makes into a copy that lasts: the store changes what it was given.
func (n native) float(into *histogram.FloatHistogram) {
	if n.h != nil {
		n.h.ToFloat(into)
		return
	}
	n.fh.CopyTo(into)
}

// scratch is room that the histograms of one scrape use one after the other.
type scratch struct {
	now  *histogram.FloatHistogram
	gain histogram.FloatHistogram
}

// total is a running total, now and at the scrape before.
type total struct {
	round      uint64
	now, value float64
	known      bool
}

// bucket is one cumulative bucket.
type bucket struct {
	upper float64
	total
}

// bucketAt gives the bucket with this bound.
func (d *distribution) bucketAt(upper float64) *bucket {
	i, found := slices.BinarySearchFunc(d.buckets, upper, func(b *bucket, u float64) int {
		switch {
		case b.upper < u:
			return -1
		case b.upper > u:
			return 1
		}
		return 0
	})
	if !found {
		d.buckets = slices.Insert(d.buckets, i, &bucket{upper: upper})
	}
	return d.buckets[i]
}

// stage takes one sample of the histogram and says whether it is the first in
// this round.
func (d *distribution) stage(s staged, round uint64) (first bool) {
	first = d.round != round
	if first {
		d.round, d.start, d.whole = round, 0, native{}
	}
	d.start = max(d.start, s.start)
	switch {
	case s.h != nil, s.fh != nil:
		if whole := (native{s.h, s.fh}); d.key.field == dialect.Latency {
			d.whole = whole
		} else {
			count, sum := whole.totals()
			d.count.set(count, round)
			d.sum.set(sum, round)
		}
	case s.series.part == dialect.Bucket:
		s.series.bucket.set(s.value, round)
	case s.series.part == dialect.Sum:
		d.sum.set(s.value, round)
	case s.series.part == dialect.Count:
		d.count.set(s.value, round)
	}
	return first
}

func (t *total) set(v float64, round uint64) { t.now, t.round = v, round }

// advance adds what the histogram gained to its edge. It says false when the
// histogram makes no sense; nothing is remembered of it then.
func (d *distribution) advance(m moment, room *scratch) bool {
	before := d.origin
	d.origin = origin{m.process, d.start}
	anew := m.anew(before, d.origin)
	switch {
	case d.whole.any():
		return d.advanceNative(m, anew, room)
	case d.key.field == dialect.Latency:
		return d.advanceClassic(m, anew)
	}
	return d.advanceSum(m, anew)
}

// advanceSum is for bytes, of which only the sum is wanted, in whatever form it
// came.
func (d *distribution) advanceSum(m moment, anew bool) bool {
	counted := d.count.round == d.round
	switch {
	case d.sum.round != d.round:
		return true
	case !sane(d.sum.now), counted && !sane(d.count.now):
		return false
	}
	reset := anew || d.sum.now < d.sum.value || counted && d.count.now < d.count.value
	if counted {
		d.count.step(true, reset)
	}
	n := d.sum.step(m.fresh(d.start), reset) * d.scale
	switch {
	case n <= 0:
	case d.key.field == dialect.RequestBytes:
		d.edge.change().SentBytes += n
	default:
		d.edge.change().ReceivedBytes += n
	}
	return true
}

// step gives what the total gained and remembers the new one.
func (t *total) step(fresh, reset bool) float64 {
	before, known := t.value, t.known
	t.value, t.known = t.now, true
	switch {
	case !known && !fresh:
		return 0
	case !known, reset:
		return t.now
	}
	return t.now - before
}

func (d *distribution) advanceNative(m moment, anew bool, room *scratch) bool {
	staged, before := d.whole, d.native
	d.whole = native{}
	count, sum := staged.totals()
	if !sane(count) {
		return false
	}
	if before != nil && !anew && count == before.Count && sum == before.Sum {
		return true
	}
	now := room.now
	staged.float(now)
	if now.Validate() != nil {
		return false
	}
	// What was before is room for the next one, once it was subtracted.
	d.native, room.now = now, before
	gain := now
	switch {
	case before == nil:
		room.now = new(histogram.FloatHistogram)
		if d.count.known || !m.fresh(d.start) {
			// The past is not ours, or was counted in the classic form: that is
			// not followed beside the native one, but may have come before it.
			return true
		}
	case !anew && !now.DetectReset(before):
		now.CopyTo(&room.gain) // Sub changes its receiver
		diff, _, _, err := room.gain.Sub(before)
		if err != nil {
			return false
		}
		gain = diff
	}
	d.record(distributionOf(gain, d.scale))
	return true
}

// advanceClassic is advanceNative for cumulative buckets.
func (d *distribution) advanceClassic(m moment, anew bool) bool {
	reset := anew || d.count.round == d.round && d.count.now < d.count.value
	for _, b := range d.buckets {
		if b.round != d.round {
			continue
		}
		if !sane(b.now) {
			return false
		}
		reset = reset || b.now < b.value
	}
	if d.sum.round == d.round && math.IsNaN(d.sum.now) || d.count.round == d.round && !sane(d.count.now) {
		return false
	}
	// After the native form went away, what the buckets hold was counted.
	fresh := m.fresh(d.start) && d.native == nil
	d.native = nil
	var (
		gain  mesh.Histogram
		lower float64
		below float64 // gained by the buckets up to lower
	)
	for _, b := range d.buckets {
		if b.round != d.round {
			continue
		}
		n := b.step(fresh, reset)
		if in := n - below; in > 0 {
			gain.Buckets = append(gain.Buckets, mesh.Bucket{Lower: min(lower, b.upper), Upper: b.upper, Count: in})
		}
		lower, below = b.upper, max(n, below)
	}
	gain.Count = below
	if d.count.round == d.round {
		gain.Count = d.count.step(fresh, reset)
	}
	if d.sum.round == d.round {
		gain.Sum = d.sum.step(fresh, reset) * d.scale
	}
	d.record(gain)
	return true
}

// record adds the gain to the edge.
func (d *distribution) record(gain mesh.Histogram) {
	if gain.Count > 0 {
		d.edge.change().Latency.Merge(gain)
	}
}

// distributionOf gives a native histogram's buckets as bounds. What lies
// around zero counts as above it, unless values below zero were seen: times
// and sizes have none.
func distributionOf(h *histogram.FloatHistogram, scale float64) mesh.Histogram {
	out := mesh.Histogram{Count: h.Count, Sum: h.Sum * scale}
	it := h.AllBucketIterator()
	for it.Next() {
		b := it.At()
		if b.Count <= 0 {
			continue
		}
		lower := b.Lower
		if lower < 0 && b.Upper >= 0 && len(h.NegativeBuckets) == 0 {
			lower = 0
		}
		out.Buckets = append(out.Buckets, mesh.Bucket{Lower: lower * scale, Upper: b.Upper * scale, Count: b.Count})
	}
	return out
}

// sane says whether v can be a count.
func sane(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
