package xds

import (
	"net/netip"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// Registration is an instance of a workload, as its sidecar tells it.
type Registration struct {
	Workload mesh.Workload
	Labels   map[string]string
	Account  string
	Locality registry.Locality
	TLS      bool // its sidecar takes mutual TLS
	Address  netip.Addr
	Ports    map[uint32]uint32 // of the sidecar, by the service's
}

// Registrations lists the instances whose sidecars want to be found: those that
// are connected, or were until less than grace ago.
func (s *Server) Registrations(grace time.Duration, now time.Time) []Registration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Registration
	for _, n := range s.nodes {
		if p := n.proxy; p.register && (n.streams > 0 || now.Sub(n.goneAt) < grace) {
			out = append(out, p.registrations()...)
		}
	}
	return out
}

// registrations gives an instance for each address at which the node takes
// requests.
func (p *proxy) registrations() []Registration {
	var out []Registration
	for _, in := range p.inbound {
		at, ok := in.dialable()
		if !ok {
			continue
		}
		i := 0
		for i < len(out) && out[i].Address != at.Addr() {
			i++
		}
		if i == len(out) {
			out = append(out, Registration{
				Workload: p.node.Workload, Labels: p.node.Labels, Account: p.account, Locality: p.where, TLS: p.identity,
				Address: at.Addr(), Ports: map[uint32]uint32{},
			})
		}
		out[i].Ports[in.servicePort] = uint32(at.Port())
	}
	return out
}

func (p *proxy) dialable() bool { return len(p.registrations()) > 0 }

// dialable gives the address of a port that is for one address.
func (in inboundPort) dialable() (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(in.address)
	return at, err == nil && !at.Addr().IsUnspecified()
}
