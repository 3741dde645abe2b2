package xds

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
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

// outboundRoutes compiles the route configuration of a namespace: a virtual
// host for each HTTP port of each service, then hosts that only a
// VirtualService knows, then the refusal of everything else.
func (w *world) outboundRoutes(ns string, services []*registry.Service) *Resource {
	c := &routing{world: w, ns: ns, taken: map[string]bool{}, objects: map[string]bool{}}
	c.hosts(services)
	for _, h := range c.order {
		c.virtualHosts = append(c.virtualHosts, c.virtualHost(h))
	}
	c.virtualHosts = append(c.virtualHosts, blockAll())
	rc := &routev3.RouteConfiguration{Name: outboundRoute, VirtualHosts: c.virtualHosts}
	objects := make([]string, 0, len(c.objects))
	for o := range c.objects {
		objects = append(objects, o)
	}
	return newResource(routeType, outboundRoute, rc, objects...)
}

// blockAll answers requests for hosts that nobody has, as Istio's REGISTRY_ONLY
// does: with an explicit port there is no original destination to pass them to.
func blockAll() *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: "block_all", Domains: []string{"*"}, Routes: []*routev3.Route{{
		Name:   "block_all",
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 502}},
	}}}
}

// routing compiles one namespace's routes.
type routing struct {
	world        *world
	ns           string
	taken        map[string]bool // domains: Envoy refuses one that is given twice
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
	domains []string
}

// hosts finds the virtual hosts and shares the domains out: names as written
// before short forms, which may be somebody's name as well.
func (c *routing) hosts(services []*registry.Service) {
	for _, s := range services {
		virtual := c.virtualService(s.Host, s.Namespace)
		first := firstHTTP(s)
		for _, p := range s.Ports {
			if !p.IsHTTP() {
				continue
			}
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
		if virtual := c.virtualService(host, c.ns); virtual != nil {
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

func (c *routing) virtualService(host, namespace string) *config.Object {
	return choose(c.world.routing[host], c.ns, namespace, func(o *config.Object) bool {
		return len(o.VirtualService().Http) > 0
	})
}

func (c *routing) virtualHost(h *virtualHost) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: h.host + ":" + strconv.Itoa(int(h.port)), Domains: h.domains}
	if h.service != nil {
		c.objects[h.service.Object.String()] = true
	}
	if h.virtual == nil {
		out.Routes = []*routev3.Route{defaultRoute(clusterName(h.port, "", h.host))}
		c.hashing(out.Routes[0].GetRoute(), &networking.Destination{Host: h.host}, c.ns)
		return out
	}
	c.objects[h.virtual.Key().String()] = true
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
	for _, m := range matches {
		if m.Port != 0 && m.Port != h.port || m.SourceNamespace != "" && m.SourceNamespace != c.ns {
			continue
		}
		name := r.Name
		if name == "" {
			// Istio leaves it empty; in a trace that says nothing.
			name = fmt.Sprintf("%s[%d]", h.virtual.Name, index)
		}
		if m.Name != "" {
			name += "." + m.Name
		}
		out = append(out, c.route(h, name, m, r))
	}
	return out
}

func (c *routing) route(h *virtualHost, name string, m *networking.HTTPMatchRequest, r *networking.HTTPRoute) *routev3.Route {
	out := &routev3.Route{
		Name:     name,
		Match:    routeMatch(m),
		Metadata: metadataOf(map[string]map[string]any{"istio": {"config": objectPath(h.virtual)}}),
	}
	ops := newHeaderOps(r.Headers)
	switch {
	case r.Redirect != nil:
		out.Action = &routev3.Route_Redirect{Redirect: redirect(r.Redirect)}
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
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = ops.request.add, ops.request.remove
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = ops.response.add, ops.response.remove
	return out
}

func (c *routing) forward(h *virtualHost, r *networking.HTTPRoute) *routev3.RouteAction {
	action := &routev3.RouteAction{Timeout: r.Timeout, RetryPolicy: retryPolicy(r.Retries)}
	if action.Timeout == nil {
		action.Timeout = durationpb.New(0) // Envoy's own default would be 15 s
	}
	if rw := r.Rewrite; rw != nil {
		action.PrefixRewrite = rw.Uri
		if re := rw.UriRegexRewrite; re != nil {
			action.RegexRewrite = regexRewrite(re)
		}
		if rw.Authority != "" {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: rw.Authority}
		}
	}
	for _, d := range r.Route {
		c.hashing(action, d.Destination, h.virtual.Namespace)
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
func (c *routing) hashing(action *routev3.RouteAction, d *networking.Destination, ns string) {
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
	policy := hashPolicy(effective(spec.GetTrafficPolicy(), subset.GetTrafficPolicy()).GetLoadBalancer())
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
			Cluster: c.world.destination(d, h.virtual.Namespace, h.port),
			RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
				Numerator: uint32(math.Round(percent * 10_000)), Denominator: typev3.FractionalPercent_MILLION,
			}},
			TraceSampled: wrapperspb.Bool(false),
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
	port := called
	if s, ok := w.registry.Lookup(d.Host, ns); ok && len(s.Ports) > 0 {
		if _, has := s.Port(called); !has {
			port = cmp.Or(firstHTTP(s), s.Ports[0].Number)
		}
	}
	if d.Port != nil {
		port = d.Port.Number
	}
	return clusterName(port, d.Subset, w.registry.Resolve(d.Host, ns))
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
