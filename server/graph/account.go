package graph

import (
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// settleSeconds is how long the two sides may disagree about a connection that
// was just opened or closed: they are scraped at different moments.
const settleSeconds = 5

// dropAccounted takes out the TCP edges that say nothing new: over plain TCP a
// server's sidecar cannot tell who called, so every connection that a client's
// sidecar reports arrives a second time, from nobody. What the clients of a
// target cannot account for stays: that is a caller without a sidecar.
func (v *viewing) dropAccounted() {
	for _, n := range v.nodes {
		for _, g := range n.in {
			if g.protocol == mesh.TCP && g.source.kind == KindUnknown && v.accounted(g) {
				g.dropped = true
			}
		}
	}
	dropped := func(g *gathered) bool { return g.dropped }
	v.order = slices.DeleteFunc(v.order, dropped)
	for id, n := range v.nodes {
		edges := len(n.in) + len(n.out)
		n.in, n.out = slices.DeleteFunc(n.in, dropped), slices.DeleteFunc(n.out, dropped)
		if n.kind == KindUnknown && edges > 0 && len(n.in)+len(n.out) == 0 {
			delete(v.nodes, id)
		}
	}
}

// accounted reports whether the clients that report explain all connections
// that the server's side of unknown saw.
func (v *viewing) accounted(unknown *gathered) bool {
	if unknown.server == nil {
		return false
	}
	var opened, active, settling float64
	reported := false
	for _, g := range unknown.target.in {
		if g.protocol != mesh.TCP || g.client == nil {
			continue
		}
		reported = true
		opened += g.client.plain[sumOpened] * v.window
		active += g.client.active
		settling += v.settling(g)
	}
	const slack = 1.5 // one connection, and what spreading over seconds rounds
	return reported &&
		unknown.server.active <= active+settling+v.settling(unknown) &&
		unknown.server.plain[sumOpened]*v.window <= opened+slack
}

// settling counts the connections that were opened or closed just now.
func (v *viewing) settling(g *gathered) float64 {
	ring := &v.engine.ring
	n := 0.0
	for _, p := range g.pairs {
		for _, s := range slices.Concat(p.client, p.server) {
			ring.each(s.id, v.clock.end-settleSeconds, v.clock.end+settleSeconds, func(_ int64, entries []entry, _ int) {
				for _, e := range entries {
					if e.key == ring.keys.plain+sumOpened || e.key == ring.keys.plain+sumClosed {
						n += float64(e.n)
					}
				}
			})
		}
	}
	return n
}
