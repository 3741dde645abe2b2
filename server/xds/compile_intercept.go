package xds

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sidelight-mesh/sidelight/server/registry"
)

// maxEntrances bounds the sockets that take intercepted traffic: there are two
// families of addresses.
const maxEntrances = 4

// capture is a node whose traffic the kernel brings to it.
type capture struct {
	mode     string   // REDIRECT | TPROXY
	outbound []string // host:port; one for each family of addresses
	inbound  []string
}

// capturedNode compiles the listeners of such a node: those with a socket take
// what comes and hand it, by where it was going, to those without. What nobody
// claims passes through.
func (w *world) capturedNode(p *proxy, out *set) {
	if len(p.capture.outbound) > 0 {
		w.capturedOutbound(p, out)
	}
	for i, at := range p.capture.inbound {
		l := entrance("virtualInbound", i, at, corev3.TrafficDirection_INBOUND, inboundPassthroughCluster)
		if p.capture.mode == "TPROXY" {
			l.Transparent = wrapperspb.Bool(true)
		}
		// Ports that nobody declared are under the workload's policies, too.
		from := w.secured(p, inboundPort{address: at, protocol: "tcp"}, l)
		out.add(listenerType, newResource(listenerType, l.Name, l, from...))
	}
	out.add(clusterType, originalDst(inboundPassthroughCluster))
}

// entrance is a listener that takes intercepted traffic.
func entrance(name string, i int, at string, direction corev3.TrafficDirection, otherwise string) *listenerv3.Listener {
	if i > 0 {
		name += "_" + strconv.Itoa(i)
	}
	l := listener(name, at, direction, tcpFilter, tcpProxy(otherwise, otherwise))
	l.UseOriginalDst = wrapperspb.Bool(true)
	return l
}

// capturedOutbound compiles the entrances and one virtual listener for each
// port that HTTP services have and each address of a TCP service.
func (w *world) capturedOutbound(p *proxy, out *set) {
	sc := w.scope(w.sharing(p))
	for i, at := range p.capture.outbound {
		l := entrance("virtualOutbound", i, at, corev3.TrafficDirection_OUTBOUND, sc.otherwise())
		out.add(listenerType, newResource(listenerType, l.Name, l, sc.objects()...))
	}
	http := map[uint32]bool{}
	var tcp []capturedPort
	for _, s := range sc.services(w) {
		for _, port := range s.Ports {
			if port.IsHTTP() {
				http[port.Number] = true
			} else {
				tcp = append(tcp, capturedPort{s, port})
			}
		}
	}
	for port := range http {
		at := net.JoinHostPort("0.0.0.0", strconv.Itoa(int(port)))
		out.add(listenerType, routedListener(unbound(w.outboundListener("0.0.0.0_"+strconv.Itoa(int(port)), at, sc))))
	}
	taken, byName := map[string]bool{}, map[uint32][]*registry.Service{}
	for _, c := range tcp {
		for _, at := range c.addresses(http) {
			if host, _, _ := net.SplitHostPort(at); host == "0.0.0.0" && c.port.IsTLS() {
				byName[c.port.Number] = append(byName[c.port.Number], c.service)
				continue
			}
			if taken[at] {
				continue // the first service by host has it
			}
			taken[at] = true
			r := w.tcpListener(p, outboundPort{address: at, host: c.service.Host, port: c.port.Number}, "outbound_tcp_"+at)
			out.add(listenerType, r)
		}
	}
	for port, services := range byName {
		if at := net.JoinHostPort("0.0.0.0", strconv.Itoa(int(port))); !taken[at] {
			out.add(listenerType, w.tlsByName(sc, "outbound_tls_"+at, at, port, services))
		}
	}
}

// capturedPort is a port that is not HTTP, so that only its address tells whose
// it is.
type capturedPort struct {
	service *registry.Service
	port    registry.Port
}

// addresses lists where clients find the port: the service's own addresses,
// else those of its endpoints, else the port wherever it is, unless HTTP has it.
func (c capturedPort) addresses(http map[uint32]bool) []string {
	var found []string
	add := func(host string, port uint32) {
		found = append(found, net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	for _, a := range c.service.Addresses {
		add(a, c.port.Number)
	}
	if len(found) == 0 && c.service.Resolution == registry.Static {
		for _, e := range c.service.Endpoints {
			add(e.Address, e.Port(c.port))
		}
	}
	if len(found) == 0 && !http[c.port.Number] {
		add("0.0.0.0", c.port.Number)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func unbound(l *listenerv3.Listener) *listenerv3.Listener {
	l.BindToPort = wrapperspb.Bool(false)
	return l
}

// readCapture reads how a node's traffic reaches it; nil for explicit ports.
func readCapture(m *metadata) *capture {
	c := &capture{mode: cmp.Or(m.text("INTERCEPTION_MODE"), "NONE")}
	switch c.mode {
	case "NONE":
		return nil
	case "REDIRECT", "TPROXY":
	default:
		m.failf("INTERCEPTION_MODE must be NONE, REDIRECT or TPROXY, got %q", c.mode)
	}
	read := func(key string) (list []string) {
		for _, v := range m.fields[key].GetListValue().GetValues() {
			list = append(list, m.checkAddress(key, v.GetStringValue()))
		}
		if len(list) > maxEntrances {
			m.failf("%s has %d addresses, more than %d", key, len(list), maxEntrances)
		}
		return list
	}
	c.outbound, c.inbound = read("SIDELIGHT_CAPTURE_OUTBOUND"), read("SIDELIGHT_CAPTURE_INBOUND")
	return c
}
