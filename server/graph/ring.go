package graph

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The rings. Each whole second of the last minute and a half has a fine frame,
// each ten seconds before that a coarse one. A frame holds what all series
// counted in it, series after series, without pointers: the garbage collector
// has nothing to do with it. Every increment lies in exactly one kind of frame,
// so that sums over any span of time count nothing twice.
const (
	coarseSeconds = 10
	fineKeep      = 100 // seconds that are fine at least
	fineFrames    = fineKeep + 2*coarseSeconds
)

// entry is one count: what (see keys) and how many.
type entry struct {
	key uint32
	n   float32
}

// chunk is what one batch added to one series in one fine frame. Its first
// requests entries count requests by outcome.
type chunk struct {
	off      uint32
	n        uint16
	requests uint16
	next     int32 // 1 + index of the series' next chunk; 0 none
}

type fineFrame struct {
	first   []int32 // by series: 1 + index of its newest chunk; 0 none
	chunks  []chunk
	entries []entry
}

// row is what one series counted in one coarse frame.
type row struct {
	series   uint32
	off      uint32
	n        uint16
	requests uint16
}

type coarseFrame struct {
	start   int64 // unix second
	rows    []row // by series
	entries []entry
}

type ring struct {
	fine    [fineFrames]fineFrame // by second modulo fineFrames
	base    int64                 // oldest fine second, a multiple of ten
	head    int64                 // newest second with data
	started bool
	coarse  []coarseFrame // oldest first, without the empty ones
	history int64         // seconds
	keys    keys
	wide    func(bucket uint32) uint32
	fold    *sums
}

// keys lays out what an entry may count: requests by outcome, responses by
// outcome, latency buckets, plain sums.
type keys struct{ responses, buckets, plain, end uint32 }

// The plain sums.
const (
	sumAttempts uint32 = iota
	sumNewConnections
	sumOpened
	sumClosed
	sumSent
	sumReceived
	plainSums
)

func newKeys(outcomes, bucketCount int) keys {
	k := keys{responses: uint32(outcomes)}
	k.buckets = k.responses + uint32(outcomes)
	k.plain = k.buckets + uint32(bucketCount)
	k.end = k.plain + plainSums
	return k
}

// sums adds up entries by key. It is reused: reset costs what was touched.
type sums struct {
	v       []float64
	touched []uint32
}

func newSums(k keys) *sums { return &sums{v: make([]float64, k.end)} }

func (s *sums) add(key uint32, n float64) {
	if s.v[key] == 0 {
		s.touched = append(s.touched, key)
	}
	s.v[key] += n
}

func (s *sums) reset() {
	for _, k := range s.touched {
		s.v[k] = 0
	}
	s.touched = s.touched[:0]
}

// span is a stretch of time, (from, to], in seconds since 1970.
type span struct{ from, to float64 }

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// reach makes room for data up to a time, folding what is no longer fine.
func (r *ring) reach(to float64) {
	head := int64(math.Ceil(to)) - 1
	if !r.started {
		r.started = true
		r.head = head
		r.base = floor10(head) - fineKeep + coarseSeconds
		return
	}
	if head <= r.head {
		return
	}
	if head-r.head > r.history+fineFrames { // all that is held is too old
		*r = ring{history: r.history, keys: r.keys, wide: r.wide, fold: r.fold}
		r.reach(to)
		return
	}
	for head-r.base >= fineKeep+coarseSeconds {
		r.foldOldest()
	}
	r.head = head
	keep := slices.IndexFunc(r.coarse, func(c coarseFrame) bool { return c.start >= r.head-r.history })
	if keep < 0 {
		keep = len(r.coarse)
	}
	r.coarse = slices.Delete(r.coarse, 0, keep)
}

func floor10(s int64) int64 { return s - (s%coarseSeconds+coarseSeconds)%coarseSeconds }

func (r *ring) frame(second int64) *fineFrame { return &r.fine[second%fineFrames] }

// put spreads counts evenly over the seconds that they were made in. It
// reports false when all of them are past.
func (r *ring) put(series uint32, s span, counts []entry64, requests int) bool {
	r.reach(s.to)
	s.from = max(s.from, float64(r.base))
	if s.to <= s.from {
		return false
	}
	first, last := int64(math.Floor(s.from)), int64(math.Ceil(s.to))-1
	for i := range counts {
		counts[i].given = 0
	}
	for second := first; second <= last; second++ {
		share := 1.0
		if second < last {
			share = (float64(second+1) - s.from) / (s.to - s.from)
		}
		r.frame(second).add(series, counts, requests, share)
	}
	return true
}

// entry64 is a count on its way into the ring.
type entry64 struct {
	key   uint32
	n     float64
	given float64 // so much of it is in the ring already
}

// add puts that part of the counts in which makes share of them given. Parts
// are cut so that a float32 holds them exactly: what is read out later adds up
// to what came in.
func (f *fineFrame) add(series uint32, counts []entry64, requests int, share float64) {
	c := chunk{off: uint32(len(f.entries))}
	for i := range counts {
		part := cut(counts[i].n, share) - counts[i].given
		if part == 0 {
			continue
		}
		counts[i].given += part
		f.entries = append(f.entries, entry{counts[i].key, float32(part)})
		c.n++
		if i < requests {
			c.requests++
		}
	}
	if c.n == 0 {
		return
	}
	if need := int(series) + 1; need > len(f.first) {
		f.first = slices.Grow(f.first, need-len(f.first))[:need]
	}
	c.next = f.first[series]
	f.chunks = append(f.chunks, c)
	f.first[series] = int32(len(f.chunks))
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

// foldOldest turns the ten oldest fine frames into one coarse frame.
func (r *ring) foldOldest() {
	series := 0
	for s := r.base; s < r.base+coarseSeconds; s++ {
		series = max(series, len(r.frame(s).first))
	}
	c := coarseFrame{start: r.base}
	for id := range uint32(series) {
		r.add(r.fold, id, r.base, r.base+coarseSeconds, 1)
		if len(r.fold.touched) > 0 {
			c.put(id, r.fold, r.keys, r.wide)
			r.fold.reset()
		}
	}
	for s := r.base; s < r.base+coarseSeconds; s++ {
		f := r.frame(s)
		clear(f.first)
		f.first, f.chunks, f.entries = f.first[:0], f.chunks[:0], f.entries[:0]
	}
	r.base += coarseSeconds
	if len(c.rows) > 0 {
		c.rows, c.entries = slices.Clip(c.rows), slices.Clip(c.entries)
		r.coarse = append(r.coarse, c)
	}
}

// put appends a series' sums, with latency in wider buckets.
func (c *coarseFrame) put(series uint32, s *sums, k keys, wide func(uint32) uint32) {
	for _, key := range s.touched {
		if key >= k.buckets && key < k.plain {
			if w := k.buckets + wide(key-k.buckets); w != key {
				n := s.v[key]
				s.v[key] = 0
				s.add(w, n) // may append to touched; the range is fixed before
			}
		}
	}
	slices.Sort(s.touched) // requests first
	out := row{series: series, off: uint32(len(c.entries))}
	for i, key := range s.touched {
		if s.v[key] == 0 || i > 0 && key == s.touched[i-1] {
			continue
		}
		c.entries = append(c.entries, entry{key, float32(s.v[key])})
		out.n++
		if key < k.responses {
			out.requests++
		}
	}
	c.rows = append(c.rows, out)
}

// add sums up what a series counted in the seconds [from, to), scaled. Before
// the fine frames begin, from counts as the begin of its ten seconds.
func (r *ring) add(into *sums, series uint32, from, to int64, scale float64) {
	r.each(series, from, to, func(_ int64, entries []entry, _ int) {
		for _, e := range entries {
			into.add(e.key, float64(e.n)*scale)
		}
	})
}

// each calls f with every run of entries of a series in the seconds [from,
// to), in order of time; the first requests of them count requests.
func (r *ring) each(series uint32, from, to int64, f func(second int64, entries []entry, requests int)) {
	if from < r.base {
		r.eachCoarse(series, floor10(from), min(to, r.base), f)
		from = r.base
	}
	for second := from; second < min(to, r.head+1); second++ {
		frame := r.frame(second)
		if int(series) >= len(frame.first) {
			continue
		}
		for i := frame.first[series]; i != 0; {
			c := &frame.chunks[i-1]
			f(second, frame.entries[c.off:c.off+uint32(c.n)], int(c.requests))
			i = c.next
		}
	}
}

func (r *ring) eachCoarse(series uint32, from, to int64, f func(int64, []entry, int)) {
	i, _ := slices.BinarySearchFunc(r.coarse, from, func(c coarseFrame, from int64) int { return cmp.Compare(c.start, from) })
	for ; i < len(r.coarse) && r.coarse[i].start < to; i++ {
		c := &r.coarse[i]
		at, ok := slices.BinarySearchFunc(c.rows, series, func(r row, s uint32) int { return int(r.series) - int(s) })
		if ok {
			row := c.rows[at]
			f(c.start, c.entries[row.off:row.off+uint32(row.n)], int(row.requests))
		}
	}
}
