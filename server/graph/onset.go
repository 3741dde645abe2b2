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

// begun are the seconds since when classes of errors are a matter of health, 0
// for those that are none.
type begun [classTCP + 1]int64

// since dates a class that is one: by when it was dated last time, if that was
// just now and no spell can end within the window.
func (v *viewing) since(c class, was, now *begun, edges []*gathered, whose func(*gathered) *figures) time.Time {
	now[c] = was[c]
	if now[c] == 0 || !v.justNow || v.window > calm {
		now[c] = v.onset(c, edges, whose)
	}
	if now[c] == 0 {
		return time.Time{}
	}
	return time.Unix(now[c], 0).UTC()
}

// onset finds the begin of the present spell of a class of errors: it walks
// back in time until there was none of them for a while.
func (v *viewing) onset(c class, edges []*gathered, whose func(*gathered) *figures) int64 {
	var found []suspect
	end := int64(0)
	for _, g := range edges {
		f := whose(g)
		if !g.live || f.tally.by[c] == 0 {
			continue
		}
		end = max(end, g.end)
		found = v.engine.suspects(found, g, c, f == g.server)
	}
	var ids []uint32
	for _, s := range worstOf(found) {
		for _, p := range s.pairs {
			for _, s := range p.counted(s.server) {
				ids = append(ids, s.id)
			}
		}
		if len(ids) > maxOnset {
			break
		}
	}
	return v.engine.spell(ids, c, end)
}

// suspect are pairs that some errors are of.
type suspect struct {
	pairs  []*pair
	server bool // as the server's side counts
	bad    quanta
}

// worstOf sorts suspects, those with most errors first, and leaves out those that
// are not looked at any more: each has a series at least.
func worstOf(found []suspect) []suspect {
	slices.SortStableFunc(found, func(a, b suspect) int { return cmp.Compare(b.bad, a.bad) })
	return found[:min(len(found), maxOnset+1)]
}

// suspects adds those of an edge: one by one where it is known which they are.
func (e *Engine) suspects(found []suspect, g *gathered, c class, server bool) []suspect {
	if g.bundle == nil {
		f := g.lead
		if server {
			f = g.server
		}
		return append(found, suspect{g.pairs, server, f.tally.by[c]})
	}
	least := quanta(0) // that is not too little to be among the worst
	for i, odd := range g.bundle.odd {
		if !odd {
			continue
		}
		if len(found) >= 4*maxOnset {
			found = worstOf(found)
			least = found[maxOnset].bad
		}
		s := &g.bundle.strands[i]
		side := s.client
		if server || len(g.pairs[i].client) == 0 {
			side = s.server
		}
		bad := quanta(0)
		for _, n := range side {
			if e.isClass(n.key, c) {
				bad += n.n
			}
		}
		if bad > least {
			found = append(found, suspect{g.pairs[i : i+1], server, bad})
		}
	}
	return found
}

// counted gives the side of a pair that errors are counted by.
func (p *pair) counted(server bool) []*series {
	if server || len(p.client) == 0 {
		return p.server
	}
	return p.client
}

// spell gives the first second of the spell that holds at end, 0 for none. The
// window that was judged may be longer than what counts as calm: the spell is
// the one of the newest error.
func (e *Engine) spell(ids []uint32, c class, end int64) int64 {
	r := &e.ring
	var bad [fineSlots]bool
	mark := func(at span, entries []entry, _ int) {
		if !e.anyClass(entries, c) {
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
		e.ring.eachCoarse(id, start, start+1, func(_ int64, entries []entry, _ int) {
			found = found || e.anyClass(entries, c)
		})
		if found {
			break
		}
	}
	return found
}

func (e *Engine) anyClass(entries []entry, c class) bool {
	return slices.ContainsFunc(entries, func(en entry) bool { return e.isClass(en.key, c) })
}

// isClass reports whether an entry counts answers of a class. TCP's are found
// among responses too, since connections are not requests.
func (e *Engine) isClass(key uint32, c class) bool {
	k := &e.ring.keys
	if c == classTCP {
		return key < k.responses && e.outcomes.list[key].tcpFail ||
			key >= k.responses && key < k.buckets && e.outcomes.list[key-k.responses].tcpFail
	}
	return key < k.responses && e.outcomes.list[key].class == c
}

// isOdd reports whether an entry counts answers that were not simply well.
func (e *Engine) isOdd(key uint32) bool {
	k := &e.ring.keys
	if key >= k.responses {
		key -= k.responses
	}
	return key < k.responses && (e.outcomes.list[key].class != classOK || e.outcomes.list[key].tcpFail)
}
