package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	dynamicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	dnscachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	dynamicfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// Where traffic goes that no service claims, in Istio's names.
const (
	passthroughCluster        = "PassthroughCluster"
	inboundPassthroughCluster = "InboundPassthroughCluster"
	blackHoleCluster          = "BlackHoleCluster"
)

// scope is what a node sees of the mesh, and what becomes of all else.
type scope struct {
	namespace string
	captured  bool
	sidecar   *config.Object    // nil: none
	labels    map[string]string // of the node, as far as a route asks for them
}

// unknown is what becomes of traffic that no service claims.
type unknown int

const (
	blocked  unknown = iota
	original         // to where the client had dialled
	byName           // to the host that the request names
)

// sharing names what a node shares with others.
func (w *world) sharing(p *proxy) sharing {
	by := sharing{namespace: p.node.Workload.Namespace, captured: p.capture != nil, labels: w.labelsOf(p), where: p.where}
	if o := w.sidecarFor(p); o != nil {
		by.sidecar = o.Key().String()
	}
	return by
}

func (w *world) scope(by sharing) *scope {
	return &scope{by.namespace, by.captured, w.object(by.sidecar), readLabels(by.labels)}
}

// labelsOf gives those of a node's labels that routes ask for, in one text: nodes
// that differ in others share what is compiled.
func (w *world) labelsOf(p *proxy) string {
	var b strings.Builder
	for _, key := range w.asked {
		if value, ok := p.node.Labels[key]; ok {
			fmt.Fprintf(&b, "%s=%s\n", key, value)
		}
	}
	return b.String()
}

func readLabels(text string) map[string]string {
	labels := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		labels[key] = value
	}
	return labels
}

// askedLabels lists the labels of callers that routes ask for.
func askedLabels(vs *networking.VirtualService) []string {
	var keys []string
	add := func(labels map[string]string) { keys = slices.AppendSeq(keys, maps.Keys(labels)) }
	for _, r := range vs.GetHttp() {
		for _, m := range r.Match {
			add(m.SourceLabels)
		}
	}
	for _, r := range vs.GetTcp() {
		for _, m := range r.Match {
			add(m.SourceLabels)
		}
	}
	for _, r := range vs.GetTls() {
		for _, m := range r.Match {
			add(m.SourceLabels)
		}
	}
	return keys
}

// sidecarFor chooses the Sidecar for a node: one of its namespace that selects
// it, its namespace's, the mesh's. The first by key counts.
func (w *world) sidecarFor(p *proxy) *config.Object {
	if p.node.Kind != "sidecar" {
		return nil
	}
	var namespace, root *config.Object
	for _, o := range w.sidecars {
		labels := o.Sidecar().GetWorkloadSelector().GetLabels()
		switch own := o.Namespace == p.node.Workload.Namespace; {
		case own && len(labels) > 0:
			if matchLabels(labels, p.node.Labels) {
				return o
			}
		case own && namespace == nil && len(labels) == 0:
			namespace = o
		case o.Namespace == w.security.RootNamespace && root == nil && len(labels) == 0:
			root = o
		}
	}
	if namespace != nil {
		return namespace
	}
	return root
}

// spec is nil where there is no Sidecar, which protobuf's getters take.
func (sc *scope) spec() *networking.Sidecar {
	if sc == nil || sc.sidecar == nil {
		return nil
	}
	return sc.sidecar.Sidecar()
}

// imports reports whether the node may use a host of a namespace's object. What
// no Sidecar narrows is all.
func (sc *scope) imports(namespace, host string) bool {
	egress := sc.spec().GetEgress()
	if len(egress) == 0 {
		return true
	}
	return slices.ContainsFunc(egress, func(e *networking.IstioEgressListener) bool {
		return slices.ContainsFunc(e.Hosts, func(h string) bool {
			ns, name := splitHost(h)
			if ns == "." {
				ns = sc.namespace
			}
			return (ns == "*" || ns == namespace) && registry.Covers(name, host)
		})
	})
}

// services lists what the node may call, by host.
func (sc *scope) services(w *world) []*registry.Service {
	all := w.registry.Visible(sc.namespace)
	if len(sc.spec().GetEgress()) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(s *registry.Service) bool { return !sc.imports(s.Namespace, s.Host) })
}

// destinations lists services that the node does not import and that a
// VirtualService, which it does, sends it to.
func (sc *scope) destinations(w *world, imported []*registry.Service) []*registry.Service {
	if len(sc.spec().GetEgress()) == 0 {
		return nil
	}
	known := map[*registry.Service]bool{}
	for _, s := range imported {
		known[s] = true
	}
	var out []*registry.Service
	add := func(d *networking.Destination, namespace string) {
		if s, ok := w.registry.Lookup(d.GetHost(), namespace); ok && !known[s] {
			known[s] = true
			out = append(out, s)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(w.routing)) {
		for _, o := range w.routing[host] {
			if registry.Visible(o, sc.namespace) && sc.imports(o.Namespace, host) {
				eachDestination(o.VirtualService(), func(d *networking.Destination) { add(d, o.Namespace) })
			}
		}
	}
	return out
}

func eachDestination(vs *networking.VirtualService, f func(*networking.Destination)) {
	for _, r := range vs.Http {
		for _, d := range r.Route {
			f(d.Destination)
		}
		if r.Mirror != nil {
			f(r.Mirror)
		}
		for _, m := range r.Mirrors {
			f(m.Destination)
		}
	}
	for _, r := range vs.Tcp {
		for _, d := range r.Route {
			f(d.Destination)
		}
	}
	for _, r := range vs.Tls {
		for _, d := range r.Route {
			f(d.Destination)
		}
	}
}

// unknown says what becomes of traffic that no service claims: what the Sidecar
// says; without one, intercepted traffic goes where it was going, and an
// explicit port, where nobody said where that is, leads to services only.
func (sc *scope) unknown() unknown {
	policy := sc.spec().GetOutboundTrafficPolicy()
	switch {
	case policy != nil && policy.Mode == v1alpha3.OutboundTrafficPolicy_REGISTRY_ONLY:
		return blocked
	case sc.captured:
		return original
	case policy != nil:
		return byName
	}
	return blocked
}

// from names the Sidecar where it is the one that decides, so that whoever meets
// its decision is told.
func (sc *scope) from() *corev3.Metadata {
	if sc.spec().GetOutboundTrafficPolicy() == nil {
		return nil
	}
	return metadataOf(map[string]map[string]any{
		"istio":     {"config": objectPath(sc.sidecar)},
		"sidelight": {"path": "spec.outboundTrafficPolicy"},
	})
}

func (sc *scope) objects() []string {
	if sc.sidecar == nil {
		return nil
	}
	return []string{sc.sidecar.Key().String()}
}

// unknownClusters are where traffic goes that no service claims.
func (sc *scope) unknownClusters() []*Resource {
	switch sc.unknown() {
	case original:
		return []*Resource{originalDst(passthroughCluster)}
	case byName:
		c := byHost(&clusterv3.Cluster{Name: passthroughCluster, ConnectTimeout: durationpb.New(connectTimeout)})
		return []*Resource{newResource(clusterType, passthroughCluster, c, sc.objects()...)}
	}
	if !sc.captured {
		return nil // only bytes go there; requests are answered
	}
	return []*Resource{newResource(clusterType, blackHoleCluster, &clusterv3.Cluster{
		Name: blackHoleCluster, ConnectTimeout: durationpb.New(connectTimeout), Metadata: sc.from(),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: blackHoleCluster},
	}, sc.objects()...)}
}

// otherwise is the cluster of intercepted connections that no service claims.
func (sc *scope) otherwise() string {
	if sc.unknown() == blocked {
		return blackHoleCluster
	}
	return passthroughCluster
}

// unknownHost is the virtual host of requests that no service claims.
func (sc *scope) unknownHost() *routev3.VirtualHost {
	if sc.unknown() == blocked {
		return blockAll(sc.from())
	}
	return allowAny(sc.from())
}

const blockedBody = "No service has this host, and nothing else is let out here. A ServiceEntry makes a host known."

// blockAll answers requests for hosts that nobody has, as Istio's REGISTRY_ONLY
// does.
func blockAll(from *corev3.Metadata) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: "block_all", Domains: []string{"*"}, Routes: []*routev3.Route{{
		Name:     "block_all",
		Match:    &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Metadata: from,
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: 502, Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: blockedBody}},
		}},
	}}}
}

// allowAny lets requests for hosts that nobody has out, as Istio's ALLOW_ANY
// does.
func allowAny(from *corev3.Metadata) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: "allow_any", Domains: []string{"*"}, Routes: []*routev3.Route{{
		Name:     "allow_any",
		Match:    &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Metadata: from,
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: passthroughCluster},
			Timeout:          durationpb.New(0),
		}},
	}}}
}

// originalDst is a cluster that leads wherever the client was going.
func originalDst(name string) *Resource {
	return newResource(clusterType, name, &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(connectTimeout), LbPolicy: clusterv3.Cluster_CLUSTER_PROVIDED,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
	})
}

// dnsCache is shared by the cluster and the filter before it, which Envoy looks
// names up with.
func dnsCache() *dnscachev3.DnsCacheConfig {
	return &dnscachev3.DnsCacheConfig{Name: "outbound", DnsLookupFamily: clusterv3.Cluster_V4_PREFERRED}
}

// byHost makes a cluster lead to the host that a request names.
func byHost(c *clusterv3.Cluster) *clusterv3.Cluster {
	c.LbPolicy, c.LbConfig = clusterv3.Cluster_CLUSTER_PROVIDED, nil
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.dynamic_forward_proxy",
		TypedConfig: pack(&dynamicv3.ClusterConfig{
			ClusterImplementationSpecifier: &dynamicv3.ClusterConfig_DnsCacheConfig{DnsCacheConfig: dnsCache()},
		}),
	}}
	return c
}

// looksUp reports whether requests go to services that stand for many hosts, of
// which each says one.
func (w *world) looksUp(sc *scope) bool {
	return slices.ContainsFunc(sc.services(w), func(s *registry.Service) bool {
		return s.Resolution == registry.None && registry.IsWild(s.Host)
	})
}

// outboundFilters are the filters of all clients' sides, and one to look names up
// where something needs it.
func (w *world) outboundFilters(sc *scope) []*hcmv3.HttpFilter {
	filters := outboundFilters()
	if sc.unknown() == byName || w.looksUp(sc) {
		filters = slices.Insert(filters, len(filters)-1, byHostFilter()) // before the router
	}
	return filters
}

// byHostFilter looks up the host that a request names.
func byHostFilter() *hcmv3.HttpFilter {
	return httpFilterOf("envoy.filters.http.dynamic_forward_proxy", &dynamicfilterv3.FilterConfig{
		ImplementationSpecifier: &dynamicfilterv3.FilterConfig_DnsCacheConfig{DnsCacheConfig: dnsCache()},
	})
}
