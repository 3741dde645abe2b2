package graph

import (
	"math"
	"slices"
)

// chunk is what one batch added to one series in one second. Its first
// requests entries count requests by outcome.
type chunk struct {
	second   int64
	off      uint32
	n        uint16
	requests uint16
}

// fine is one series' last seconds. Chunks lie as they came; a batch that
// covers many seconds puts one into each.
type fine struct {
	chunks  []chunk
	entries []entry
	totals  *[fineSlots]total // by second modulo fineSlots
	tens    *[fineSlots / coarseSeconds]ten
}

// ten is the sum of ten seconds that a view asked for and that no longer
// change: most of a window is read from these.
type ten struct {
	start    int64 // 0 for none
	entries  []entry
	requests float64
}

// total is what sparklines show of a second.
type total struct{ requests, failed float32 }

// entry64 is a count on its way into the ring.
type entry64 struct {
	key    uint32
	failed bool // of a request
	n      float64
	given  float64 // so much of it is in the ring already
}

// add puts that part of the counts in which makes share of them given. Parts
// are cut so that a float32 holds them exactly: what is read out later adds up
// to what came in.
func (f *fine) add(second int64, counts []entry64, requests int, share float64) {
	// A scrape ends within a second and the next one begins there: most of what
	// is put into a second is of a kind that its last chunk holds already.
	held, end := len(f.entries), len(f.entries)
	if last := len(f.chunks) - 1; last >= 0 && f.chunks[last].second == second {
		held = int(f.chunks[last].off)
	}
	c := chunk{second: second, off: uint32(len(f.entries))}
	var t total
	for i := range counts {
		part := cut(counts[i].n, share) - counts[i].given
		if part == 0 {
			continue
		}
		counts[i].given += part
		n := float32(part)
		if i < requests {
			t.requests += n
			if counts[i].failed {
				t.failed += n
			}
		}
		for held < end && f.entries[held].key < counts[i].key { // both are sorted
			held++
		}
		if held < end && f.entries[held].key == counts[i].key {
			f.entries[held].n += n
			continue
		}
		f.entries = append(f.entries, entry{counts[i].key, n})
		c.n++
		if i < requests {
			c.requests++
		}
	}
	if f.tens != nil {
		f.ten(second).start = 0
	}
	if c.n > 0 {
		f.chunks = append(f.chunks, c)
	}
	if t.requests == 0 {
		return
	}
	if f.totals == nil {
		f.totals = new([fineSlots]total)
	}
	slot := &f.totals[second%fineSlots]
	slot.requests += t.requests
	slot.failed += t.failed
}

// cut gives share of n, rounded to a fraction that adds without error.
func cut(n, share float64) float64 {
	switch {
	case share >= 1:
		return n
	case n < 1<<14:
		return math.Floor(n*share*1024) / 1024
	case n < 1<<20:
		return math.Floor(n*share*16) / 16
	default:
		return math.Floor(n * share)
	}
}

// forget drops the seconds [from, to), which are the oldest.
func (f *fine) forget(from, to int64) {
	if f.totals != nil {
		for s := from; s < to; s++ {
			f.totals[s%fineSlots] = total{}
		}
	}
	if f.tens != nil {
		*f.ten(from) = ten{}
	}
	chunks, entries := f.chunks[:0], f.entries[:0]
	for _, c := range f.chunks {
		if c.second < to {
			continue
		}
		moved := f.entries[c.off : c.off+uint32(c.n)]
		c.off = uint32(len(entries))
		entries = append(entries, moved...) // never past what it reads
		chunks = append(chunks, c)
	}
	if len(chunks) == 0 { // an idle edge holds nothing
		*f = fine{}
		return
	}
	f.chunks, f.entries = trim(chunks), trim(entries)
}

// trim gives memory back when a burst has passed.
func trim[T any](s []T) []T {
	if cap(s) > 4*len(s)+64 {
		return slices.Clone(s)
	}
	return s
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
	// What is settled is read by tens, the rest by seconds.
	first := floor10(from + coarseSeconds - 1)
	settled := min(floor10(to), floor10(r.head-unsettled))
	for start := first; start < settled; start += coarseSeconds {
		t := r.settle(f, start)
		into.addAll(t.entries, 0, scale)
		requests += t.requests * scale
	}
	settled = max(settled, first)
	for i := range f.chunks {
		c := &f.chunks[i]
		if c.second >= from && c.second < to && (c.second < first || c.second >= settled) {
			requests += into.addAll(f.entries[c.off:c.off+uint32(c.n)], int(c.requests), scale)
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
		if len(f.chunks) == 0 {
			return &ten{}
		}
		f.tens = new([fineSlots / coarseSeconds]ten)
	}
	t := f.ten(start)
	if t.start == start {
		return t
	}
	t.start, t.requests, t.entries = start, 0, t.entries[:0]
	for i := range f.chunks {
		if c := &f.chunks[i]; c.second >= start && c.second < start+coarseSeconds {
			t.requests += r.tens.addAll(f.entries[c.off:c.off+uint32(c.n)], int(c.requests), 1)
		}
	}
	for _, key := range r.tens.touched {
		t.entries = append(t.entries, entry{key, float32(r.tens.v[key])})
	}
	r.tens.reset()
	return t
}

func (f *fine) ten(second int64) *ten {
	return &f.tens[second/coarseSeconds%(fineSlots/coarseSeconds)]
}

// total gives what a series counted in a fine second.
func (r *ring) total(series uint32, second int64) total {
	if int(series) >= len(r.fine) || r.fine[series].totals == nil || second < r.base || second > r.head {
		return total{}
	}
	return r.fine[series].totals[second%fineSlots]
}
