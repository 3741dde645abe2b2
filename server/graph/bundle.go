package graph

import (
	"slices"
	"strings"
)

// An edge of a folded mesh stands for thousands of pairs, of which a second
// changes some. What each of them adds is kept, and their sum follows them.

// few is how many pairs are added up anew instead.
const few = 3

// bundle is what an edge of many pairs keeps.
type bundle struct {
	strands []strand // of its pairs
	ends    []int64  // the seconds that they are read up to
	odd     []bool   // whether some that they count were not simply well
	waiting []int    // those of which no target gives data: time changes them

	client, server, lead       []count
	rps, failed                [seriesSeconds]quanta
	secured, securable         quanta
	activeClient, activeServer quanta
	activeLead                 quanta
	clients, servers, live     int // strands with data: of that side, of any
	ledByClient, ledByServer   int
	busiest                    int // the strand of the service that is called most; -1 for none
	members                    *crowd
}

// strand is what one pair adds to a bundle.
type strand struct {
	of       reading
	made     bool
	waits    bool
	namesake bool
	byClient bool // the main figures come from the client's side

	client, server             []count
	rps, failed                []float32 // empty when nothing is in them
	clientRate, serverRate     quanta
	activeClient, activeServer quanta
	secured, securable         quanta

	member int // of the edge's crowd
	guest  int // of the node's
}

// bundled makes the bundle of an edge, nil when it is not worth its memory. A
// node that stands for many needs to know them in any case.
func (g *gathered) bundled() *bundle {
	if len(g.pairs) <= few && !g.target.many() {
		return nil
	}
	b := &bundle{strands: make([]strand, len(g.pairs)), ends: make([]int64, len(g.pairs)), odd: make([]bool, len(g.pairs)), busiest: -1}
	named := make(map[[2]*workload]bool)
	for _, p := range g.pairs {
		if g.nameless && len(p.client) > 0 {
			named[[2]*workload{p.source, p.target}] = true
		}
	}
	for i, p := range g.pairs {
		b.strands[i].namesake = p.service.Host == "" && len(p.client) == 0 && named[[2]*workload{p.source, p.target}]
	}
	if g.target.many() {
		b.members = newCrowd()
		for i, p := range g.pairs {
			if s := &b.strands[i]; !s.namesake {
				s.member = b.members.place(p)
			}
		}
	}
	return b
}

// like reports whether two bundles of the same pairs tell them apart the same.
func (b *bundle) like(o *bundle) bool {
	return slices.EqualFunc(b.strands, o.strands, func(s, t strand) bool { return s.namesake == t.namesake })
}

// refresh brings a bundle up to date: with the strands that were stirred, those
// that wait, or all of them. It reports whether it came to what it was.
func (v *viewing) refresh(g *gathered, stirred []int) bool {
	b, sc := g.bundle, &v.engine.scratch
	same := true
	look := func(i int) {
		s := &b.strands[i]
		r := v.clock.read(g.pairs[i], v.window, v.engine.ring.base)
		if s.made && s.of == r {
			return
		}
		if same {
			same = false
			sc.clients.add(b.client, 1)
			sc.servers.add(b.server, 1)
			sc.leads.add(b.lead, 1)
		}
		if s.made {
			v.put(g, i, -1)
		}
		v.strand(g, i, r)
		v.put(g, i, 1)
		if r.inputs == 0 && !s.waits {
			s.waits, b.waiting = true, append(b.waiting, i)
		}
	}
	if v.whole {
		for i := range b.strands {
			look(i)
		}
	} else {
		for _, i := range stirred {
			look(i)
		}
		for _, i := range slices.Clone(b.waiting) {
			look(i)
		}
	}
	if same {
		return true
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(i int) bool {
		s := &b.strands[i]
		s.waits = s.of.inputs == 0
		return !s.waits
	})
	slices.Sort(b.waiting)
	b.client, b.server, b.lead = sc.clients.take(b.client), sc.servers.take(b.server), sc.leads.take(b.lead)
	if b.busiest < 0 {
		for i := range b.strands {
			g.offer(i)
		}
	}
	return false
}

// strand counts a pair.
func (v *viewing) strand(g *gathered, i int, r reading) {
	sc := &v.engine.scratch
	clear(sc.rps[:])
	clear(sc.failed[:])
	s := &g.bundle.strands[i]
	c := v.part(g.pairs[i], r, s.namesake, sc.client, sc.server, sc.rps[:], sc.failed[:])
	s.of, s.made, s.byClient = r, true, r.clientLeads(g.pairs[i])
	s.client, s.server = v.engine.counted(sc.client, s.client), v.engine.counted(sc.server, s.server)
	s.rps, s.failed = narrow(s.rps, sc.rps[:]), narrow(s.failed, sc.failed[:])
	s.clientRate, s.serverRate = quantaOf(c.clientRate, perThing), quantaOf(c.serverRate, perThing)
	s.activeClient, s.activeServer = quantaOf(c.activeClient, perThing), quantaOf(c.activeServer, perThing)
	s.secured, s.securable = quantaOf(c.secured, perThing), quantaOf(c.securable, perThing)
	isOdd := func(n count) bool { return v.engine.isOdd(n.key) }
	g.bundle.odd[i] = slices.ContainsFunc(s.client, isOdd) || slices.ContainsFunc(s.server, isOdd)
	g.bundle.ends[i] = r.to
}

// counted empties sums into a list.
func (e *Engine) counted(s *sums, into []count) []count {
	into = into[:0]
	for _, key := range s.touched {
		if n := s.v[key]; n != 0 {
			into = append(into, count{key, quantaOf(n, e.ring.keys.per(key))})
			s.v[key] = 0
		}
	}
	s.touched = s.touched[:0]
	return into
}

func narrow(into []float32, series []float64) []float32 {
	into = into[:0]
	if !slices.ContainsFunc(series, func(x float64) bool { return x != 0 }) {
		return into
	}
	for _, x := range series {
		into = append(into, float32(x))
	}
	return into
}

// perShown is how many quanta a request has in a series, of which two decimals
// are shown.
const perShown = 1 << 20

// put adds a strand to its edge, and to who asks and is asked there, or takes
// it off with times -1. Counts by key go to the engine's scratch.
func (v *viewing) put(g *gathered, i int, times quanta) {
	b, sc := g.bundle, &v.engine.scratch
	s, p := &b.strands[i], g.pairs[i]
	sc.clients.add(s.client, times)
	sc.servers.add(s.server, times)
	b.secured += s.secured * times
	b.securable += s.securable * times
	b.activeClient += s.activeClient * times
	b.activeServer += s.activeServer * times
	r, n := &s.of, int(times)
	if r.client {
		b.clients += n
	}
	if r.server {
		b.servers += n
	}
	live := r.client || r.server
	if live {
		b.live += n
	}
	if s.namesake {
		return
	}
	lead, active := s.server, s.activeServer
	if s.byClient {
		lead, active = s.client, s.activeClient
		b.ledByClient += n
	} else {
		b.ledByServer += n
	}
	sc.leads.add(lead, times)
	b.activeLead += active * times
	addSeries(&b.rps, s.rps, times)
	addSeries(&b.failed, s.failed, times)
	switch {
	case times > 0:
		if b.busiest >= 0 {
			g.offer(i)
		}
	case b.busiest == i:
		b.busiest = -1
	}
	if !live || b.members == nil {
		return
	}
	b.members.add(s.member, v.engine.tallyOf(lead, p.protocol), times)
	if crowd := g.target.crowd; crowd != nil && !g.dropped {
		crowd.add(s.guest, v.engine.tallyOf(s.own(), p.protocol), times)
	}
}

// own gives the side that tells how the called workload itself answered.
func (s *strand) own() []count {
	if s.of.server {
		return s.server
	}
	return s.client
}

func addSeries(into *[seriesSeconds]quanta, series []float32, times quanta) {
	for i, x := range series {
		into[i] += quantaOf(float64(x), perShown) * times
	}
}

// offer makes a strand the busiest if it is.
func (g *gathered) offer(i int) {
	b, p := g.bundle, g.pairs[i]
	if p.service.Host == "" || b.strands[i].namesake {
		return
	}
	if b.busiest >= 0 {
		rate, best := b.strands[i].rate(), b.strands[b.busiest].rate()
		if rate < best || rate == best && strings.Compare(p.service.Host, g.pairs[b.busiest].service.Host) >= 0 {
			return
		}
	}
	b.busiest = i
}

// rate is what a strand adds to the requests of the edge.
func (s *strand) rate() quanta {
	if s.byClient {
		return s.clientRate
	}
	return s.serverRate
}

// readOut makes of a bundle what its edge came to.
func (v *viewing) readOut(g *gathered) {
	b := g.bundle
	g.end = slices.Min(b.ends)
	g.hasClient, g.hasServer, g.live = b.clients > 0, b.servers > 0, b.live > 0
	g.secured, g.securable = b.secured.rate(), b.securable.rate()
	if !g.live {
		for i := range b.strands {
			g.note(b.strands[i].of)
		}
	}
	if b.busiest >= 0 {
		g.service = g.pairs[b.busiest].service
	}
	if !g.second {
		for _, i := range g.split {
			if !b.strands[i].namesake {
				v.splits.count(g.pairs[i], b.strands[i].rate().rate())
			}
		}
	}
	client, server := v.figuresOf(v.summed(b.client), g.protocol), v.figuresOf(v.summed(b.server), g.protocol)
	client.active, server.active = b.activeClient.rate(), b.activeServer.rate()
	g.lead = server
	switch {
	case b.ledByClient > 0 && b.ledByServer > 0:
		g.lead = v.figuresOf(v.summed(b.lead), g.protocol)
		g.lead.active = b.activeLead.rate()
	case b.ledByClient > 0:
		g.lead = client
	}
	if g.hasClient {
		g.client = client
	}
	if g.hasServer {
		g.server = server
	}
	sc := &v.engine.scratch
	for i := range sc.rps {
		sc.rps[i] = float64(b.rps[i]) / perShown
		sc.failed[i] = float64(b.failed[i]) / perShown
	}
}

// summed gives counts as sums.
func (v *viewing) summed(list []count) []sum {
	v.sums = v.sums[:0]
	for _, c := range list {
		v.sums = append(v.sums, sum{c.key, float64(c.n) / v.engine.ring.keys.per(c.key)})
	}
	return v.sums
}
