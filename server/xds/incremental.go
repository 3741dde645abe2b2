package xds

import (
	"maps"
	"net"
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// maxPatches is how many objects a world may know to be otherwise than in its
// table before it makes a new one.
const maxPatches = 1000

// delta is how a world differs from the one before it, in terms of what has to
// be compiled again. What it does not name is the same.
type delta struct {
	from      *world // nil once it is let go: everything is compiled whole
	replaced  []registry.Replaced
	tuned     []*config.Object // DestinationRules that say otherwise how, not where to
	routes    bool             // routes, DestinationRules, or services themselves
	clusters  bool             // of those, what more than routes is made of
	listeners bool             // what nodes' own resources are made of
}

// next reads the state that follows w's.
func (w *world) next(snapshot config.Snapshot) *world {
	changes := registry.Changes(w.snapshot, snapshot.Objects)
	out := &world{cluster: w.cluster, security: w.security, services: w.services, delta: &delta{from: w}}
	var whole bool
	out.registry, out.delta.replaced, whole = w.registry.Next(snapshot.Objects, changes)
	out.delta.routes, out.delta.clusters, out.delta.listeners = whole, whole, whole
	for _, c := range changes {
		switch c.Kind() {
		case config.KindServiceEntry, config.KindWorkloadEntry:
		case config.KindAuthorizationPolicy, config.KindPeerAuthentication, config.KindTrafficTarget, config.KindTCPRoute:
			out.delta.listeners = true
		case config.KindDestinationRule:
			if tuned(c) {
				out.delta.tuned = append(out.delta.tuned, c.After)
			} else {
				out.delta.routes, out.delta.clusters = true, true
			}
		case config.KindGateway, config.KindSidecar, config.KindHTTPRouteGroup: // of the last, splits and targets are made
			out.delta.routes, out.delta.clusters, out.delta.listeners = true, true, true
		default: // a VirtualService, or what is read as one
			out.delta.routes = true
		}
	}
	out.take(snapshot)
	if out.delta.routes || out.delta.listeners || len(w.patches)+len(changes) > maxPatches {
		out.read(snapshot.Objects)
		return out
	}
	out.routing, out.rules, out.bound, out.objects = w.routing, w.rules, w.bound, w.objects
	out.wildRoutes, out.wildRules, out.asked = w.wildRoutes, w.wildRules, w.asked
	out.gateways, out.sidecars, out.policies, out.peers, out.targets = w.gateways, w.sidecars, w.policies, w.peers, w.targets
	for i, rule := range out.delta.tuned {
		if i == 0 {
			out.rules = maps.Clone(w.rules)
		}
		host := w.registry.Resolve(rule.DestinationRule().Host, rule.Namespace)
		list := slices.Clone(out.rules[host])
		list[slices.IndexFunc(list, func(o *config.Object) bool { return o.Key() == rule.Key() })] = rule
		out.rules[host] = list
	}
	out.patches = maps.Clone(w.patches)
	if out.patches == nil {
		out.patches = map[string]*config.Object{}
	}
	for _, c := range changes {
		if c.After != nil {
			out.patches[c.After.Key().String()] = c.After
		} else {
			out.patches[c.Before.Key().String()] = nil
		}
	}
	return out
}

// tuned reports whether a DestinationRule is for the same clusters as before,
// and no routes depend on it.
func tuned(c registry.Change) bool {
	if c.Before == nil || c.After == nil {
		return false
	}
	before, after := c.Before.DestinationRule(), c.After.DestinationRule()
	named := func(a, b *networking.Subset) bool { return a.Name == b.Name }
	return before.Host == after.Host && !registry.IsWild(after.Host) && slices.Equal(before.ExportTo, after.ExportTo) &&
		slices.EqualFunc(before.Subsets, after.Subsets, named) && !hashes(before) && !hashes(after)
}

// hashes reports whether some of a rule's clusters choose endpoints by a hash of
// the request, which routes then make.
func hashes(rule *networking.DestinationRule) bool {
	by := func(p *networking.TrafficPolicy) bool {
		return p.GetLoadBalancer().GetConsistentHash() != nil || slices.ContainsFunc(p.GetPortLevelSettings(), func(port *networking.TrafficPolicy_PortTrafficPolicy) bool {
			return port.GetLoadBalancer().GetConsistentHash() != nil
		})
	}
	return by(rule.TrafficPolicy) || slices.ContainsFunc(rule.Subsets, func(s *networking.Subset) bool { return by(s.TrafficPolicy) })
}

// object finds an object by its key; nil when there is none.
func (w *world) object(key string) *config.Object {
	if o, ok := w.patches[key]; ok {
		return o
	}
	return w.objects[key]
}

// shareChanged makes what nodes share of what it was before, when endpoints or
// routes alone changed, or rules were tuned; nil when more did.
func (w *world) shareChanged(by sharing, before *set) *set {
	d := w.delta
	if before == nil || d == nil || d.clusters || d.from == nil || d.from.compiled[by] != before {
		return nil
	}
	sc := w.scope(by)
	if len(sc.spec().GetEgress()) > 0 {
		return nil // what it sees of the services is little, and not told by their hosts alone
	}
	var remade []typed
	for _, s := range d.remade(w, by.namespace) {
		remade = append(remade, w.serviceResources(w.under(s, by.namespace, by.where))...)
	}
	if d.routes {
		remade = append(remade, typed{routeType, w.outboundRoutes(sc, sc.services(w))})
	}
	out := *before
	for _, made := range remade {
		if out[made.t].has(made.resource) {
			continue
		}
		if out[made.t] == before[made.t] {
			out[made.t] = before[made.t].copy()
		}
		if !out[made.t].replace(before[made.t], made.resource, w.revision) {
			return nil
		}
	}
	return &out
}

// remade gives the services that a namespace sees whose clusters and endpoints
// have to be made again.
func (d *delta) remade(w *world, namespace string) []*registry.Service {
	out := make([]*registry.Service, 0, len(d.replaced)+len(d.tuned))
	for _, r := range d.replaced {
		if w.registry.Sees(namespace, r.After) {
			out = append(out, r.After)
		}
	}
	for _, rule := range d.tuned {
		host := w.registry.Resolve(rule.DestinationRule().Host, rule.Namespace)
		if s, ok := w.registry.Lookup(host, namespace); ok && s.Host == host {
			out = append(out, s)
		}
	}
	return out
}

// own compiles what a node alone has, or gives what it had when that is the
// same.
func (w *world) own(n *node) *set {
	if d := w.delta; d != nil && d.from != nil && n.own != nil && n.of == d.from && n.compiled == n.proxy && !d.concerns(n.proxy) {
		return n.own
	}
	out := w.node(n.proxy)
	out.settle(n.own, w.revision, w.newest)
	return out
}

// concerns reports whether what a node alone has may be otherwise.
func (d *delta) concerns(p *proxy) bool {
	if d.listeners || p.grpc || (d.routes || len(d.tuned) > 0) && (p.capture != nil || p.node.Kind == kindGateway || len(p.tcp) > 0) {
		return true
	}
	for _, r := range d.replaced {
		if p.capture != nil && slices.ContainsFunc(r.After.Ports, func(port registry.Port) bool { return !port.IsHTTP() }) {
			return true // its endpoints' addresses are listeners
		}
		if p.serves(r.Before) || p.serves(r.After) {
			return true
		}
	}
	return false
}

// serves reports whether a node has an endpoint of a service.
func (p *proxy) serves(s *registry.Service) bool {
	return !s.External && slices.ContainsFunc(p.inbound, func(in inboundPort) bool {
		return hasEndpoint(s, in.at()) || hasEndpoint(s, p.byWorkload(in))
	})
}

// at finds endpoints at the very address of a port.
func (in inboundPort) at() func(registry.Endpoint, registry.Port) bool {
	host, text, _ := net.SplitHostPort(in.address)
	number, _ := strconv.ParseUint(text, 10, 16)
	return func(e registry.Endpoint, port registry.Port) bool {
		return e.Address == host && e.Port(port) == uint32(number)
	}
}

// byWorkload finds endpoints of the node's workload on a port.
func (p *proxy) byWorkload(in inboundPort) func(registry.Endpoint, registry.Port) bool {
	return func(e registry.Endpoint, port registry.Port) bool {
		return port.Number == in.servicePort && e.Workload.Name == p.node.Workload.Name && e.Workload.Namespace == p.node.Workload.Namespace
	}
}

func hasEndpoint(s *registry.Service, match func(registry.Endpoint, registry.Port) bool) bool {
	return slices.ContainsFunc(s.Endpoints, func(e registry.Endpoint) bool {
		return slices.ContainsFunc(s.Ports, func(port registry.Port) bool { return match(e, port) })
	})
}

// letGo forgets the world before, whose nodes have all been compiled, and
// resources of services that are not there any more.
func (w *world) letGo() {
	if w.delta != nil {
		w.delta.from = nil
	}
	if len(w.services) <= 2*len(w.registry.Services())+maxPatches {
		return
	}
	current := make(map[*registry.Service]bool, len(w.registry.Services()))
	for _, s := range w.registry.Services() {
		current[s] = true
	}
	kept := make(map[serviceRule][]typed, len(current))
	for of, made := range w.services {
		if current[of.service] && (of.rule == nil || w.object(of.rule.Key().String()) == of.rule) {
			kept[of] = made
		}
	}
	w.services = kept
}
