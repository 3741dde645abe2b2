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

// spell gives the first second of the spell that holds at end, 0 for none. The
// window that was judged may be longer than what counts as calm: the spell is
// the one of the newest error.
func (e *Engine) spell(ids []uint32, c class, end int64) int64 {
	r := &e.ring
	var bad [fineSlots]bool
	mark := func(at span, entries []entry, requests int) {
		if !e.anyClass(entries, requests, c) {
			return
		}
		for s := max(int64(at.from), r.base); float64(s) < at.to && s-r.base < fineSlots; s++ {
			bad[s-r.base] = true
		}
	}
	for _, id := range ids {
		r.each(id, r.base, end, mark)
	}
	begin, gap := int64(0), int64(0)
	for s := min(end, r.head+1) - 1; s >= r.base; s-- {
		if bad[s-r.base] {
			begin, gap = s, 0
		} else if gap++; begin != 0 && gap >= calm {
			return begin
		}
	}
	for _, v := range slices.Backward(r.coarse) {
		start := v.start
		if start >= end {
			continue
		}
		if begin != 0 && begin-start-coarseSeconds >= calm {
			return begin
		}
		if e.anyOf(ids, c, start) {
			begin = start
		}
	}
	return begin
}

// anyOf reports whether a coarse frame has errors of a class.
func (e *Engine) anyOf(ids []uint32, c class, start int64) bool {
	found := false
	for _, id := range ids {
		e.ring.eachCoarse(id, start, start+1, func(_ int64, entries []entry, requests int) {
			found = found || e.anyClass(entries, requests, c)
		})
		if found {
			break
		}
	}
	return found
}

func (e *Engine) anyClass(entries []entry, requests int, c class) bool {
	for i := range entries {
		if e.isClass(&entries[i], i < requests, c) {
			return true
		}
	}
	return false
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
