package graph

import (
	"cmp"
	"slices"
	"time"
)

// calm is how many seconds without an error end a spell of them.
const calm = 30

// maxOnset bounds the series that are searched for the begin of a spell; for a
// namespace with thousands of edges the worst of them date it well enough.
const maxOnset = 64

// onset dates the begin of the present spell of a class of errors: it walks
// back in time until there was none of them for a while.
func (v *viewing) onset(c class, edges []*gathered, whose func(*gathered) *figures) time.Time {
	bad := make([]*gathered, 0, len(edges))
	for _, g := range edges {
		if g.live && whose(g).tally.by[c] > 0 {
			bad = append(bad, g)
		}
	}
	slices.SortFunc(bad, func(a, b *gathered) int {
		return cmp.Compare(whose(b).tally.by[c], whose(a).tally.by[c])
	})
	var ids []uint32
	end := int64(0)
	for _, g := range bad {
		end = max(end, g.end)
		for _, p := range g.pairs {
			side := p.client
			if whose(g) == g.server || len(side) == 0 {
				side = p.server
			}
			for _, s := range side {
				ids = append(ids, s.id)
			}
		}
		if len(ids) > maxOnset {
			break
		}
	}
	begin := v.engine.spell(ids, c, end)
	if begin == 0 {
		return time.Time{}
	}
	return time.Unix(begin, 0).UTC()
}

// spell gives the first second of the spell that holds at end, 0 for none.
func (e *Engine) spell(ids []uint32, c class, end int64) int64 {
	r := &e.ring
	// The window that was judged may be longer than what counts as calm; the
	// spell begins its walk at the newest error.
	begin, gap := int64(0), int64(0)
	errors := func(from, to int64) bool {
		found := false
		for _, id := range ids {
			r.each(id, from, to, func(_ int64, entries []entry, requests int) {
				for i := range entries {
					found = found || e.isClass(&entries[i], i < requests, c)
				}
			})
		}
		return found
	}
	step := func(from, to int64) (goOn bool) {
		if errors(from, to) {
			begin, gap = from, 0
			return true
		}
		gap += to - from
		return begin == 0 || gap < calm
	}
	for s := end - 1; s >= r.base; s-- {
		if !step(s, s+1) {
			return begin
		}
	}
	for i := len(r.coarse) - 1; i >= 0; i-- {
		start := r.coarse[i].start
		if start+coarseSeconds > end {
			continue
		}
		if !step(start, start+coarseSeconds) {
			return begin
		}
	}
	return begin
}

// isClass reports whether an entry counts answers of a class. TCP's are found
// among responses too, since connections are not requests.
func (e *Engine) isClass(en *entry, request bool, c class) bool {
	k := &e.ring.keys
	if c == classTCP {
		return en.key < k.responses && e.outcomes.list[en.key].tcpFail ||
			en.key >= k.responses && en.key < k.buckets && e.outcomes.list[en.key-k.responses].tcpFail
	}
	return request && e.outcomes.list[en.key].class == c
}
