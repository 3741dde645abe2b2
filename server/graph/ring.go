package graph

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The rings. The last minute and a half is kept as it came, a record a scrape,
// series by series; what is older in coarse frames of ten seconds each, which
// hold what all series counted. Entries lie without pointers in long slices:
// the garbage collector has nothing to do with them, and a view reads them in
// order. What a record counted is spread evenly over the time that it covers,
// and each second of it is read from exactly one place, so that sums over any
// span of time count nothing twice.
const (
	coarseSeconds = 10
	fineKeep      = 100 // seconds that are kept by records at least
	fineSlots     = fineKeep + 2*coarseSeconds
)

// entry is one count: what (see keys) and how many.
type entry struct {
	key uint32
	n   float32
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
	unused  int // entries that no row has any more
}

type ring struct {
	fine    []fine // by series
	base    int64  // oldest fine second, a multiple of ten
	head    int64  // newest second with data
	started bool
	coarse  []coarseFrame // oldest first, without the empty ones
	history int64         // seconds
	keys    keys
	wide    func(bucket uint32) uint32
	fold    *sums
	tens    *sums
}

func newRing(history int64, k keys, wide func(bucket uint32) uint32) ring {
	return ring{history: history, keys: k, wide: wide, fold: newSums(k), tens: newSums(k)}
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

// addAll adds entries, scaled, and gives what the first of them, the requests,
// came to.
func (s *sums) addAll(entries []entry, requests int, scale float64) float64 {
	total := 0.0
	for _, e := range entries[:requests] {
		total += float64(e.n) * scale
	}
	for _, e := range entries {
		s.add(e.key, float64(e.n)*scale)
	}
	return total
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
	if head-r.head > r.history+fineSlots { // all that is held is too old
		*r = newRing(r.history, r.keys, r.wide)
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

// put takes the counts of a span of time. It reports false when all of it is
// past the history.
func (r *ring) put(series uint32, s span, counts []entry64, requests int) bool {
	r.reach(s.to)
	if s.to <= float64(r.base) {
		return r.putLate(series, s, counts)
	}
	s.from = max(s.from, float64(r.base))
	if need := int(series) + 1; need > len(r.fine) {
		r.fine = slices.Grow(r.fine, need-len(r.fine))[:need]
	}
	r.fine[series].add(s, counts, requests)
	return true
}

// putLate counts what came when its seconds were folded already, because its
// collector had been cut off: it goes to the frames of its own time.
func (r *ring) putLate(series uint32, s span, counts []entry64) (taken bool) {
	oldest := floor10(r.head-r.history) + coarseSeconds
	for start := max(floor10(int64(math.Floor(s.from))), oldest); float64(start) < s.to; start += coarseSeconds {
		part := s.within(start, start+coarseSeconds)
		if part == 0 {
			continue
		}
		at, found := slices.BinarySearchFunc(r.coarse, start, func(c coarseFrame, start int64) int { return cmp.Compare(c.start, start) })
		if !found {
			r.coarse = slices.Insert(r.coarse, at, coarseFrame{start: start})
		}
		for _, c := range counts {
			r.fold.add(c.key, c.n*part)
		}
		r.coarse[at].add(series, r.fold, r.keys, r.wide)
		r.fold.reset()
		taken = true
	}
	return taken
}

// foldOldest turns the ten oldest fine seconds into one coarse frame.
func (r *ring) foldOldest() {
	c := coarseFrame{start: r.base}
	end := r.base + coarseSeconds
	for id := range r.fine {
		f := &r.fine[id]
		if len(f.records) == 0 {
			continue
		}
		r.add(r.fold, uint32(id), r.base, end, 1)
		if len(r.fold.touched) > 0 {
			c.rows = append(c.rows, c.write(uint32(id), r.fold, r.keys, r.wide))
			r.fold.reset()
		}
		f.forget(end)
	}
	r.base = end
	if len(c.rows) > 0 {
		c.rows, c.entries = slices.Clip(c.rows), slices.Clip(c.entries)
		r.coarse = append(r.coarse, c)
	}
}

// find gives the place of a series' row.
func (c *coarseFrame) find(series uint32) (at int, found bool) {
	return slices.BinarySearchFunc(c.rows, series, func(r row, s uint32) int { return cmp.Compare(r.series, s) })
}

// add adds sums to what the frame has of a series.
func (c *coarseFrame) add(series uint32, s *sums, k keys, wide func(uint32) uint32) {
	at, found := c.find(series)
	if !found {
		c.rows = slices.Insert(c.rows, at, c.write(series, s, k, wide))
		return
	}
	old := c.rows[at]
	for _, e := range c.entries[old.off : old.off+uint32(old.n)] {
		s.add(e.key, float64(e.n))
	}
	c.rows[at] = c.write(series, s, k, wide)
	if c.unused += int(old.n); c.unused > len(c.entries)/2 {
		c.compact()
	}
}

// compact drops the entries that no row has.
func (c *coarseFrame) compact() {
	kept := make([]entry, 0, len(c.entries)-c.unused)
	for i := range c.rows {
		r := &c.rows[i]
		off := uint32(len(kept))
		kept = append(kept, c.entries[r.off:r.off+uint32(r.n)]...)
		r.off = off
	}
	c.entries, c.unused = kept, 0
}

// write appends a series' sums, with latency in wider buckets.
func (c *coarseFrame) write(series uint32, s *sums, k keys, wide func(uint32) uint32) row {
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
	return out
}

// each calls f with every run of entries of a series that has to do with the
// seconds [from, to), and with the time that it covers, which may reach out of
// them. The first requests entries count requests.
func (r *ring) each(series uint32, from, to int64, f func(at span, entries []entry, requests int)) {
	if from < r.base {
		r.eachCoarse(series, floor10(from), min(to, r.base), func(start int64, entries []entry, requests int) {
			f(span{float64(start), float64(start + coarseSeconds)}, entries, requests)
		})
		from = r.base
	}
	if int(series) >= len(r.fine) {
		return
	}
	log := &r.fine[series]
	for i := range log.records {
		if rec := &log.records[i]; rec.to > float64(from) && rec.from < float64(to) {
			f(rec.span, log.entries[rec.off:rec.off+uint32(rec.n)], int(rec.requests))
		}
	}
}

func (r *ring) eachCoarse(series uint32, from, to int64, f func(int64, []entry, int)) {
	i, _ := slices.BinarySearchFunc(r.coarse, from, func(c coarseFrame, from int64) int { return cmp.Compare(c.start, from) })
	for ; i < len(r.coarse) && r.coarse[i].start < to; i++ {
		c := &r.coarse[i]
		if at, ok := c.find(series); ok {
			row := c.rows[at]
			f(c.start, c.entries[row.off:row.off+uint32(row.n)], int(row.requests))
		}
	}
}
