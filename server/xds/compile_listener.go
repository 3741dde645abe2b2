package xds

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

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

// The names of filters, as Envoy documents them.
const (
	httpFilter   = "envoy.filters.network.http_connection_manager"
	tcpFilter    = "envoy.filters.network.tcp_proxy"
	routerFilter = "envoy.filters.http.router"
)

// node compiles what one node alone has: its listeners and the clusters of its
// app's ports.
func (w *world) node(p *proxy) *set {
	out := newSet()
	if p.outbound != "" {
		hcm := connectionManager(outboundRoute)
		hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource: overADS(), RouteConfigName: outboundRoute,
		}}
		l := listener(outboundRoute, p.outbound, corev3.TrafficDirection_OUTBOUND, httpFilter, hcm)
		out.add(listenerType, newResource(listenerType, l.Name, l))
	}
	for _, in := range p.inbound {
		cluster, objects := w.inboundCluster(p, in)
		l := inboundListener(in, cluster.Name)
		out.add(listenerType, newResource(listenerType, l.Name, l))
		out.add(clusterType, newResource(clusterType, cluster.Name, cluster, objects...))
	}
	for _, port := range p.tcp {
		out.add(listenerType, w.tcpListener(p, port))
	}
	return out
}

func listener(name, addr string, direction corev3.TrafficDirection, filter string, typed proto.Message) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name: name, Address: socketAddress(addr), TrafficDirection: direction,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: filter, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(typed)},
		}}}},
	}
}

// connectionManager takes HTTP/1.1 and HTTP/2 without TLS on the same port.
func connectionManager(statPrefix string) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix: statPrefix,
		CodecType:  hcmv3.HttpConnectionManager_AUTO,
		HttpFilters: []*hcmv3.HttpFilter{{
			Name: routerFilter, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
		UpgradeConfigs: []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
}

func inboundName(in inboundPort) string { return fmt.Sprintf("inbound|%d||", in.servicePort) }

func inboundListener(in inboundPort, cluster string) *listenerv3.Listener {
	name := "inbound_" + in.address
	if in.protocol == "tcp" {
		return listener(name, in.address, corev3.TrafficDirection_INBOUND, tcpFilter, tcpProxy(cluster, cluster))
	}
	hcm := connectionManager(name)
	hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: cluster,
		VirtualHosts: []*routev3.VirtualHost{{
			Name: fmt.Sprintf("inbound|http|%d", in.servicePort), Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Name:  "default",
				Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
					Timeout:          durationpb.New(0), // the caller's sidecar has the timeout
				}},
			}},
		}},
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
	found := w.servicesWhere(func(e registry.Endpoint, port registry.Port) bool {
		return net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port(port)))) == in.address
	})
	if len(found) == 0 {
		found = w.servicesWhere(func(e registry.Endpoint, port registry.Port) bool {
			return port.Number == in.servicePort && e.Workload.Name == p.node.Workload.Name && e.Workload.Namespace == p.node.Workload.Namespace
		})
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
		if s.External {
			continue
		}
		if slices.ContainsFunc(s.Endpoints, func(e registry.Endpoint) bool {
			return slices.ContainsFunc(s.Ports, func(port registry.Port) bool { return match(e, port) })
		}) {
			found = append(found, s)
		}
	}
	return found
}

// tcpListener leads a node's port to a TCP service, by the VirtualService's tcp
// routes where it has some.
func (w *world) tcpListener(p *proxy, port outboundPort) *Resource {
	ns := p.node.Workload.Namespace
	host := w.registry.Resolve(port.host, ns)
	name := fmt.Sprintf("outbound_tcp_%s_%d", host, port.port)
	cluster := clusterName(port.port, "", host)
	serviceNamespace := ns
	var objects []string
	if s, ok := w.registry.Lookup(port.host, ns); ok {
		serviceNamespace = s.Namespace
		objects = append(objects, s.Object.String())
	}
	virtual := choose(w.routing[host], ns, serviceNamespace, func(o *config.Object) bool {
		return len(o.VirtualService().Tcp) > 0
	})
	l := listener(name, port.address, corev3.TrafficDirection_OUTBOUND, tcpFilter, tcpProxy(cluster, cluster))
	if virtual != nil {
		if to, ok := w.tcpDestination(virtual, ns, port.port); ok {
			objects = append(objects, virtual.Key().String())
			l = listener(name, port.address, corev3.TrafficDirection_OUTBOUND, tcpFilter, tcpProxy(to, to))
			l.Metadata = metadataOf(map[string]map[string]any{"istio": {"config": objectPath(virtual)}})
		}
	}
	return newResource(listenerType, name, l, objects...)
}

// tcpDestination gives the cluster of the first tcp route that takes a port.
func (w *world) tcpDestination(virtual *config.Object, ns string, port uint32) (string, bool) {
	for _, r := range virtual.VirtualService().Tcp {
		takes := len(r.Match) == 0
		for _, m := range r.Match {
			takes = takes || (m.Port == 0 || m.Port == port) && (m.SourceNamespace == "" || m.SourceNamespace == ns)
		}
		if takes {
			return w.destination(r.Route[0].Destination, virtual.Namespace, port), true
		}
	}
	return "", false
}
