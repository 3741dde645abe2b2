// Package registry knows what can be called and where it is: services, their
// ports and their endpoints, from ServiceEntry and WorkloadEntry objects. It
// makes VirtualServices of HTTPRoutes, GRPCRoutes and TrafficSplits.
//
// It stands between server/config and server/xds, is pure (objects in, facts
// out: no I/O, no clock, no logging) and holds the one rule by which a host
// name in a configuration object is resolved. It also says what is wrong
// between objects (Check), because that takes the same rule.
package registry

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// clusterDomain ends the full names of services in a cluster.
const clusterDomain = "svc.cluster.local"

// Resolution tells how endpoints' addresses are found.
type Resolution int

// The resolutions.
const (
	Static Resolution = iota // addresses are IP addresses
	DNS                      // endpoints are names that the sidecar looks up
	None                     // the host itself is looked up
)

// Service is a host that can be called. It is immutable.
type Service struct {
	mesh.Service
	External   bool // outside the mesh: no sidecar answers there
	Resolution Resolution
	OneAddress bool       // of a name's addresses a connection takes the first (DNS_ROUND_ROBIN)
	Ports      []Port     // by number
	Endpoints  []Endpoint // by address, then workload
	Addresses  []string   // IP addresses that stand for the service, as given
	ExportTo   []string   // namespaces that see it, as in Istio; empty means all
	Object     config.Key // the ServiceEntry
	// Objects are all objects that it was made of, the ServiceEntry first.
	Objects  []string
	Revision uint64 // the newest of theirs
}

// Port is one port of a service.
type Port struct {
	Name     string
	Number   uint32
	Target   uint32 // of an endpoint that does not say its own; 0: Number
	Protocol string // upper case, as config.PortProtocol gives it; "" when nobody says
}

// IsHTTP reports whether requests are told apart on the port. What does not say
// what it speaks is TCP.
func (p Port) IsHTTP() bool {
	switch p.Protocol {
	case "HTTP", "HTTP2", "GRPC", "GRPC-WEB":
		return true
	}
	return false
}

// IsTLS reports whether clients speak TLS of their own on the port, which says
// which host they call.
func (p Port) IsTLS() bool { return p.Protocol == "TLS" || p.Protocol == "HTTPS" }

// IsHTTP2 reports whether the endpoints take HTTP/2 only.
func (p Port) IsHTTP2() bool { return p.Protocol == "HTTP2" || p.Protocol == "GRPC" }

// Port finds a port by its number.
func (s *Service) Port(number uint32) (Port, bool) {
	for _, p := range s.Ports {
		if p.Number == number {
			return p, true
		}
	}
	return Port{}, false
}

// VisibleFrom reports whether a namespace may call the service.
func (s *Service) VisibleFrom(namespace string) bool {
	return exported(s.ExportTo, s.Namespace, namespace)
}

// Visible reports whether an object is heeded in a namespace, by its exportTo.
func Visible(o *config.Object, namespace string) bool {
	switch spec := o.Spec.(type) {
	case *networking.VirtualService:
		return exported(spec.ExportTo, o.Namespace, namespace)
	case *networking.DestinationRule:
		return exported(spec.ExportTo, o.Namespace, namespace)
	case *networking.ServiceEntry:
		return exported(spec.ExportTo, o.Namespace, namespace)
	}
	return true
}

func exported(to []string, own, namespace string) bool {
	if len(to) == 0 {
		return true
	}
	return slices.ContainsFunc(to, func(t string) bool {
		return t == "*" || t == namespace || t == "." && own == namespace
	})
}

// Registry is all services of one state of the configuration. It is immutable.
type Registry struct {
	services []*Service      // by host, then namespace
	hosts    map[string]span // where those of a host are
	entries  []*origin       // by key
}

// span is a part of a list: [from, to).
type span struct{ from, to int }

// origin is a ServiceEntry with what was made of it.
type origin struct {
	object    *config.Object
	workloads []*config.Object // that its selector chose
	services  []*Service       // one for each host that it got
}

// Build makes the registry of a set of objects. Objects of other kinds are
// left out. Of two ServiceEntries of one namespace that claim the same host,
// the first by name holds it; Check reports the other.
func Build(objects []*config.Object) *Registry { return (&Registry{}).build(objects) }

// build reuses of r what is made of the same objects.
func (r *Registry) build(objects []*config.Object) *Registry {
	out := &Registry{hosts: map[string]span{}}
	workloads := map[string][]*config.Object{} // by namespace
	for _, o := range objects {
		if o.WorkloadEntry() != nil {
			workloads[o.Namespace] = append(workloads[o.Namespace], o)
		}
	}
	claimed := map[[2]string]bool{}
	sorted := objects
	byKey := func(a, b *config.Object) int { return a.Key().Compare(b.Key()) }
	if !slices.IsSortedFunc(objects, byKey) {
		sorted = slices.SortedFunc(slices.Values(objects), byKey)
	}
	for _, o := range sorted {
		if o.ServiceEntry() == nil {
			continue
		}
		e := newOrigin(o, workloads[o.Namespace], r.entry(o.Key()))
		for _, s := range e.services {
			if id := [2]string{s.Host, s.Namespace}; !claimed[id] {
				claimed[id] = true
				out.services = append(out.services, s)
			}
		}
		out.entries = append(out.entries, e)
	}
	slices.SortFunc(out.services, func(a, b *Service) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Namespace, b.Namespace))
	})
	for i, s := range out.services {
		at, ok := out.hosts[s.Host]
		if !ok {
			at.from = i
		}
		out.hosts[s.Host] = span{at.from, i + 1}
	}
	return out
}

func newOrigin(o *config.Object, workloads []*config.Object, before *origin) *origin {
	se := o.ServiceEntry()
	endpoints, from := serviceEndpoints(o, se, workloads)
	if before != nil && Same(before.object, o) && slices.EqualFunc(before.workloads, from, Same) {
		return before
	}
	e := &origin{object: o, workloads: from}
	ports := servicePorts(se)
	for _, host := range se.Hosts {
		e.services = append(e.services, newService(canonical(host), o, se, ports, endpoints, from))
	}
	return e
}

// Same reports whether two objects say the same since the same revision: only
// the place where they stand may differ.
func Same(a, b *config.Object) bool {
	return a == b || a.Hash == b.Hash && a.Revision == b.Revision && a.Key() == b.Key()
}

func (r *Registry) entry(key config.Key) *origin {
	if i, ok := r.find(key); ok {
		return r.entries[i]
	}
	return nil
}

func (r *Registry) find(key config.Key) (int, bool) {
	return slices.BinarySearchFunc(r.entries, key, func(e *origin, key config.Key) int { return e.object.Key().Compare(key) })
}

// on lists the services of a host, by namespace.
func (r *Registry) on(host string) []*Service {
	at := r.hosts[host]
	return r.services[at.from:at.to]
}

// Services lists all services, by host, then namespace.
func (r *Registry) Services() []*Service { return r.services }

// Visible lists the services that a namespace sees, by host: one for each host,
// its own namespace's before others'.
func (r *Registry) Visible(namespace string) []*Service {
	var out []*Service
	for i, s := range r.services {
		if i > 0 && r.services[i-1].Host == s.Host {
			continue
		}
		if s := r.pick(s.Host, namespace); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (r *Registry) pick(host, namespace string) *Service {
	var first *Service
	for _, s := range r.on(host) {
		if !s.VisibleFrom(namespace) {
			continue
		}
		if s.Namespace == namespace {
			return s
		}
		if first == nil {
			first = s
		}
	}
	return first
}

// Sees reports whether a service is what a namespace finds under its host.
func (r *Registry) Sees(namespace string, s *Service) bool { return r.pick(s.Host, namespace) == s }

// Lookup resolves a host as an object in a namespace writes it. The first name
// that a visible service has wins:
//
//	host                                   as written
//	host.<namespace>.svc.cluster.local     "catalog" in cinema
//	host.<namespace>
//	host.svc.cluster.local                 "catalog.cinema"
//	host.cluster.local                     "catalog.cinema.svc"
func (r *Registry) Lookup(host, namespace string) (*Service, bool) {
	host = canonical(host)
	for _, name := range []string{
		host, host + "." + namespace + "." + clusterDomain, host + "." + namespace,
		host + "." + clusterDomain, host + ".cluster.local",
	} {
		if s := r.pick(name, namespace); s != nil {
			return s, true
		}
	}
	return nil, false
}

// Resolve gives the host that Lookup finds, or the host itself when no service
// has it.
func (r *Registry) Resolve(host, namespace string) string {
	if s, ok := r.Lookup(host, namespace); ok {
		return s.Host
	}
	return canonical(host)
}

// IsWild reports whether a host is a pattern: "*.example.com", or "*" for all.
func IsWild(host string) bool { return strings.HasPrefix(host, "*") }

// Covers reports whether a host, or every host of a pattern, is one of another
// pattern's, or is it.
func Covers(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	return pattern == host || wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

// ShortNames lists the other names under which a namespace's workloads call a
// host: the forms that DNS in a cluster would complete.
func ShortNames(host, namespace string) []string {
	rest, ok := strings.CutSuffix(host, "."+clusterDomain)
	if !ok {
		return nil
	}
	names := []string{rest, rest + ".svc"}
	if name, ns, ok := strings.Cut(rest, "."); ok && ns == namespace {
		names = append([]string{name}, names...)
	}
	return names
}

func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

func newService(host string, o *config.Object, se *networking.ServiceEntry, ports []Port, endpoints []Endpoint, from []*config.Object) *Service {
	s := &Service{
		Service:   mesh.Service{Host: host, Namespace: o.Namespace, Name: serviceName(host)},
		External:  se.Location == v1alpha3.ServiceEntry_MESH_EXTERNAL,
		Ports:     ports,
		Endpoints: endpoints,
		Addresses: singleAddresses(se),
		ExportTo:  se.ExportTo,
		Object:    o.Key(),
		Objects:   []string{o.Key().String()},
		Revision:  o.Revision,
	}
	switch se.Resolution {
	case v1alpha3.ServiceEntry_DNS, v1alpha3.ServiceEntry_DNS_ROUND_ROBIN:
		s.Resolution = DNS
		s.OneAddress = se.Resolution == v1alpha3.ServiceEntry_DNS_ROUND_ROBIN
	case v1alpha3.ServiceEntry_NONE:
		s.Resolution = None
	}
	for _, w := range from {
		s.Objects = append(s.Objects, w.Key().String())
		s.Revision = max(s.Revision, w.Revision)
	}
	return s
}

// serviceName is the short name: "catalog" for a host of the cluster, the host
// itself for one of elsewhere, as Istio names services in its metrics.
func serviceName(host string) string {
	if rest, ok := strings.CutSuffix(host, "."+clusterDomain); ok {
		name, _, _ := strings.Cut(rest, ".")
		return name
	}
	return host
}

func servicePorts(se *networking.ServiceEntry) []Port {
	ports := make([]Port, 0, len(se.Ports))
	for _, p := range se.Ports {
		ports = append(ports, Port{
			Name: p.Name, Number: p.Number, Target: p.TargetPort, Protocol: config.PortProtocol(p.Protocol, p.Name),
		})
	}
	slices.SortFunc(ports, func(a, b Port) int { return cmp.Compare(a.Number, b.Number) })
	return ports
}

// singleAddresses leaves ranges out: a client dials one address.
func singleAddresses(se *networking.ServiceEntry) []string {
	return slices.DeleteFunc(slices.Clone(se.Addresses), func(a string) bool { return !isIP(a) })
}

// isIP reports whether an address needs no lookup.
func isIP(address string) bool {
	_, err := netip.ParseAddr(address)
	return err == nil
}
