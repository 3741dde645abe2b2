package graph

import "slices"

// An edge of a folded mesh stands for thousands of pairs, of which a second
// changes some. What each of them adds is kept, and the edge is the sum of it.

// bundle is from how many pairs on that is worth its memory.
const bundle = 4

// strand is what one pair adds to a bundle.
type strand struct {
	of             reading
	made           bool
	odd            bool // some were not simply well
	part           part
	client, server []sum
	rps, failed    []float32 // nil when nothing is in them
	member         member    // of a target that stands for many
}

// strand gives what a pair adds, counted again when it reads otherwise.
func (v *viewing) strand(g *gathered, i int, r reading) *strand {
	s := &g.strands[i]
	if s.made && s.of == r && s.part.namesake == g.namesake(g.pairs[i]) {
		return s
	}
	sc := &v.engine.scratch
	clear(sc.rps[:])
	clear(sc.failed[:])
	p := g.pairs[i]
	*s = strand{of: r, made: true, part: v.part(g, p, r, sc.one, sc.other, sc.rps[:], sc.failed[:]), client: s.client, server: s.server}
	s.client, s.server = sc.one.take(s.client), sc.other.take(s.server)
	isOdd := func(n sum) bool { return v.engine.isOdd(n.key) }
	s.odd = slices.ContainsFunc(s.client, isOdd) || slices.ContainsFunc(s.server, isOdd)
	s.rps, s.failed = narrow(sc.rps[:]), narrow(sc.failed[:])
	if g.target.many() && !s.part.namesake {
		s.member = v.member(p, r)
	}
	return s
}

// addTo adds a strand to its edge.
func (s *strand) addTo(g *gathered, sc *scratch) part {
	for _, c := range s.client {
		sc.client.add(c.key, c.n)
	}
	for _, c := range s.server {
		sc.server.add(c.key, c.n)
	}
	for i, x := range s.rps {
		g.rps[i] += float64(x)
	}
	for i, x := range s.failed {
		g.failed[i] += float64(x)
	}
	return s.part
}

// addLead adds the leading side of a strand.
func (s *strand) addLead(into *sums, client bool) {
	if s.part.namesake {
		return
	}
	side := s.server
	if client {
		side = s.client
	}
	for _, c := range side {
		into.add(c.key, c.n)
	}
}

// take empties sums into a list.
func (s *sums) take(into []sum) []sum {
	into = into[:0]
	for _, key := range s.touched {
		if n := s.v[key]; n != 0 {
			into = append(into, sum{key, n})
			s.v[key] = 0
		}
	}
	s.touched = s.touched[:0]
	return into
}

func narrow(series []float64) []float32 {
	for _, x := range series {
		if x != 0 {
			out := make([]float32, len(series))
			for i, x := range series {
				out[i] = float32(x)
			}
			return out
		}
	}
	return nil
}
