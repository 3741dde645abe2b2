package graph

import (
	"math"
	"slices"
)

// record is what one batch added to one series: counts over the time that they
// were made in. Its first requests entries count requests by outcome.
type record struct {
	span
	off             uint32
	n               uint16
	requests        uint16
	total, failures float32 // requests, and those of them that failed
	odd             bool    // some were not simply well, or have a gRPC status
}

// fine is one series' last minute and a half: records as they came.
type fine struct {
	records []record
	entries []entry
	tens    *[fineSlots / coarseSeconds]ten
}

// ten is the sum of ten seconds that a view asked for and that no longer
// change: most of a window is read from these where scrapes are frequent.
type ten struct {
	start    int64 // 0 for none
	sums     []sum
	requests float64
}

type sum struct {
	key uint32
	n   float64
}

// frequent is how many records make a series worth summing up by tens.
const frequent = 24

// entry64 is a count on its way into the ring.
type entry64 struct {
	key    uint32
	failed bool // of a request
	odd    bool
	n      float64
}

// add takes the counts of one batch.
func (f *fine) add(at span, counts []entry64, requests int) {
	rec := record{span: at, off: uint32(len(f.entries)), n: uint16(len(counts)), requests: uint16(requests)}
	for i, c := range counts {
		f.entries = append(f.entries, entry{c.key, float32(c.n)})
		if i < requests {
			rec.total += float32(c.n)
			if c.failed {
				rec.failures += float32(c.n)
			}
			rec.odd = rec.odd || c.odd
		}
	}
	f.records = append(f.records, rec)
	if f.tens == nil {
		return
	}
	for start := floor10(int64(math.Floor(at.from))); float64(start) < at.to; start += coarseSeconds {
		if t := f.ten(start); t.start == start {
			t.start = 0
		}
	}
}

// forget drops what ended by a second.
func (f *fine) forget(before int64) {
	records, entries := f.records[:0], f.entries[:0]
	for _, rec := range f.records {
		if rec.to <= float64(before) {
			continue
		}
		moved := f.entries[rec.off : rec.off+uint32(rec.n)]
		rec.off = uint32(len(entries))
		entries = append(entries, moved...) // never past what it reads
		records = append(records, rec)
	}
	if len(records) == 0 { // an idle edge holds nothing
		*f = fine{}
		return
	}
	f.records, f.entries = trim(records), trim(entries)
}

// trim gives memory back when a burst has passed.
func trim[T any](s []T) []T {
	if cap(s) > 4*len(s)+64 {
		return slices.Clone(s)
	}
	return s
}

// within gives the part of a record that lies in the seconds [from, to): what
// was counted is taken to have come evenly.
func (s span) within(from, to int64) float64 {
	a, b := max(s.from, float64(from)), min(s.to, float64(to))
	switch {
	case b <= a:
		return 0
	case a == s.from && b == s.to:
		return 1
	}
	return (b - a) / (s.to - s.from)
}

// add sums up what a series counted in the seconds [from, to), scaled, and
// gives its requests alone. Before the fine seconds begin, from counts as the
// begin of its ten. This is where a view spends its time.
func (r *ring) add(into *sums, series uint32, from, to int64, scale float64) (requests float64) {
	if from < r.base {
		r.eachCoarse(series, floor10(from), min(to, r.base), func(_ int64, entries []entry, n int) {
			requests += into.addAll(entries, n, scale)
		})
		from = r.base
	}
	if int(series) >= len(r.fine) {
		return requests
	}
	f := &r.fine[series]
	// What is settled is read by tens, the rest by records.
	first, settled := to, to
	if len(f.records) >= frequent {
		first = min(floor10(from+coarseSeconds-1), to)
		settled = max(first, min(floor10(to), floor10(r.head-unsettled)))
		for start := first; start < settled; start += coarseSeconds {
			t := r.settle(f, start)
			for _, s := range t.sums {
				into.add(s.key, s.n*scale)
			}
			requests += t.requests * scale
		}
	}
	for i := range f.records {
		rec := &f.records[i]
		part := rec.within(from, first)
		if settled < to {
			part += rec.within(settled, to)
		}
		if part > 0 {
			requests += into.addAll(f.entries[rec.off:rec.off+uint32(rec.n)], int(rec.requests), scale*part)
		}
	}
	return requests
}

// unsettled is how many seconds behind the newest data may still change at the
// usual pace of scrapes. What comes later than that only costs a new sum.
const unsettled = 3

// settle gives the sum of ten whole seconds, from the last time if it holds.
func (r *ring) settle(f *fine, start int64) *ten {
	if f.tens == nil {
		f.tens = new([fineSlots / coarseSeconds]ten)
	}
	t := f.ten(start)
	if t.start == start {
		return t
	}
	t.start, t.requests, t.sums = start, 0, t.sums[:0]
	for i := range f.records {
		rec := &f.records[i]
		if part := rec.within(start, start+coarseSeconds); part > 0 {
			t.requests += r.tens.addAll(f.entries[rec.off:rec.off+uint32(rec.n)], int(rec.requests), part)
		}
	}
	for _, key := range r.tens.touched {
		t.sums = append(t.sums, sum{key, r.tens.v[key]})
	}
	r.tens.reset()
	return t
}

func (f *fine) ten(second int64) *ten {
	return &f.tens[second/coarseSeconds%(fineSlots/coarseSeconds)]
}

// follow adds a series' requests, and those that failed, to slots of a second
// each, the first of which begins at from.
func (r *ring) follow(series uint32, from int64, all, failed []float64) {
	if int(series) >= len(r.fine) {
		return
	}
	low, high := max(from, r.base), from+int64(len(all))
	for i := range r.fine[series].records {
		rec := &r.fine[series].records[i]
		if rec.total == 0 {
			continue
		}
		a, b := max(low, int64(math.Floor(rec.from))), min(high, int64(math.Ceil(rec.to)))
		for second := a; second < b; second++ {
			part := rec.within(second, second+1)
			all[second-from] += float64(rec.total) * part
			if rec.failures > 0 {
				failed[second-from] += float64(rec.failures) * part
			}
		}
	}
}
