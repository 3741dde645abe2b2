package xds

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// treatment is what a gateway's server does with connections.
type treatment int

const (
	takesHTTP treatment = iota
	takesTCP
	endsToHTTP // ends TLS
	endsToTCP
	passesTLS // routes by SNI
)

func treat(s *networking.Server) treatment {
	switch protocol := strings.ToUpper(s.GetPort().GetProtocol()); {
	case protocol == "TCP":
		return takesTCP
	case protocol != "HTTPS" && protocol != "TLS":
		return takesHTTP
	case s.GetTls().GetMode() == v1alpha3.ServerTLSSettings_PASSTHROUGH:
		return passesTLS
	case protocol == "HTTPS":
		return endsToHTTP
	}
	return endsToTCP
}

// chains are filter chains that are chosen by the name that clients call. A name
// belongs to the first that asks for it: Envoy refuses one that is given twice.
type chains struct {
	list  []*listenerv3.FilterChain
	taken map[string]bool
}

// add adds a chain for the names that are free yet. "*" stands for all; without
// a name it is for what is no TLS, too.
func (c *chains) add(chain *listenerv3.FilterChain, names ...string) {
	switch {
	case len(names) == 0:
		names = []string{""}
	case slices.Contains(names, "*"):
		names = []string{"*"}
	}
	free := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(names))), func(name string) bool {
		before := c.taken[name]
		c.taken[name] = true
		return before
	})
	if len(free) == 0 {
		return
	}
	switch free[0] {
	case "":
	case "*":
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
	default:
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls", ServerNames: free}
	}
	c.list = append(c.list, chain)
}

func chainOf(name, filter string, typed proto.Message, from *config.Object) *listenerv3.FilterChain {
	return &listenerv3.FilterChain{
		Name:     name,
		Metadata: metadataOf(map[string]map[string]any{"istio": {"config": objectPath(from)}}),
		Filters:  filterOf(filter, typed),
	}
}

// inspecting is a listener that chooses by the name that clients call.
func inspecting(name, at string, list []*listenerv3.FilterChain) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name: name, Address: socketAddress(at), TrafficDirection: corev3.TrafficDirection_OUTBOUND, FilterChains: list,
		ListenerFilters: []*listenerv3.ListenerFilter{{
			Name:       "envoy.filters.listener.tls_inspector",
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: pack(&inspectorv3.TlsInspector{})},
		}},
	}
}

// gatewayChain compiles a server that is not plain HTTP.
func (w *world) gatewayChain(p *proxy, port uint32, i int, s gatewayServer, into *chains, objects map[string]bool) {
	name := cmp.Or(s.server.Name, s.server.GetPort().GetName(), strconv.Itoa(i))
	names := make([]string, 0, len(s.server.Hosts))
	for _, h := range s.server.Hosts {
		_, host := splitHost(h)
		names = append(names, host)
	}
	objects[s.object.Key().String()] = true
	ns := p.node.Workload.Namespace
	switch treat(s.server) {
	case endsToHTTP:
		c := &routing{world: w, ns: ns, labels: p.node.Labels, taken: map[string]bool{}, objects: objects}
		for _, virtual := range w.boundTo(s) {
			c.gatewayHost(port, s, virtual)
		}
		chain := chainOf(name, httpFilter, w.gatewayManager(p, "https."+strconv.Itoa(int(port))+"."+name, c.virtualHosts), s.object)
		chain.TransportSocket = endTLS(s.server.Tls, []string{"h2", "http/1.1"})
		into.add(chain, names...)
	case endsToTCP:
		if to, virtual := w.gatewayTCP(s, port, p); to != nil {
			objects[virtual.Key().String()] = true
			chain := chainOf(name, tcpFilter, to, s.object)
			chain.TransportSocket = endTLS(s.server.Tls, nil)
			into.add(chain, names...)
		}
	case takesTCP:
		if to, virtual := w.gatewayTCP(s, port, p); to != nil {
			objects[virtual.Key().String()] = true
			into.add(chainOf(name, tcpFilter, to, s.object))
		}
	case passesTLS:
		for _, virtual := range w.boundTo(s) {
			for j, r := range virtual.VirtualService().Tls {
				if sni := w.sniOf(virtual, r, s, p, port); len(sni) > 0 {
					objects[virtual.Key().String()] = true
					to := w.tcpTo(r.Route, virtual, port)
					into.add(chainOf(fmt.Sprintf("%s/%s[%d]", name, virtual.Name, j), tcpFilter, to, virtual), sni...)
				}
			}
		}
	}
}

// sniOf lists the names by which a gateway's clients come to a TLS route.
func (w *world) sniOf(virtual *config.Object, r *networking.TLSRoute, s gatewayServer, p *proxy, port uint32) []string {
	var out []string
	for _, m := range r.Match {
		if m.Port != 0 && m.Port != port || m.SourceNamespace != "" && m.SourceNamespace != p.node.Workload.Namespace ||
			!matchLabels(m.SourceLabels, p.node.Labels) || !takesGateway(m.Gateways, virtual, s.object) {
			continue
		}
		for _, sni := range m.SniHosts {
			out = append(out, served(s.server.Hosts, strings.ToLower(sni), virtual.Namespace)...)
		}
	}
	return out
}

// gatewayTCP gives where a gateway's bytes go: by the first TCP route that takes
// them.
func (w *world) gatewayTCP(s gatewayServer, port uint32, p *proxy) (*tcpv3.TcpProxy, *config.Object) {
	for _, virtual := range w.boundTo(s) {
		for _, r := range virtual.VirtualService().Tcp {
			takes := len(r.Match) == 0
			for _, m := range r.Match {
				takes = takes || (m.Port == 0 || m.Port == port) && (m.SourceNamespace == "" || m.SourceNamespace == p.node.Workload.Namespace) &&
					matchLabels(m.SourceLabels, p.node.Labels) && takesGateway(m.Gateways, virtual, s.object)
			}
			if takes {
				return w.tcpTo(r.Route, virtual, port), virtual
			}
		}
	}
	return nil, nil
}

// takesGateway reports whether a match of a VirtualService that a Gateway is
// bound to is for it; nil is the sidecars'.
func takesGateway(gateways []string, virtual, gateway *config.Object) bool {
	h := virtualHost{virtual: virtual, gateway: gateway}
	return gateway != nil && len(gateways) == 0 || h.takes(gateways)
}

// tcpTo leads bytes to the destinations of a route.
func (w *world) tcpTo(routes []*networking.RouteDestination, virtual *config.Object, port uint32) *tcpv3.TcpProxy {
	if len(routes) == 1 {
		to := w.destination(routes[0].Destination, virtual.Namespace, port)
		return tcpProxy(to, to)
	}
	split := &tcpv3.TcpProxy_WeightedCluster{}
	for _, r := range routes {
		if r.Weight > 0 {
			split.Clusters = append(split.Clusters, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{
				Name: w.destination(r.Destination, virtual.Namespace, port), Weight: uint32(r.Weight),
			})
		}
	}
	return &tcpv3.TcpProxy{
		StatPrefix:       origins(virtual)[0].Key().String(),
		ClusterSpecifier: &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: split},
	}
}

// endTLS ends clients' TLS, by files or with the mesh's own certificates.
func endTLS(s *networking.ServerTLSSettings, alpn []string) *corev3.TransportSocket {
	if s.GetMode() == v1alpha3.ServerTLSSettings_ISTIO_MUTUAL {
		return meshServerTLS(alpn...)
	}
	common := &tlsv3.CommonTlsContext{
		AlpnProtocols: alpn,
		TlsCertificates: []*tlsv3.TlsCertificate{{
			CertificateChain: fileSource(s.ServerCertificate), PrivateKey: fileSource(s.PrivateKey),
		}},
	}
	if s.MinProtocolVersion == v1alpha3.ServerTLSSettings_TLSV1_3 {
		common.TlsParams = &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3}
	}
	m := &tlsv3.DownstreamTlsContext{CommonTlsContext: common}
	if s.Mode == v1alpha3.ServerTLSSettings_MUTUAL || s.Mode == v1alpha3.ServerTLSSettings_OPTIONAL_MUTUAL {
		v := &tlsv3.CertificateValidationContext{TrustedCa: fileSource(s.CaCertificates)}
		for _, name := range s.SubjectAltNames {
			san := &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exactly(name)}
			if strings.Contains(name, "://") {
				san.SanType = tlsv3.SubjectAltNameMatcher_URI
			}
			v.MatchTypedSubjectAltNames = append(v.MatchTypedSubjectAltNames, san)
		}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: v}
		if s.Mode == v1alpha3.ServerTLSSettings_MUTUAL {
			m.RequireClientCertificate = wrapperspb.Bool(true)
		}
	}
	return socket(tlsSocket, m)
}

// meshServerTLS takes clients with a certificate of the mesh, by the mesh's own
// protocols and those.
func meshServerTLS(more ...string) *corev3.TransportSocket {
	return socket(tlsSocket, &tlsv3.DownstreamTlsContext{
		RequireClientCertificate: wrapperspb.Bool(true),
		CommonTlsContext: &tlsv3.CommonTlsContext{
			AlpnProtocols:                  append(slices.Clone(meshALPN), more...),
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: secretOwn}},
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
				ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: secretRoots},
			},
		},
	})
}

// tlsByName compiles the listener of a port at which several hosts speak TLS of
// their own, as intercepted clients call them: by VirtualServices' TLS routes,
// then by the services' hosts. What calls none of them goes where all else goes.
func (w *world) tlsByName(sc *scope, name, at string, port uint32, services []*registry.Service) *Resource {
	all := &chains{taken: map[string]bool{}}
	objects := map[string]bool{}
	for _, host := range w.tlsHosts() {
		for _, virtual := range w.routing[host] {
			if !registry.Visible(virtual, sc.namespace) || !sc.imports(virtual.Namespace, host) {
				continue
			}
			for j, r := range virtual.VirtualService().Tls {
				var sni []string
				for _, m := range r.Match {
					if (m.Port == 0 || m.Port == port) && takesGateway(m.Gateways, virtual, nil) &&
						(m.SourceNamespace == "" || m.SourceNamespace == sc.namespace) && matchLabels(m.SourceLabels, sc.labels) {
						for _, name := range m.SniHosts {
							if name = strings.ToLower(name); registry.Covers(host, name) || registry.Covers(name, host) {
								sni = append(sni, name)
							}
						}
					}
				}
				if len(sni) > 0 {
					objects[virtual.Key().String()] = true
					all.add(chainOf(fmt.Sprintf("%s[%d]", virtual.Name, j), tcpFilter, w.tcpTo(r.Route, virtual, port), virtual), sni...)
				}
			}
		}
	}
	for _, s := range services {
		objects[s.Object.String()] = true
		cluster := clusterName(port, "", s.Host)
		all.add(chainOf(s.Host, tcpFilter, tcpProxy(cluster, cluster), w.objects[s.Object.String()]), s.Host)
	}
	all.add(&listenerv3.FilterChain{Name: "other", Filters: filterOf(tcpFilter, tcpProxy(sc.otherwise(), sc.otherwise()))})
	l := unbound(inspecting(name, at, all.list))
	return newResource(listenerType, name, l, append(keysOf(objects), sc.objects()...)...)
}

// tlsHosts lists the hosts of VirtualServices with TLS routes, those of one host
// before patterns.
func (w *world) tlsHosts() []string {
	var out []string
	for host, list := range w.routing {
		if slices.ContainsFunc(list, func(o *config.Object) bool { return len(o.VirtualService().Tls) > 0 }) {
			out = append(out, host)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return out
}

func keysOf(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
