package xds

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// previewOutbound is where a sidecar listens that nobody has seen.
const previewOutbound = "127.0.0.1:15001"

// Preview compiles what a node would be given by some state of the
// configuration, the present or an earlier one, by type and name. A node that
// is not known is taken for a sidecar of the workload that listens for outbound
// HTTP only; known tells the two apart. Nothing of it is kept.
func (s *Server) Preview(nodeID string, of mesh.Workload, snapshot config.Snapshot) (resources []*Resource, known bool) {
	s.mu.Lock()
	n := s.nodes[nodeID]
	var p *proxy
	if n != nil {
		p = n.proxy
	}
	s.mu.Unlock()
	if p == nil {
		p = &proxy{node: mesh.Node{ID: nodeID, Workload: of}, outbound: previewOutbound}
	}
	w := newWorld(snapshot, s.opts.Cluster, s.opts.Security)
	shared, own := w.share(w.sharing(p), nil), w.node(p)
	own.settle(nil, w.revision, w.newest)
	return newView(w.revision, shared, own, nil).list(), n != nil
}

// list gives the resources of a view, by type and name.
func (v *view) list() []*Resource {
	out := []*Resource{}
	for t := range typeCount {
		v.each(t, func(r *Resource) bool {
			out = append(out, r)
			return true
		})
	}
	slices.SortFunc(out, func(a, b *Resource) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) })
	return out
}
