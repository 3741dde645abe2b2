package registry

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// attachment is an object that routes a service's requests on one port, or on
// all when port is 0.
type attachment struct {
	object *config.Object
	port   uint32
}

// routed is whose requests are routed, and for whom: a route in the service's
// own namespace is for all clients, one elsewhere for those beside it.
type routed struct {
	namespace, host string
	own             bool
}

// routeKinds are the kinds that route a service's requests, the more special
// first: where one is, those after it are not heeded.
var routeKinds = []string{config.KindGRPCRoute, config.KindHTTPRoute, config.KindTrafficSplit}

// VirtualServices gives what HTTPRoute, GRPCRoute and TrafficSplit objects say in
// the form of VirtualServices: one for each service, namespace and, where some of them are
// for one port alone, port. They have no key of their own: Rules tell where each
// of their routes is from.
func (r *Registry) VirtualServices(objects []*config.Object) []*config.Object {
	groups := map[routed][]attachment{}
	split, routeGroups := map[routed]bool{}, NewRouteGroups(objects)
	for _, o := range objects {
		if s, ports := r.splitPorts(o); s != nil {
			key := routed{o.Namespace, s.Host, o.Namespace == s.Namespace}
			if split[key] {
				continue // Check says it
			}
			split[key] = true
			for _, port := range ports {
				groups[key] = append(groups[key], attachment{o, port})
			}
		}
		for _, p := range o.Parents() {
			for _, host := range r.parentHosts(p) {
				port, ok := r.parentPort(p, host)
				if !ok {
					continue // Check says it
				}
				key := routed{o.Namespace, host, o.Namespace == p.Namespace}
				groups[key] = append(groups[key], attachment{o, port})
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b routed) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.host, b.host))
	})
	var out []*config.Object
	for _, key := range keys {
		ports := map[uint32]bool{}
		for _, a := range groups[key] {
			ports[a.port] = true
		}
		for _, port := range slices.Sorted(maps.Keys(ports)) {
			out = append(out, r.virtualService(key, groups[key], port, routeGroups))
		}
	}
	return out
}

// ParentHosts lists the hosts that an HTTPRoute, GRPCRoute or TrafficSplit is for.
func (r *Registry) ParentHosts(o *config.Object) []string {
	var hosts []string
	if split := o.TrafficSplit(); split != nil {
		hosts = append(hosts, r.Resolve(split.Service, o.Namespace))
	}
	for _, p := range o.Parents() {
		hosts = append(hosts, r.parentHosts(p)...)
	}
	return hosts
}

// parentHosts lists the hosts of a parent.
func (r *Registry) parentHosts(p config.Parent) []string {
	if p.Kind == config.KindServiceEntry {
		var hosts []string
		if e := r.entry(config.Key{Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}); e != nil {
			for _, s := range e.services {
				hosts = append(hosts, s.Host)
			}
		}
		return hosts
	}
	return []string{config.ServiceHost(p.Name, p.Namespace)}
}

// parentPort finds the port that a parent names; ok is false when the service
// has none of that name.
func (r *Registry) parentPort(p config.Parent, host string) (port uint32, ok bool) {
	if p.Section == "" {
		return p.Port, true
	}
	for _, s := range r.on(host) {
		for _, candidate := range s.Ports {
			if candidate.Name == p.Section && (p.Port == 0 || p.Port == candidate.Number) {
				return candidate.Number, true
			}
		}
	}
	return 0, false
}

func (r *Registry) virtualService(key routed, attached []attachment, port uint32, groups RouteGroups) *config.Object {
	var kind string
	for _, k := range routeKinds {
		if slices.ContainsFunc(attached, func(a attachment) bool { return a.object.Kind == k && (a.port == 0 || a.port == port) }) {
			kind = k
			break
		}
	}
	var routes []config.Route
	seen := map[*config.Object]bool{} // one object may name the service and its port
	for _, a := range attached {
		if a.object.Kind == kind && (a.port == 0 || a.port == port) && !seen[a.object] {
			seen[a.object] = true
			routes = append(routes, a.object.Routes()...)
		}
	}
	config.SortRoutes(routes)
	spec := &networking.VirtualService{Hosts: []string{key.host}}
	if !key.own {
		spec.ExportTo = []string{"."}
	}
	o := &config.Object{Kind: config.KindVirtualService, Namespace: key.namespace, Spec: spec, Port: port}
	if kind == config.KindTrafficSplit {
		r.split(o, spec, attached, groups)
		return o
	}
	for _, route := range routes {
		spec.Http = append(spec.Http, route.HTTP)
		o.Rules = append(o.Rules, route.Rule)
		o.Revision = max(o.Revision, route.Object.Revision)
	}
	return o
}

// routes checks what HTTPRoute, GRPCRoute and TrafficSplit objects are for, and
// where they lead.
func (c *check) routes(objects []*config.Object) {
	byParent := map[string]*config.Object{} // kind, namespace, host and port
	for _, o := range objects {
		if o.TrafficSplit() != nil {
			c.split(o, byParent)
		}
		for _, p := range o.Parents() {
			for _, host := range c.registry.parentHosts(p) {
				if s, ok := c.parent(o, p, host); ok {
					c.hidden(o, p, s, byParent)
				}
			}
			if p.Kind == config.KindServiceEntry && len(c.registry.parentHosts(p)) == 0 {
				c.warnf(o, config.CodeRouteNoService, p.Path+".name", "add it, or correct the name", "there is no ServiceEntry %s/%s: nothing is routed by this", p.Namespace, p.Name)
			}
		}
		for _, b := range o.Backends() {
			c.leadsSomewhere(o, place{b.Path + ".name", b.Path + ".port", b.Path}, "500", b.Destination)
		}
	}
}

// parent finds the service of a parent, and says when it has not what the route
// names.
func (c *check) parent(o *config.Object, p config.Parent, host string) (*Service, bool) {
	s, ok := c.registry.Lookup(host, o.Namespace)
	if !ok {
		hint := "add a ServiceEntry, or correct the name"
		if near := c.similar(p.Name, o.Namespace); near != "" {
			hint = "did you mean " + near + "?"
		}
		c.warnf(o, config.CodeRouteNoService, p.Path+".name", hint, "no service has the host %q: nothing is routed by this", host)
		return nil, false
	}
	port, named := c.registry.parentPort(p, s.Host)
	if !named {
		c.warnf(o, config.CodeNoPort, p.Path+".sectionName", "its ports are "+portNames(s), "%s has no port named %q: nothing is routed by this", s.Host, p.Section)
		return nil, false
	}
	if port == 0 {
		if !slices.ContainsFunc(s.Ports, Port.IsHTTP) {
			c.warnf(o, config.CodeNoEffect, p.Path, "give the port a protocol: HTTP", "%s has no port that speaks HTTP: nothing is routed by this", s.Host)
		}
		return s, true
	}
	found, ok := s.Port(port)
	switch {
	case !ok:
		c.warnf(o, config.CodeNoPort, p.Path+".port", "its ports are "+portList(s), "%s has no port %d: nothing is routed by this", s.Host, port)
	case !found.IsHTTP():
		c.warnf(o, config.CodeNoEffect, p.Path+".port", "give the port a protocol: HTTP", "port %d of %s does not speak HTTP: nothing is routed by this", port, s.Host)
	}
	return s, ok
}

func portNames(s *Service) string {
	names := make([]string, 0, len(s.Ports))
	for _, p := range s.Ports {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// routes reports whether an object of another API routes a protocol of a service.
func routes(o *config.Object, s *Service, protocol string) bool {
	if protocol == "http" {
		return slices.ContainsFunc(s.Ports, Port.IsHTTP)
	}
	return o.Kind == config.KindTrafficSplit && slices.ContainsFunc(s.Ports, func(p Port) bool { return !p.IsHTTP() && !p.IsTLS() })
}

// hidden says when a VirtualService, or a route of a kind that goes before,
// routes the same requests.
func (c *check) hidden(o *config.Object, p config.Parent, s *Service, byParent map[string]*config.Object) {
	for _, protocol := range []string{"http", "tcp"} {
		first := c.claims[config.KindVirtualService+" "+s.Host+" "+protocol]
		if first == nil || first.Namespace != o.Namespace || !routes(o, s, protocol) {
			continue
		}
		c.warnf(o, config.CodeHostClaimed, p.Path, "remove one of them",
			"%s has %s routes of %s too (%s:%d); only that one is heeded", first.Key(), protocol, s.Host, first.Source, first.Line)
		if protocol == "http" {
			return
		}
	}
	port, _ := c.registry.parentPort(p, s.Host)
	key := func(kind string, port uint32) string {
		return strings.Join([]string{kind, o.Namespace, s.Host, strconv.Itoa(int(port))}, " ")
	}
	byParent[key(o.Kind, port)] = o
	for _, kind := range routeKinds {
		if kind == o.Kind {
			return
		}
		first := cmp.Or(byParent[key(kind, port)], byParent[key(kind, 0)])
		if first != nil {
			hint := "give each a port of its own, or write it all as " + kind
			if o.Kind == config.KindTrafficSplit {
				hint = "write the shares as weights of its backendRefs"
			}
			c.warnf(o, config.CodeHostClaimed, p.Path, hint,
				"%s routes %s too (%s:%d); %s goes before %s, so only that one is heeded", first.Key(), s.Host, first.Source, first.Line, kind, o.Kind)
			return
		}
	}
}
