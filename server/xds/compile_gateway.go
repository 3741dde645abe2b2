package xds

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// kindGateway is what a node calls itself that stands at the mesh's edge.
const kindGateway = "gateway"

// gatewayPort is one port of a gateway node: what several Gateway objects may say
// of it.
type gatewayPort struct {
	number  uint32
	servers []gatewayServer
}

type gatewayServer struct {
	object *config.Object
	server *networking.Server
}

// gatewayNode compiles the listeners of a node at the edge: one for each port of
// the Gateways that select it, with the routes of the VirtualServices that name
// them.
func (w *world) gatewayNode(p *proxy, out *set) {
	ports := map[uint32]*gatewayPort{}
	for _, o := range w.gateways {
		if !selects(o.Gateway().Selector, p.node.Labels) {
			continue
		}
		for _, s := range o.Gateway().Servers {
			number := s.GetPort().GetNumber()
			if ports[number] == nil {
				ports[number] = &gatewayPort{number: number}
			}
			ports[number].servers = append(ports[number].servers, gatewayServer{o, s})
		}
	}
	for _, number := range slices.Sorted(maps.Keys(ports)) {
		if l := w.gatewayListener(p, ports[number]); l != nil {
			out.add(listenerType, l)
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func (w *world) gatewayListener(p *proxy, port *gatewayPort) *Resource {
	c := &routing{world: w, ns: p.node.Workload.Namespace, labels: p.node.Labels, taken: map[string]bool{}, objects: map[string]bool{}}
	all, plain := &chains{taken: map[string]bool{}}, false
	for i, s := range port.servers {
		if treat(s.server) != takesHTTP {
			w.gatewayChain(p, port.number, i, s, all, c.objects)
			continue
		}
		plain = true
		c.objects[s.object.Key().String()] = true
		for _, virtual := range w.boundTo(s) {
			c.gatewayHost(port.number, s, virtual)
		}
		if s.server.GetTls().GetHttpsRedirect() {
			c.redirectRest(port.number, s)
		}
	}
	number := strconv.Itoa(int(port.number))
	name, at := "gateway_"+number, net.JoinHostPort(p.gateway, number)
	var l *listenerv3.Listener
	switch {
	case plain:
		l = listener(name, at, corev3.TrafficDirection_OUTBOUND, httpFilter, w.gatewayManager(p, "http."+number, c.virtualHosts))
		if len(all.list) > 0 {
			l.FilterChains[0].Name = "http"
			all.add(l.FilterChains[0]) // where bytes do not go already
			l = inspecting(name, at, all.list)
		}
	case len(all.list) == 0:
		return nil // no route yet: nobody is let in to be turned away
	case len(all.list) == 1 && all.taken[""]:
		l = &listenerv3.Listener{Name: name, Address: socketAddress(at), TrafficDirection: corev3.TrafficDirection_OUTBOUND, FilterChains: all.list}
	default:
		l = inspecting(name, at, all.list)
	}
	return newResource(listenerType, name, l, slices.Collect(maps.Keys(c.objects))...)
}

// gatewayManager looks into the HTTP of strangers: their address goes into
// X-Forwarded-For, and what they say by Envoy's own headers does not count.
func (w *world) gatewayManager(p *proxy, name string, hosts []*routev3.VirtualHost) *hcmv3.HttpConnectionManager {
	hcm := connectionManager("gateway_"+name[strings.Index(name, ".")+1:], w.outboundFilters(&scope{namespace: p.node.Workload.Namespace})...)
	hcm.UseRemoteAddress = wrapperspb.Bool(true)
	hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{Name: name, VirtualHosts: hosts}}
	return hcm
}

// boundTo lists the VirtualServices that name the server's Gateway, by key.
func (w *world) boundTo(s gatewayServer) []*config.Object {
	var out []*config.Object
	for _, o := range w.bound[s.object.Key().String()] {
		if registry.Visible(o, s.object.Namespace) {
			out = append(out, o)
		}
	}
	return out
}

// gatewayHost adds the virtual host of the hosts that both a server and a
// VirtualService have.
func (c *routing) gatewayHost(port uint32, s gatewayServer, virtual *config.Object) {
	h := &virtualHost{port: port, bare: true, virtual: virtual, gateway: s.object}
	for _, host := range virtual.VirtualService().Hosts {
		name := c.world.registry.Resolve(host, virtual.Namespace)
		for _, name := range served(s.server.Hosts, name, virtual.Namespace) {
			c.claim(h, name)
			h.host = name
		}
	}
	if len(h.domains) == 0 {
		return
	}
	vh := c.virtualHost(h)
	if s.server.GetTls().GetHttpsRedirect() {
		vh.Routes = []*routev3.Route{redirectRoute(s.object)}
	}
	c.virtualHosts = append(c.virtualHosts, vh)
}

// redirectRest sends clients of hosts that no VirtualService has to HTTPS, too.
func (c *routing) redirectRest(port uint32, s gatewayServer) {
	h := &virtualHost{host: "redirect", port: port, bare: true}
	for _, host := range s.server.Hosts {
		if _, name := splitHost(host); !strings.HasPrefix(name, "*.") {
			c.claim(h, name)
		}
	}
	if len(h.domains) > 0 {
		c.virtualHosts = append(c.virtualHosts, &routev3.VirtualHost{
			Name: "redirect:" + strconv.Itoa(int(port)), Domains: h.domains, Routes: []*routev3.Route{redirectRoute(s.object)},
		})
	}
}

func redirectRoute(o *config.Object) *routev3.Route {
	return &routev3.Route{
		Name:  "https-redirect",
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Redirect{Redirect: &routev3.RedirectAction{
			SchemeRewriteSpecifier: &routev3.RedirectAction_HttpsRedirect{HttpsRedirect: true},
		}},
		Metadata: metadataOf(map[string]map[string]any{"istio": {"config": objectPath(o)}}),
	}
}

// served gives the hosts that both a server, with its "ns/host", and a
// VirtualService of a namespace have: of two patterns the narrower.
func served(hosts []string, host, namespace string) []string {
	var out []string
	for _, h := range hosts {
		ns, name := splitHost(h)
		switch {
		case ns != "*" && ns != "." && ns != namespace:
		case registry.Covers(name, host):
			return []string{host}
		case registry.Covers(host, name):
			out = append(out, name)
		}
	}
	return out
}

// splitHost gives the namespace, "*" for all, and the host.
func splitHost(h string) (namespace, host string) {
	if ns, name, ok := strings.Cut(h, "/"); ok {
		return ns, strings.ToLower(name)
	}
	return "*", strings.ToLower(h)
}

// gatewayKey gives the Gateway that a VirtualService of a namespace names.
func gatewayKey(name, namespace string) string {
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		namespace, name = ns, rest
	}
	return config.Key{Kind: config.KindGateway, Namespace: namespace, Name: name}.String()
}

// forMesh reports whether sidecars heed a VirtualService, or one of its matches:
// what names no gateway is theirs.
func forMesh(gateways []string) bool {
	return len(gateways) == 0 || slices.Contains(gateways, "mesh")
}
