package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// outboundRoute is the name of the one route configuration of a node: all HTTP
// leaves by one port, so hosts alone tell services apart.
const outboundRoute = "outbound"

// outboundRoutes compiles the route configuration of a scope: a virtual host for
// each HTTP port of each service, then hosts that only a VirtualService knows,
// then what becomes of everything else.
func (w *world) outboundRoutes(sc *scope, services []*registry.Service) *Resource {
	c := &routing{world: w, ns: sc.namespace, scope: sc, labels: sc.labels, taken: map[string]bool{}, objects: map[string]bool{}}
	c.hosts(services)
	for _, h := range c.order {
		c.virtualHosts = append(c.virtualHosts, c.virtualHost(h))
	}
	c.virtualHosts = append(c.virtualHosts, sc.unknownHost())
	rc := &routev3.RouteConfiguration{Name: outboundRoute, VirtualHosts: c.virtualHosts}
	objects := sc.objects()
	for o := range c.objects {
		objects = append(objects, o)
	}
	return newResource(routeType, outboundRoute, rc, objects...)
}

// routing compiles one namespace's routes.
type routing struct {
	world        *world
	ns           string
	scope        *scope            // nil: everything that the namespace sees
	labels       map[string]string // of the callers
	taken        map[string]bool   // domains: Envoy refuses one that is given twice
	order        []*virtualHost
	virtualHosts []*routev3.VirtualHost
	objects      map[string]bool
}

// virtualHost is a virtual host to be.
type virtualHost struct {
	host    string
	port    uint32
	bare    bool              // takes the host without a port too
	service *registry.Service // nil: a host that only its VirtualService knows
	virtual *config.Object    // nil: no VirtualService
	gateway *config.Object    // the Gateway it is for; nil: sidecars
	domains []string
}

// takes reports whether a match that names gateways is for this virtual host.
// One that names none is for all that its VirtualService is for.
func (h *virtualHost) takes(gateways []string) bool {
	if h.gateway == nil || len(gateways) == 0 {
		return forMesh(gateways)
	}
	return slices.ContainsFunc(gateways, func(name string) bool {
		return gatewayKey(name, h.virtual.Namespace) == h.gateway.Key().String()
	})
}

// hosts finds the virtual hosts and shares the domains out: names as written
// before short forms, which may be somebody's name as well.
func (c *routing) hosts(services []*registry.Service) {
	for _, s := range services {
		first := firstHTTP(s)
		for _, p := range s.Ports {
			if !p.IsHTTP() {
				continue
			}
			virtual := c.virtualService(s.Host, s.Namespace, p.Number)
			c.order = append(c.order, &virtualHost{host: s.Host, port: p.Number, bare: p.Number == first, service: s, virtual: virtual})
		}
	}
	known := map[string]bool{}
	for _, s := range services {
		known[s.Host] = true
	}
	for _, host := range slices.Sorted(maps.Keys(c.world.routing)) {
		if known[host] {
			continue
		}
		if virtual := c.virtualService(host, c.ns, 80); virtual != nil {
			c.order = append(c.order, &virtualHost{host: host, port: 80, bare: true, virtual: virtual})
		}
	}
	for _, h := range c.order {
		c.claim(h, h.host)
	}
	for _, h := range c.order {
		c.claim(h, registry.ShortNames(h.host, c.ns)...)
	}
}

func firstHTTP(s *registry.Service) uint32 {
	if p, ok := s.Port(80); ok && p.IsHTTP() {
		return 80
	}
	for _, p := range s.Ports {
		if p.IsHTTP() {
			return p.Number
		}
	}
	return 0
}

func (c *routing) claim(h *virtualHost, names ...string) {
	for _, name := range names {
		domains := []string{name + ":" + strconv.Itoa(int(h.port))}
		if h.bare {
			domains = append([]string{name}, domains...)
		}
		for _, d := range domains {
			if !c.taken[d] {
				c.taken[d] = true
				h.domains = append(h.domains, d)
			}
		}
	}
}

// virtualService finds what routes a host's requests on a port. Routes for the
// port alone go before those for all ports.
func (c *routing) virtualService(host, namespace string, port uint32) *config.Object {
	best := chooseFor(host, c.world.routing, c.world.wildRoutes, c.ns, namespace, func(o *config.Object) bool {
		return len(o.VirtualService().Http) > 0 && (o.Port == 0 || o.Port == port) && c.scope.imports(o.Namespace, host)
	})
	if best == nil || best.Rules == nil || best.Port != 0 {
		return best
	}
	for _, o := range c.world.routing[host] {
		if o.Namespace == best.Namespace && o.Port == port {
			return o
		}
	}
	return best
}

func (c *routing) virtualHost(h *virtualHost) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: h.host + ":" + strconv.Itoa(int(h.port)), Domains: h.domains}
	if h.service != nil {
		c.objects[h.service.Object.String()] = true
	}
	if h.virtual == nil {
		out.Routes = []*routev3.Route{defaultRoute(clusterName(h.port, "", h.host))}
		c.hashing(out.Routes[0].GetRoute(), &networking.Destination{Host: h.host}, c.ns, h.port)
		return out
	}
	for _, o := range origins(h.virtual) {
		c.objects[o.Key().String()] = true
	}
	out.TypedPerFilterConfig = hostRateLimit(h.virtual)
	for i, r := range h.virtual.VirtualService().Http {
		out.Routes = append(out.Routes, c.routes(h, i, r)...)
	}
	return out
}

func defaultRoute(cluster string) *routev3.Route {
	return &routev3.Route{
		Name:  "default",
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
			Timeout:          durationpb.New(0),
			MaxGrpcTimeout:   durationpb.New(0), //nolint:staticcheck // as in forward
			RetryPolicy:      retryPolicy(nil),
		}},
	}
}

// routes gives a route for each match of an HTTPRoute: they are alternatives.
func (c *routing) routes(h *virtualHost, index int, r *networking.HTTPRoute) []*routev3.Route {
	matches := r.Match
	if len(matches) == 0 {
		matches = []*networking.HTTPMatchRequest{{}}
	}
	var out []*routev3.Route
	for i, m := range matches {
		if !h.takes(m.Gateways) || m.Port != 0 && m.Port != h.port || m.SourceNamespace != "" && m.SourceNamespace != c.ns || !matchLabels(m.SourceLabels, c.labels) {
			continue
		}
		out = append(out, c.route(h, originOf(h.virtual, index, i), m, r))
	}
	return out
}

// originOf tells where a match of an http route of a VirtualService is from.
func originOf(virtual *config.Object, index, match int) config.Rule {
	if virtual.Rules != nil {
		return virtual.Rules[index]
	}
	r := virtual.VirtualService().Http[index]
	// Istio leaves the name empty; in a trace that says nothing.
	from := config.Rule{
		Object: virtual, Path: fmt.Sprintf("spec.http[%d]", index), Name: cmp.Or(r.Name, fmt.Sprintf("%s[%d]", virtual.Name, index)),
	}
	if len(r.Match) > 0 {
		from.Path += fmt.Sprintf(".match[%d]", match)
		if name := r.Match[match].Name; name != "" {
			from.Name += "." + name
		}
	}
	return from
}

// origins lists the objects that a VirtualService is or stands for.
func origins(virtual *config.Object) []*config.Object {
	if virtual.Rules == nil {
		return []*config.Object{virtual}
	}
	var out []*config.Object
	for _, r := range virtual.Rules {
		if !slices.Contains(out, r.Object) {
			out = append(out, r.Object)
		}
	}
	return out
}

// ofGatewayAPI reports whether a VirtualService stands for routes of the Gateway
// API, whose rules then hold.
func ofGatewayAPI(virtual *config.Object) bool {
	return virtual.Rules != nil && virtual.Rules[0].Object.TrafficSplit() == nil
}

func (c *routing) route(h *virtualHost, from config.Rule, m *networking.HTTPMatchRequest, r *networking.HTTPRoute) *routev3.Route {
	out := &routev3.Route{
		Name:  from.Name,
		Match: routeMatch(m),
		// The object that it came from, in Istio's words, and the place in it, in ours.
		Metadata: metadataOf(map[string]map[string]any{"istio": {"config": objectPath(from.Object)}, "sidelight": {"path": from.Path}}),
	}
	if ofGatewayAPI(h.virtual) {
		wholeSegments(out.Match)
	}
	ops := newHeaderOps(r.Headers)
	switch {
	case r.Redirect != nil:
		out.Action = &routev3.Route_Redirect{Redirect: redirect(r.Redirect, h.port)}
	case r.DirectResponse != nil:
		out.Action = &routev3.Route_DirectResponse{DirectResponse: directResponse(r.DirectResponse)}
	default:
		action := c.forward(h, r)
		if len(r.Route) == 1 {
			ops.add(r.Route[0].Headers)
		}
		if ops.host != "" {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: ops.host}
		}
		out.Action = &routev3.Route_Route{Route: action}
	}
	out.TypedPerFilterConfig = routeFilters(h.virtual, r)
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = ops.request.add, ops.request.remove
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = ops.response.add, ops.response.remove
	return out
}

func (c *routing) forward(h *virtualHost, r *networking.HTTPRoute) *routev3.RouteAction {
	action := &routev3.RouteAction{Timeout: r.Timeout, RetryPolicy: retryPolicy(r.Retries)}
	if action.Timeout == nil {
		action.Timeout = durationpb.New(0) // Envoy's own default would be 15 s
	}
	action.MaxGrpcTimeout = action.Timeout //nolint:staticcheck // Istio's way, too: clients' deadlines hold up to the timeout
	if rw := r.Rewrite; rw != nil {
		action.PrefixRewrite = rw.Uri
		if re := rw.UriRegexRewrite; re != nil {
			action.RegexRewrite = regexRewrite(re)
		}
		if rw.Authority != "" {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: rw.Authority}
		}
	}
	if ofGatewayAPI(h.virtual) {
		// A backend that is not there is the route's fault, says the Gateway API.
		action.ClusterNotFoundResponseCode = routev3.RouteAction_INTERNAL_SERVER_ERROR
	}
	for _, d := range r.Route {
		c.hashing(action, d.Destination, h.virtual.Namespace, h.port)
	}
	action.RequestMirrorPolicies = c.mirrors(h, r)
	if len(r.Route) == 1 {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: c.world.destination(r.Route[0].Destination, h.virtual.Namespace, h.port)}
		return action
	}
	weighted := &routev3.WeightedCluster{}
	for _, d := range r.Route {
		if d.Weight == 0 {
			continue
		}
		ops := newHeaderOps(d.Headers)
		weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{
			Name:                    c.world.destination(d.Destination, h.virtual.Namespace, h.port),
			Weight:                  wrapperspb.UInt32(uint32(d.Weight)),
			RequestHeadersToAdd:     ops.request.add,
			RequestHeadersToRemove:  ops.request.remove,
			ResponseHeadersToAdd:    ops.response.add,
			ResponseHeadersToRemove: ops.response.remove,
		})
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	return action
}

// hashing chooses endpoints by what the destination's load balancer says. A
// retry then may not avoid the endpoint that the request belongs to.
func (c *routing) hashing(action *routev3.RouteAction, d *networking.Destination, ns string, called uint32) {
	s, ok := c.world.registry.Lookup(d.Host, ns)
	if !ok {
		return
	}
	rule := c.world.ruleFor(s, c.ns)
	if rule == nil {
		return
	}
	spec := rule.DestinationRule()
	var subset *networking.Subset
	for _, candidate := range spec.Subsets {
		if candidate.Name == d.Subset {
			subset = candidate
		}
	}
	policy := hashPolicy(effective(spec.GetTrafficPolicy(), subset.GetTrafficPolicy(), c.world.destinationPort(d, ns, called)).GetLoadBalancer())
	if policy == nil {
		return
	}
	c.objects[rule.Key().String()] = true
	if !slices.ContainsFunc(action.HashPolicy, func(p *routev3.RouteAction_HashPolicy) bool { return proto.Equal(p, policy) }) {
		action.HashPolicy = append(action.HashPolicy, policy)
	}
	if action.RetryPolicy != nil {
		action.RetryPolicy.RetryHostPredicate, action.RetryPolicy.HostSelectionRetryMaxAttempts = nil, 0
	}
}

// mirrors says where copies of the requests go. Copies are not traced: the
// trace is of what the caller waits for.
func (c *routing) mirrors(h *virtualHost, r *networking.HTTPRoute) []*routev3.RouteAction_RequestMirrorPolicy {
	var out []*routev3.RouteAction_RequestMirrorPolicy
	add := func(d *networking.Destination, percent float64) {
		if percent == 0 {
			return
		}
		out = append(out, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster:         c.world.destination(d, h.virtual.Namespace, h.port),
			RuntimeFraction: runtimeFraction(percent),
			TraceSampled:    wrapperspb.Bool(false),
		})
	}
	if r.Mirror != nil {
		percent := 100.0
		if old := r.MirrorPercent; old != nil { //nolint:staticcheck // the old name, still written
			percent = float64(old.Value)
		}
		if r.MirrorPercentage != nil {
			percent = r.MirrorPercentage.Value
		}
		add(r.Mirror, percent)
	}
	for _, m := range r.Mirrors {
		percent := 100.0
		if m.Percentage != nil {
			percent = m.Percentage.Value
		}
		add(m.Destination, percent)
	}
	return out
}

// destination gives the cluster of a destination. Its port is the one that is
// given; else the one that was called, when the service has it; else the
// service's first.
func (w *world) destination(d *networking.Destination, ns string, called uint32) string {
	return clusterName(w.destinationPort(d, ns, called), d.Subset, w.registry.Resolve(d.Host, ns))
}

func (w *world) destinationPort(d *networking.Destination, ns string, called uint32) uint32 {
	if d.Port != nil {
		return d.Port.Number
	}
	if s, ok := w.registry.Lookup(d.Host, ns); ok && len(s.Ports) > 0 {
		if _, has := s.Port(called); !has {
			return cmp.Or(firstHTTP(s), s.Ports[0].Number)
		}
	}
	return called
}

// headerOps are changes of headers in Envoy's form.
type headerOps struct {
	request, response headerChanges
	host              string // the Host header that the request gets
}

type headerChanges struct {
	add    []*corev3.HeaderValueOption
	remove []string
}

func newHeaderOps(h *networking.Headers) *headerOps {
	ops := &headerOps{}
	ops.add(h)
	return ops
}
