package xds

import (
	"cmp"
	"maps"
	"net"
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// previewOutbound is where a sidecar listens that nobody has seen.
const previewOutbound = "127.0.0.1:15001"

// Preview is some state of the configuration, the present or an earlier one, to
// look at what nodes would be given by it. It is for one goroutine.
type Preview struct {
	server *Server
	world  *world
}

// Preview reads a state of the configuration. Nothing of it is kept.
func (s *Server) Preview(snapshot config.Snapshot) *Preview {
	return &Preview{s, newWorld(snapshot, s.opts.Cluster, s.opts.Security)}
}

// Node compiles what a node would be given, by type and name. A node that is not
// known is taken for a sidecar of the workload that listens for outbound HTTP only;
// known tells the two apart.
func (p *Preview) Node(nodeID string, of mesh.Workload) (resources []*Resource, known bool) {
	node := p.server.proxyOf(nodeID)
	if known = node != nil; !known {
		node = &proxy{node: mesh.Node{ID: nodeID, Workload: of}, outbound: previewOutbound, account: "default"}
	}
	w := p.world
	shared, own := w.share(w.sharing(node), nil), w.node(node)
	own.settle(nil, w.revision, w.newest)
	return newView(w.revision, shared, own, nil).list(), known
}

// Listeners compiles the listeners of a node alone, by name; none when it is not
// known.
func (p *Preview) Listeners(nodeID string) (listeners []*Resource) {
	node := p.server.proxyOf(nodeID)
	if node == nil {
		return nil
	}
	own := p.world.node(node)
	own.settle(nil, p.world.revision, p.world.newest)
	for r := range own[listenerType].each {
		listeners = append(listeners, r)
	}
	return listeners
}

func (s *Server) proxyOf(nodeID string) *proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[nodeID]; n != nil {
		return n.proxy
	}
	return nil
}

// Identity gives whom a node's certificate names: its service account, when it
// says that it has one; "" when it does not, or is not known.
func (s *Server) Identity(nodeID string) string {
	p := s.proxyOf(nodeID)
	if p == nil || !p.identity {
		return ""
	}
	return s.Principal(p.node.Workload.Namespace, p.account)
}

// Principal is how the certificates of a service account name it.
func (s *Server) Principal(namespace, account string) string {
	return "spiffe://" + s.opts.Security.orDefault().TrustDomain + "/ns/" + namespace + "/sa/" + account
}

// NodeAt finds the node that takes requests at an address of a workload; "" when
// none does. One that listens on the very address goes before one that listens on
// all.
func (s *Server) NodeAt(address, workload string) (found string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, port, _ := net.SplitHostPort(address)
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		p := s.nodes[id].proxy
		for _, in := range p.inbound {
			if in.address == address {
				return id
			}
			host, on, _ := net.SplitHostPort(in.address)
			if found == "" && on == port && (host == "0.0.0.0" || host == "::") && p.node.Workload.Namespace+"/"+p.node.Workload.Name == workload {
				found = id
			}
		}
	}
	return found
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
