package xds

import (
	"fmt"
	"net"
	"net/netip"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// The names of network filters, as Envoy documents them.
const (
	httpFilter = "envoy.filters.network.http_connection_manager"
	tcpFilter  = "envoy.filters.network.tcp_proxy"
)

// node compiles what one node alone has: its listeners and the clusters of its
// app's ports.
func (w *world) node(p *proxy) *set {
	out := newSet()
	if p.capture != nil {
		w.capturedNode(p, out)
	}
	if p.grpc {
		w.proxyless(w.sharing(p), out)
	}
	if p.node.Kind == kindGateway {
		w.gatewayNode(p, out)
	}
	if p.outbound != "" {
		out.add(listenerType, routedListener(w.outboundListener(outboundRoute, p.outbound, w.scope(w.sharing(p)))))
	}
	for _, in := range p.inbound {
		cluster, objects := w.inboundCluster(p, in)
		limited, from := w.limits(objects)
		l := inboundListener(in, cluster.Name, limited)
		from = append(from, w.secured(p, in, l)...)
		if p.capture != nil {
			l = unbound(l)
		}
		out.add(listenerType, newResource(listenerType, l.Name, l, from...))
		out.add(clusterType, newResource(clusterType, cluster.Name, cluster, objects...))
	}
	for _, port := range p.tcp {
		name := fmt.Sprintf("outbound_tcp_%s_%d", w.registry.Resolve(port.host, p.node.Workload.Namespace), port.port)
		out.add(listenerType, w.tcpListener(p, port, name))
	}
	return out
}

func listener(name, addr string, direction corev3.TrafficDirection, filter string, typed proto.Message) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name: name, Address: socketAddress(addr), TrafficDirection: direction,
		FilterChains: []*listenerv3.FilterChain{{Filters: filterOf(filter, typed)}},
	}
}

func filterOf(name string, typed proto.Message) []*listenerv3.Filter {
	return []*listenerv3.Filter{{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(typed)}}}
}

// outboundListener takes the app's HTTP requests, by the namespace's routes.
func (w *world) outboundListener(name, addr string, sc *scope) *listenerv3.Listener {
	hcm := connectionManager(outboundRoute, w.outboundFilters(sc)...)
	hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
		ConfigSource: overADS(), RouteConfigName: outboundRoute,
	}}
	return listener(name, addr, corev3.TrafficDirection_OUTBOUND, httpFilter, hcm)
}

func routedListener(l *listenerv3.Listener) *Resource {
	r := newResource(listenerType, l.Name, l)
	r.routed = true
	return r
}

// connectionManager takes HTTP/1.1 and HTTP/2 without TLS on the same port.
func connectionManager(statPrefix string, filters ...*hcmv3.HttpFilter) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:     statPrefix,
		CodecType:      hcmv3.HttpConnectionManager_AUTO,
		HttpFilters:    filters,
		UpgradeConfigs: []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
}

func inboundName(in inboundPort) string { return fmt.Sprintf("inbound|%d||", in.servicePort) }

// inboundListener takes requests for the app. Limited is the service whose
// requests have a rate limit, nil for none.
func inboundListener(in inboundPort, cluster string, limited *config.Object) *listenerv3.Listener {
	name := "inbound_" + in.address
	if in.protocol == "tcp" {
		return listener(name, in.address, corev3.TrafficDirection_INBOUND, tcpFilter, tcpProxy(cluster, cluster))
	}
	filters := []*hcmv3.HttpFilter{httpFilterOf(routerFilter, &routerv3.Router{})}
	host := &routev3.VirtualHost{
		Name: fmt.Sprintf("inbound|http|%d", in.servicePort), Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Name:  "default",
			Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{
				ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
				Timeout:          durationpb.New(0), // the caller's sidecar has the timeout
			}},
		}},
	}
	if limited != nil {
		filters = append([]*hcmv3.HttpFilter{rateLimitStage()}, filters...)
		host.TypedPerFilterConfig = hostRateLimit(limited)
		host.Routes[0].Metadata = metadataOf(map[string]map[string]any{"istio": {"config": objectPath(limited)}})
	}
	hcm := connectionManager(name, filters...)
	hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: cluster, VirtualHosts: []*routev3.VirtualHost{host},
	}}
	return listener(name, in.address, corev3.TrafficDirection_INBOUND, httpFilter, hcm)
}

func tcpProxy(statPrefix, cluster string) *tcpv3.TcpProxy {
	return &tcpv3.TcpProxy{StatPrefix: statPrefix, ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: cluster}}
}

// inboundCluster leads to the app beside the sidecar. It says which services the
// port serves, and gives the objects that these come from.
func (w *world) inboundCluster(p *proxy, in inboundPort) (*clusterv3.Cluster, []string) {
	name := inboundName(in)
	metadata, objects := w.inboundServices(p, in)
	c := &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(connectTimeout), Metadata: metadata,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: socketAddress(in.app)},
			}}},
		}}},
	}
	host, _, _ := net.SplitHostPort(in.app)
	if _, err := netip.ParseAddr(host); err != nil { // "localhost"
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	}
	if in.protocol == "grpc" {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptionsKey: http2Options()}
	}
	return c, objects
}

// inboundServices finds the services that one of a node's ports serves: those
// with an endpoint at the very address; else, for a sidecar that listens on
// every address, those with an endpoint of the node's workload on that port.
func (w *world) inboundServices(p *proxy, in inboundPort) (*corev3.Metadata, []string) {
	found := w.servicesWhere(in.at())
	if len(found) == 0 {
		found = w.servicesWhere(p.byWorkload(in))
	}
	if len(found) == 0 {
		return nil, nil
	}
	var services []any
	var objects []string
	for _, s := range found {
		services = append(services, serviceMetadata(s))
		objects = append(objects, s.Object.String())
	}
	return metadataOf(map[string]map[string]any{"istio": {"services": services}}), objects
}

// servicesWhere lists the services of the mesh with an endpoint and port that
// match, by host.
func (w *world) servicesWhere(match func(registry.Endpoint, registry.Port) bool) []*registry.Service {
	var found []*registry.Service
	for _, s := range w.registry.Services() {
		if !s.External && hasEndpoint(s, match) {
			found = append(found, s)
		}
	}
	return found
}

// tcpListener leads a node's port to a TCP service, by the VirtualService's tcp
// routes where it has some.
func (w *world) tcpListener(p *proxy, port outboundPort, name string) *Resource {
	ns := p.node.Workload.Namespace
	host := w.registry.Resolve(port.host, ns)
	cluster := clusterName(port.port, "", host)
	serviceNamespace := ns
	var objects []string
	if s, ok := w.registry.Lookup(port.host, ns); ok {
		serviceNamespace = s.Namespace
		objects = append(objects, s.Object.String())
	}
	virtual := chooseFor(host, w.routing, w.wildRoutes, ns, serviceNamespace, func(o *config.Object) bool {
		return len(o.VirtualService().Tcp) > 0 && (o.Port == 0 || o.Port == port.port)
	})
	l := listener(name, port.address, corev3.TrafficDirection_OUTBOUND, tcpFilter, tcpProxy(cluster, cluster))
	if virtual != nil {
		if to, ok := w.tcpDestination(virtual, ns, p.node.Labels, port.port); ok {
			by := origins(virtual)[0] // of bytes, one object alone is
			objects = append(objects, by.Key().String())
			l = listener(name, port.address, corev3.TrafficDirection_OUTBOUND, tcpFilter, to)
			l.Metadata = metadataOf(map[string]map[string]any{"istio": {"config": objectPath(by)}})
		}
	}
	if p.capture != nil {
		l = unbound(l)
	}
	return newResource(listenerType, name, l, objects...)
}

// tcpDestination gives where the first tcp route leads that takes a port.
func (w *world) tcpDestination(virtual *config.Object, ns string, labels map[string]string, port uint32) (*tcpv3.TcpProxy, bool) {
	for _, r := range virtual.VirtualService().Tcp {
		takes := len(r.Match) == 0
		for _, m := range r.Match {
			takes = takes || (m.Port == 0 || m.Port == port) && (m.SourceNamespace == "" || m.SourceNamespace == ns) && matchLabels(m.SourceLabels, labels) && takesGateway(m.Gateways, virtual, nil)
		}
		if takes {
			return w.tcpTo(r.Route, virtual, port), true
		}
	}
	return nil, false
}
