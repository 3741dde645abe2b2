package graph

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// seriesSeconds is how far the series of views look back, at a value a second.
const seriesSeconds = 60

// gathered is one edge of a view while it is added up from its pairs. Rates
// are per second.
type gathered struct {
	id             string
	source, target *gatheredNode
	protocol       mesh.Protocol
	pairs          []*pair
	bundle         *bundle       // nil for few pairs
	split          []int         // the pairs that routes split by weight
	held           []int         // the pairs that are held to objectives
	outlying       []*pair       // the pairs of which callers keep endpoints out
	outlined       uint64        // when those were looked for
	shown          *mesh.Service // what is called, completed
	labels         []byte        // as JSON, with that
	stirred        []int         // the pairs that are to be read again
	mirrored       bool
	nameless       bool     // some pair tells no service
	second         bool     // from a service node to a workload
	dropped        bool     // from this view, see dropAccounted
	index          int      // in plan.all
	due            uint64   // the turn in which it was last looked at
	followed       *counted // what the sums of nodes and plan have of it
	begun          begun
	*counted
}

// counted is what an edge came to. It is replaced, never changed.
type counted struct {
	client, server *figures // nil where that side does not report
	lead           *figures // the one of them that the main figures come from, or a mix
	service        mesh.Service
	latest         *target // of silent pairs: whose data came last
	hasClient      bool
	hasServer      bool
	live           bool  // some pair has a side that reports
	end            int64 // the newest second read
	secured        float64
	securable      float64
	rps, failed    []float64

	reads   []reading // of its pairs, without bundle
	ruled   uint64    // the facts that it was judged by
	lasting bool      // see lasts
	edge    Edge
	sides   [2]Side // of the edge
	written written
}

// figures are the sums of one side.
type figures struct {
	requests  []outcomeRate
	responses []outcomeRate
	plain     [plainSums]float64
	active    float64
	latency   []bucketCount
	tally     tally
	quantiles quantiles
}

type outcomeRate struct {
	*outcome
	rate float64
}

// tally counts answers by what health asks for.
type tally struct {
	total, failed quanta
	by            [classTCP + 1]quanta
	grpc          quanta // requests
	opened        quanta // TCP connections
}

// add adds another one so many times: once, or minus once.
func (t *tally) add(o *tally, times quanta) {
	t.total += o.total * times
	t.failed += o.failed * times
	for i := range t.by {
		t.by[i] += o.by[i] * times
	}
	t.grpc += o.grpc * times
	t.opened += o.opened * times
}

// errorRatio is of requests; where there are only connections, of those.
func (t *tally) errorRatio() float64 {
	if t.total > 0 {
		return float64(t.failed) / float64(t.total)
	}
	return t.of(classTCP)
}

// gather adds up an edge's pairs over the window, of which v.reads has the
// readings. A bundle is up to date already.
func (v *viewing) gather(g *gathered) {
	g.counted = &v.counted.take(1)[0]
	g.ruled = v.engine.ruled
	sc := &v.engine.scratch
	clear(sc.rps[:])
	clear(sc.failed[:])
	if g.bundle != nil {
		v.readOut(g)
	} else {
		v.addUp(g)
	}
	g.rps, g.failed = v.series(sc.rps[:]), v.series(sc.failed[:])
	g.lasting = v.lasts(g)
}

// series keeps a series as it is shown. Those without anything are one.
func (v *viewing) series(of []float64) []float64 {
	if !slices.ContainsFunc(of, func(x float64) bool { return x != 0 }) {
		return v.engine.still
	}
	out := v.numbers.take(len(of))
	copy(out, of)
	roundAll(out)
	return out
}

// addUp adds the pairs of an edge that has few.
func (v *viewing) addUp(g *gathered) {
	sc := &v.engine.scratch
	g.reads = v.readings.take(len(v.reads))
	copy(g.reads, v.reads)
	mixed, leadClient := false, false
	var activeClient, activeServer, activeLead float64
	busiest := -1.0
	first := true
	for i, p := range g.pairs {
		r := g.reads[i]
		if g.end == 0 || r.to < g.end {
			g.end = r.to
		}
		g.hasClient, g.hasServer = g.hasClient || r.client, g.hasServer || r.server
		g.live = g.live || r.client || r.server
		g.note(r)
		namesake := g.namesake(i)
		c := v.part(p, r, namesake, sc.client, sc.server, sc.rps[:], sc.failed[:])
		g.secured, g.securable = g.secured+c.secured, g.securable+c.securable
		activeClient, activeServer = activeClient+c.activeClient, activeServer+c.activeServer
		if namesake {
			continue
		}
		leads := r.clientLeads(p)
		if !first && leads != leadClient {
			mixed = true
		}
		leadClient, first = leads, false
		rate := c.serverRate
		if leads {
			rate = c.clientRate
			activeLead += c.activeClient
		} else {
			activeLead += c.activeServer
		}
		if !g.second {
			v.splits.count(p, rate)
		}
		if p.service.Host != "" && (rate > busiest*(1+1e-9) || rate >= busiest*(1-1e-9) && p.service.Host < g.service.Host) {
			busiest, g.service = rate, p.service
		}
	}
	client, server := v.figuresOf(v.take(sc.client), g.protocol), v.figuresOf(v.take(sc.server), g.protocol)
	client.active, server.active = activeClient, activeServer
	switch {
	case mixed:
		g.lead = v.mix(g)
		g.lead.active = activeLead
	case leadClient:
		g.lead = client
	default:
		g.lead = server
	}
	if g.hasClient {
		g.client = client
	}
	if g.hasServer {
		g.server = server
	}
}

// part is what a pair adds to its edge, besides sums and series.
type part struct {
	clientRate, serverRate     float64
	activeClient, activeServer float64
	secured, securable         float64
}

// part counts a pair.
func (v *viewing) part(p *pair, r reading, namesake bool, client, server *sums, rps, failed []float64) part {
	var c part
	c.serverRate = v.side(p.server, r, server, &c, true)
	c.activeServer = v.active(p.server)
	if namesake {
		return c
	}
	c.clientRate = v.side(p.client, r, client, &c, false)
	c.activeClient = v.active(p.client)
	v.seconds(p, r, rps, failed)
	return c
}

// namesake reports whether a pair is the other end of what a caller counts
// under the name that it called: some proxies do not know on arrival what was
// called. It is the server's side then, and nothing more.
func (g *gathered) namesake(i int) bool {
	if g.bundle != nil {
		return g.bundle.strands[i].namesake
	}
	p := g.pairs[i]
	if !g.nameless || p.service.Host != "" || len(p.client) > 0 || len(g.pairs) == 1 {
		return false
	}
	return slices.ContainsFunc(g.pairs, func(o *pair) bool {
		return len(o.client) > 0 && o.source == p.source && o.target == p.target
	})
}

// reading tells how a pair was read.
func (g *gathered) reading(i int) reading {
	if g.bundle != nil {
		return g.bundle.strands[i].of
	}
	return g.reads[i]
}

// note remembers whose data came last, of those that give none.
func (g *gathered) note(r reading) {
	if r.silent != nil && (g.latest == nil || r.silent.lastUp > g.latest.lastUp) {
		g.latest = r.silent
	}
}

// mix adds the leading sides of pairs that differ in which side leads.
func (v *viewing) mix(g *gathered) *figures {
	into := v.engine.scratch.lead
	for i, p := range g.pairs {
		if r := g.reads[i]; !g.namesake(i) {
			for _, s := range p.leading(r) {
				v.engine.ring.add(into, s.id, r.from, r.to, r.scale)
			}
		}
	}
	return v.figuresOf(v.take(into), g.protocol)
}

// clientLeads reports whether the main figures come from the client's side.
func (r *reading) clientLeads(p *pair) bool {
	return r.client || !r.server && len(p.client) > 0
}

// leading gives the side that the main figures come from.
func (p *pair) leading(r reading) []*series {
	if r.clientLeads(p) {
		return p.client
	}
	return p.server
}

// side adds one side of a pair. It gives the side's request rate. The server's
// word on security counts, the client's only where the server does not report.
func (v *viewing) side(side []*series, r reading, into *sums, c *part, server bool) float64 {
	ring := &v.engine.ring
	opened := ring.keys.plain + sumOpened
	total := 0.0
	for _, s := range side {
		before := into.v[opened]
		weight := ring.add(into, s.id, r.from, r.to, r.scale)
		weight += into.v[opened] - before
		if server == r.server {
			c.securable += weight
			if s.key.Security == "mutual_tls" {
				c.secured += weight
			}
		}
		total += weight
	}
	return total
}

// active adds up open connections, leaving out what silent targets said.
func (v *viewing) active(side []*series) float64 {
	n := 0.0
	for _, s := range side {
		for _, in := range s.inputs {
			if !in.from.gone && !in.from.silent(v.clock.at, v.clock.intervals) {
				n += in.active
			}
		}
	}
	return n
}

// seconds adds a pair's requests and errors second by second.
func (v *viewing) seconds(p *pair, r reading, rps, failed []float64) {
	if p.protocol == mesh.TCP {
		return
	}
	ring := &v.engine.ring
	list := v.engine.outcomes.list
	end, from := r.to, r.to-seriesSeconds
	for _, s := range p.leading(r) {
		ring.follow(s.id, from, rps, failed)
		if from >= ring.base {
			continue
		}
		ring.eachCoarse(s.id, floor10(from), min(end, ring.base), func(second int64, entries []entry, requests int) {
			var all, wrong float64
			for _, e := range entries[:requests] {
				all += float64(e.n)
				if list[e.key].failed {
					wrong += float64(e.n)
				}
			}
			// Old seconds are kept by tens.
			for at := max(second, from); at < min(second+coarseSeconds, end); at++ {
				rps[at-from] += all / coarseSeconds
				failed[at-from] += wrong / coarseSeconds
			}
		})
	}
}

// take empties sums into a list that is used again.
func (v *viewing) take(s *sums) []sum {
	v.sums = v.sums[:0]
	for _, key := range s.touched {
		if n := s.v[key]; n != 0 {
			v.sums = append(v.sums, sum{key, n})
			s.v[key] = 0
		}
	}
	s.touched = s.touched[:0]
	return v.sums
}

// figuresOf reads sums out, which it sorts.
func (v *viewing) figuresOf(list []sum, protocol mesh.Protocol) *figures {
	f := &v.figures.take(1)[0]
	k := &v.engine.ring.keys
	slices.SortFunc(list, func(a, b sum) int { return cmp.Compare(a.key, b.key) })
	from := func(key uint32) int {
		i, _ := slices.BinarySearchFunc(list, key, func(s sum, key uint32) int { return cmp.Compare(s.key, key) })
		return i
	}
	responses, latency, plain := from(k.responses), from(k.buckets), from(k.plain)
	outcomes := v.engine.outcomes.list
	f.requests = v.rates.take(responses)
	for i, s := range list[:responses] {
		f.requests[i] = outcomeRate{&outcomes[s.key], s.n}
		f.tally.count(&outcomes[s.key], quantaOf(s.n, perThing), protocol)
	}
	f.responses = v.rates.take(latency - responses)
	for i, s := range list[responses:latency] {
		f.responses[i] = outcomeRate{&outcomes[s.key-k.responses], s.n}
	}
	for _, s := range list[plain:] {
		f.plain[s.key-k.plain] = s.n
	}
	if protocol == mesh.TCP {
		f.tally.opened = quantaOf(f.plain[sumOpened], perThing)
		if len(f.requests) == 0 {
			for _, r := range f.responses {
				f.tally.count(r.outcome, quantaOf(r.rate, perThing), protocol)
			}
		}
	}
	f.latency = v.latencyOf(list[latency:plain])
	f.quantiles = v.quantilesOf(f.latency)
	return f
}

func (t *tally) count(o *outcome, n quanta, protocol mesh.Protocol) {
	if protocol == mesh.TCP {
		if o.tcpFail {
			t.by[classTCP] += n
		}
		return
	}
	t.total += n
	if o.failed {
		t.failed += n
	}
	if protocol == mesh.GRPC || o.GRPC != "" {
		t.grpc += n
	}
	t.by[o.class] += n
}
