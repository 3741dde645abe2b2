package xds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// world is one state of the configuration, ready to be compiled for any
// namespace and node. What namespaces share is compiled once.
type world struct {
	revision              uint64
	cluster               string // name of the mesh cluster
	registry              *registry.Registry
	routing               map[string][]*config.Object // VirtualServices by resolved host, each list by key
	rules                 map[string][]*config.Object // DestinationRules, the same
	wildRoutes, wildRules []string                    // the patterns among their hosts, longest first
	objects               map[string]*config.Object   // by key, but for patches
	patches               map[string]*config.Object   // what is otherwise than in objects; nil: not there
	snapshot              []*config.Object            // all, by key
	gateways              []*config.Object            // by key
	sidecars              []*config.Object            // by key
	bound                 map[string][]*config.Object // VirtualServices by the Gateway they name, each list by key

	security Security
	policies []*config.Object // AuthorizationPolicies, by key
	peers    []*config.Object // PeerAuthentications, by key
	targets  []*config.Object // TrafficTargets, by key

	services map[serviceRule][]typed // of this world, and of those before where they are the same
	grpc     map[sharing]*set        // what proxyless clients find
	asked    []string                // labels of callers that routes ask for, sorted
	compiled map[sharing]*set        // what share gave
	delta    *delta                  // from the world before; nil: everything is new
}

// serviceRule is what the clusters of a service are compiled from.
type serviceRule struct {
	service *registry.Service
	rule    *config.Object    // nil: none
	where   registry.Locality // of the client; zero where it makes no difference
}

type typed struct {
	t        int
	resource *Resource
}

// newWorld reads one state of the configuration by itself.
func newWorld(snapshot config.Snapshot, cluster string, security Security) *world {
	w := &world{cluster: cluster, security: security.orDefault(), registry: registry.Build(snapshot.Objects)}
	w.take(snapshot)
	w.read(snapshot.Objects)
	return w
}

// take starts anew with what a state is compiled to.
func (w *world) take(snapshot config.Snapshot) {
	w.revision, w.snapshot = snapshot.Revision.Number, snapshot.Objects
	w.grpc, w.compiled = map[sharing]*set{}, map[sharing]*set{}
	if w.services == nil {
		w.services = map[serviceRule][]typed{}
	}
}

// read sorts objects by what they are for.
func (w *world) read(objects []*config.Object) {
	w.routing, w.rules, w.bound = map[string][]*config.Object{}, map[string][]*config.Object{}, map[string][]*config.Object{}
	w.objects = make(map[string]*config.Object, len(objects))
	w.gateways, w.sidecars, w.policies, w.peers, w.targets, w.asked = nil, nil, nil, nil, nil, nil
	for _, o := range objects {
		w.objects[o.Key().String()] = o
		switch o.Kind {
		case config.KindGateway:
			w.gateways = append(w.gateways, o)
		case config.KindAuthorizationPolicy:
			w.policies = append(w.policies, o)
		case config.KindPeerAuthentication:
			w.peers = append(w.peers, o)
		case config.KindTrafficTarget:
			w.targets = append(w.targets, o)
		case config.KindSidecar:
			w.sidecars = append(w.sidecars, o)
		case config.KindDestinationRule:
			host := w.registry.Resolve(o.DestinationRule().Host, o.Namespace)
			w.rules[host] = append(w.rules[host], o)
		case config.KindVirtualService:
			w.readRoutes(o)
		}
	}
	for _, o := range w.registry.VirtualServices(objects) {
		host := o.VirtualService().Hosts[0]
		w.routing[host] = append(w.routing[host], o) // after those that were written, which go first
	}
	slices.Sort(w.asked)
	w.asked = slices.Compact(w.asked)
	w.wildRoutes, w.wildRules = patterns(w.routing), patterns(w.rules)
}

func (w *world) readRoutes(o *config.Object) {
	w.asked = append(w.asked, askedLabels(o.VirtualService())...)
	for _, name := range o.VirtualService().GetGateways() {
		if name != "mesh" {
			key := gatewayKey(name, o.Namespace)
			w.bound[key] = append(w.bound[key], o)
		}
	}
	if !forMesh(o.VirtualService().GetGateways()) {
		return
	}
	for _, h := range o.VirtualService().GetHosts() {
		host := w.registry.Resolve(h, o.Namespace)
		if list := w.routing[host]; len(list) == 0 || list[len(list)-1] != o { // two of its hosts may be one
			w.routing[host] = append(list, o)
		}
	}
}

// patterns lists the hosts that stand for many, the one of the fewest first.
func patterns(byHost map[string][]*config.Object) []string {
	var out []string
	for host := range byHost {
		if registry.IsWild(host) {
			out = append(out, host)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return out
}

// newest gives the highest revision of some objects; 1 when there are none,
// which is what resources that depend on no object count as.
func (w *world) newest(objects []string) uint64 {
	newest := uint64(1)
	for _, o := range objects {
		if object := w.object(o); object != nil {
			newest = max(newest, object.Revision)
		}
	}
	return newest
}

// sharing names what nodes share: those of a namespace have the same clusters,
// endpoints and outbound routes, but what they see depends on the Sidecar that
// is for them, and where a request for an unknown host goes on whether the
// kernel brought it.
type sharing struct {
	namespace string
	sidecar   string // key of the Sidecar; "" for none
	labels    string // that routes ask for, see labelsOf
	captured  bool
	where     registry.Locality
}

// share compiles what nodes share, once. before is what they shared in the state
// before, nil when that is not known.
func (w *world) share(by sharing, before *set) *set {
	if done := w.compiled[by]; done != nil {
		return done
	}
	out := w.shareChanged(by, before)
	if out == nil {
		out = w.shareWhole(by)
		out.settle(before, w.revision, w.newest)
	}
	w.compiled[by] = out
	return out
}

func (w *world) shareWhole(by sharing) *set {
	out := newSet()
	sc := w.scope(by)
	services := sc.services(w)
	for _, s := range services {
		for _, r := range w.serviceResources(w.under(s, sc.namespace, by.where)) {
			out.add(r.t, r.resource)
		}
	}
	for _, s := range sc.destinations(w, services) {
		for _, r := range w.serviceResources(w.under(s, sc.namespace, by.where)) {
			out.add(r.t, r.resource)
		}
	}
	for _, c := range sc.unknownClusters() {
		out.add(clusterType, c)
	}
	out.add(routeType, w.outboundRoutes(sc, services))
	return out
}

// ruleFor chooses the DestinationRule for a service as a namespace sees it: its
// own, else the service's namespace's, else any other's, by key.
func (w *world) ruleFor(s *registry.Service, ns string) *config.Object {
	return chooseFor(s.Host, w.rules, w.wildRules, ns, s.Namespace, func(*config.Object) bool { return true })
}

// under gives a service with the rule for it, as a namespace sees it from a place.
func (w *world) under(s *registry.Service, ns string, where registry.Locality) serviceRule {
	of := serviceRule{service: s, rule: w.ruleFor(s, ns)}
	if of.rule != nil && slices.ContainsFunc(s.Endpoints, func(e registry.Endpoint) bool { return e.Locality != registry.Locality{} }) {
		of.where = where
	}
	return of
}

// chooseFor chooses among the objects for a host itself, else among those for the
// narrowest pattern that has one.
func chooseFor(host string, byHost map[string][]*config.Object, wild []string, client, service string, match func(*config.Object) bool) *config.Object {
	best := choose(byHost[host], client, service, match)
	for i := 0; best == nil && i < len(wild); i++ {
		if registry.Covers(wild[i], host) {
			best = choose(byHost[wild[i]], client, service, match)
		}
	}
	return best
}

// choose gives the first visible object that matches: of the client's
// namespace, of the service's, of any.
func choose(objects []*config.Object, client, service string, match func(*config.Object) bool) *config.Object {
	var best *config.Object
	rank := func(o *config.Object) int {
		switch o.Namespace {
		case client:
			return 0
		case service:
			return 1
		}
		return 2
	}
	for _, o := range objects {
		if (best == nil || rank(o) < rank(best)) && registry.Visible(o, client) && match(o) {
			best = o
		}
	}
	return best
}

// objectPath is the form in which Istio tells a proxy which object a resource
// came from.
func objectPath(o *config.Object) string {
	var kind strings.Builder
	for i, r := range o.Kind {
		if i > 0 && 'A' <= r && r <= 'Z' {
			kind.WriteByte('-')
		}
		kind.WriteRune(r)
	}
	return fmt.Sprintf("/apis/%s/v1/namespaces/%s/%s/%s", config.APIGroup(o.Kind), o.Namespace, strings.ToLower(kind.String()), o.Name)
}

// metadataOf builds filter metadata from plain values.
func metadataOf(filters map[string]map[string]any) *corev3.Metadata {
	m := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	for filter, values := range filters {
		s, err := structpb.NewStruct(values)
		if err != nil {
			panic(fmt.Sprintf("BUG: metadata of %s: %v", filter, err)) // values are ours; names were validated as UTF-8
		}
		m.FilterMetadata[filter] = s
	}
	return m
}

func clusterName(port uint32, subset, host string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}
