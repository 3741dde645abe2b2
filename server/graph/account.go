package graph

import (
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// settleSeconds is how long the two sides may disagree about a connection that
// was just opened or closed: they are scraped at different moments.
const settleSeconds = 5

// dropAccounted takes out the TCP edges that say nothing new: those that carry
// requests, and those of nobody that are others' connections. Over plain TCP a
// server's sidecar cannot tell who called, so every connection that a client's
// sidecar reports arrives a second time, from nobody. What the clients of a
// target cannot account for stays: that is a caller without a sidecar.
func (v *viewing) dropAccounted() {
	var moved []*gatheredNode
	for _, g := range v.tcp {
		was := g.dropped
		if g.dropped = g.source.kind == KindUnknown && v.accounted(g) || v.carries(g); g.dropped != was {
			moved = append(moved, g.source, g.target)
		}
	}
	for _, n := range moved {
		n.in, n.out, n.crowd = left(n.allIn), left(n.allOut), nil
		n.gone = n.kind == KindUnknown && len(n.allIn)+len(n.allOut) > 0 && len(n.in)+len(n.out) == 0
		v.disturb(n)
	}
}

// left gives the edges that are not dropped.
func left(edges []*gathered) []*gathered {
	if !slices.ContainsFunc(edges, func(g *gathered) bool { return g.dropped }) {
		return edges
	}
	return slices.DeleteFunc(slices.Clone(edges), func(g *gathered) bool { return g.dropped })
}

// carries reports whether a TCP edge is the connections of requests that are
// edges of their own: some meshes count both, and name what is called only of
// requests.
func (v *viewing) carries(g *gathered) bool {
	for _, p := range g.pairs {
		if p.service.Host != "" {
			return false
		}
	}
	return v.edges[edgeOf{g.source, g.target, mesh.HTTP}] != nil || v.edges[edgeOf{g.source, g.target, mesh.GRPC}] != nil
}

// accounted reports whether the clients that report explain all connections
// that the server's side of unknown saw.
func (v *viewing) accounted(unknown *gathered) bool {
	if unknown.server == nil {
		return false
	}
	var opened, active, settling float64
	reported := false
	for _, g := range unknown.target.allIn {
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
			ring.each(s.id, v.clock.end-settleSeconds, v.clock.end+settleSeconds, func(at span, entries []entry, _ int) {
				part := at.within(v.clock.end-settleSeconds, v.clock.end+settleSeconds)
				for _, e := range entries {
					if e.key == ring.keys.plain+sumOpened || e.key == ring.keys.plain+sumClosed {
						n += float64(e.n) * part
					}
				}
			})
		}
	}
	return n
}
