package graph

import "slices"

// edgeSum is the sum of some edges: of those on one side of a node, or of all that
// a view shows. It follows them one by one.
type edgeSum struct {
	live, busy             int // edges with data, and those of them that are not idle
	lead                   tally
	own                    tally // of live edges, as the called workloads answered
	sent, received, active quanta
	latency                []bucketQuanta // in the order of bounds
	rps                    [seriesSeconds]quanta
}

type bucketQuanta struct {
	id uint32
	n  quanta
}

// follow makes all sums have of an edge what it comes to now: nothing when it
// is dropped.
func (v *viewing) follow(g *gathered) {
	now := g.counted
	if g.dropped {
		now = nil
	}
	if now == g.followed {
		return
	}
	if g.followed != nil {
		v.sum(g, g.followed, -1)
	}
	if now != nil {
		v.sum(g, now, 1)
	}
	g.followed = now
}

func (v *viewing) sum(g *gathered, c *counted, times quanta) {
	rank := v.engine.buckets.rank
	g.source.sumOut.add(c, times, rank)
	g.target.sumIn.add(c, times, rank)
	if !g.second { // counted on the way to its service
		v.total.add(c, times, rank)
	}
}

// add adds an edge so many times: once, or minus once.
func (f *edgeSum) add(c *counted, times quanta, rank []uint32) {
	lead := c.lead
	f.lead.add(&lead.tally, times)
	f.sent += quantaOf(lead.plain[sumSent], perByte) * times
	f.received += quantaOf(lead.plain[sumReceived], perByte) * times
	f.active += quantaOf(lead.active, perThing) * times
	if c.live {
		f.live += int(times)
		f.own.add(&c.own().tally, times)
		if !lead.idle() {
			f.busy += int(times)
		}
	}
	for i, x := range c.rps {
		f.rps[i] += quantaOf(x, perShown) * times
	}
	at := 0
	for _, b := range lead.latency { // both lie in one order
		for at < len(f.latency) && rank[f.latency[at].id] < rank[b.id] {
			at++
		}
		if at == len(f.latency) || f.latency[at].id != b.id {
			f.latency = slices.Insert(f.latency, at, bucketQuanta{id: b.id})
		}
		f.latency[at].n += quantaOf(b.n, perThing) * times
	}
}

// quantiles reads them from the merged histogram: quantiles themselves cannot
// be added.
func (v *viewing) quantiles(f *edgeSum) quantiles {
	v.merged = v.merged[:0]
	for _, b := range f.latency {
		if b.n > 0 {
			v.merged = append(v.merged, bucketCount{b.id, b.n.rate()})
		}
	}
	return v.quantilesOf(v.merged)
}

// traffic is what a node shows of one side.
func (v *viewing) traffic(f *edgeSum, edges []*gathered) Traffic {
	q := quantiles{}
	if len(edges) == 1 {
		q = edges[0].lead.quantiles
	} else {
		q = v.quantiles(f)
	}
	return Traffic{
		RPS: round(f.lead.total.rate()), ErrorRatio: round(f.lead.errorRatio()), P50MS: q.p50, P95MS: q.p95, P99MS: q.p99,
		SentBytesPerS: round(float64(f.sent) / perByte), ReceivedBytesPerS: round(float64(f.received) / perByte),
		ActiveConnections: f.active.rate(),
	}
}

// totals are those of a view.
func (v *viewing) totals(f *edgeSum) Totals {
	return Totals{RPS: round(f.lead.total.rate()), ErrorRatio: round(f.lead.errorRatio()), P95MS: v.quantiles(f).p95}
}
