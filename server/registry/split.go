package registry

import (
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// share is a backend of a TrafficSplit.
type share struct {
	destination *networking.Destination
	weight      int32
}

// shares lists the backends of a TrafficSplit that have a port of the service,
// as SMI has it: those without it get nothing of it. One that no service has the
// host of keeps its share, which nobody answers. There are none where no weight
// is left.
func (r *Registry) shares(o *config.Object, port uint32) []share {
	var out []share
	total := int64(0)
	for _, b := range o.TrafficSplit().GetBackends() {
		if s, ok := r.Lookup(b.Service, o.Namespace); ok {
			if _, has := s.Port(port); !has {
				continue
			}
		}
		out = append(out, share{&networking.Destination{Host: b.Service}, b.GetWeight()})
		total += int64(b.GetWeight())
	}
	if total == 0 {
		return nil
	}
	return out
}

// splitPorts gives the service that a TrafficSplit is for and the ports that it
// is split on: 0 alone where all of them are, by the same shares. s is nil when
// there is no such service, or the object is no TrafficSplit.
func (r *Registry) splitPorts(o *config.Object) (s *Service, ports []uint32) {
	split := o.TrafficSplit()
	if split == nil {
		return nil, nil
	}
	s, ok := r.Lookup(split.Service, o.Namespace)
	if !ok {
		return nil, nil
	}
	all := len(s.Ports) > 0
	for _, p := range s.Ports {
		shares := r.shares(o, p.Number)
		matched := p.IsHTTP() || len(split.Matches) == 0 // of bytes, no match can be told
		all = all && matched && len(shares) == len(split.Backends)
		if len(shares) > 0 && matched && !p.IsTLS() {
			ports = append(ports, p.Number)
		}
	}
	if all && len(ports) > 0 {
		ports = []uint32{0}
	}
	return s, ports
}

// split makes of a service's TrafficSplit the routes of a VirtualService for a
// port of it, or for all. What no match takes goes to the service itself.
func (r *Registry) split(virtual *config.Object, spec *networking.VirtualService, attached []attachment, groups RouteGroups) {
	i := slices.IndexFunc(attached, func(a attachment) bool {
		return a.object.Kind == config.KindTrafficSplit && (a.port == 0 || a.port == virtual.Port)
	})
	o := attached[i].object
	rule := config.Rule{Object: o, Path: "spec.backends", Name: o.Name}
	s, _ := r.splitPorts(o)
	for _, p := range s.Ports {
		if virtual.Port != 0 && virtual.Port != p.Number || p.IsTLS() {
			continue
		}
		shares := r.shares(o, p.Number)
		if !p.IsHTTP() {
			route := &networking.TCPRoute{Match: []*networking.L4MatchAttributes{{Port: p.Number}}}
			for _, to := range shares {
				route.Route = append(route.Route, &networking.RouteDestination{Destination: to.destination, Weight: to.weight})
			}
			spec.Tcp = append(spec.Tcp, route)
		} else if len(spec.Http) == 0 { // where it is for several ports, they have the same shares
			route := &networking.HTTPRoute{}
			for _, to := range shares {
				route.Route = append(route.Route, &networking.HTTPRouteDestination{Destination: to.destination, Weight: to.weight})
			}
			if len(o.TrafficSplit().Matches) == 0 {
				spec.Http, virtual.Rules = append(spec.Http, route), []config.Rule{rule}
				continue
			}
			var revision uint64
			if route.Match, revision = groups.matches(o); len(route.Match) > 0 {
				spec.Http, virtual.Rules = append(spec.Http, route), []config.Rule{rule}
			}
			rest := &networking.HTTPRoute{Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: o.TrafficSplit().Service}}}}
			spec.Http, virtual.Rules = append(spec.Http, rest), append(virtual.Rules, config.Rule{Object: o, Path: "spec.service", Name: o.Name + "-rest"})
			virtual.Revision = revision
		}
	}
	if virtual.Rules == nil {
		virtual.Rules = []config.Rule{rule}
	}
	virtual.Revision = max(virtual.Revision, o.Revision)
}

// split checks what a TrafficSplit is for, and where it leads.
func (c *check) split(o *config.Object, byParent map[string]*config.Object) {
	spec := o.TrafficSplit()
	s, ok := c.registry.Lookup(spec.Service, o.Namespace)
	if !ok {
		hint := "add a ServiceEntry, or correct the name"
		if near := c.similar(spec.Service, o.Namespace); near != "" {
			hint = "did you mean " + near + "?"
		}
		c.warnf(o, config.CodeRouteNoService, "spec.service", hint, "no service has the host %q: nothing is split by this", spec.Service)
		return
	}
	if first := c.claim(o, s.Host+" in "+o.Namespace); first != nil {
		c.warnf(o, config.CodeHostClaimed, "spec.service", "put the backends into one TrafficSplit",
			"%s splits %s too (%s:%d); only that one is heeded", first.Key(), s.Host, first.Source, first.Line)
	} else {
		c.hidden(o, config.Parent{Path: "spec.service"}, s, byParent)
	}
	for i, m := range spec.Matches {
		c.traffic(o, fmt.Sprintf("spec.matches[%d]", i), config.KindHTTPRouteGroup, m.Name, nil, "nothing is split by it")
	}
	for i, b := range spec.Backends {
		path := fmt.Sprintf("spec.backends[%d].service", i)
		to, ok := c.registry.Lookup(b.Service, o.Namespace)
		switch {
		case ok:
			c.portsOf(o, path, s, to)
		case b.GetWeight() > 0: // one without may come later
			c.leadsSomewhere(o, place{host: path}, "503", &networking.Destination{Host: b.Service})
		}
	}
	for _, p := range s.Ports {
		switch {
		case !p.IsHTTP() && len(spec.Matches) > 0:
			c.warnf(o, config.CodeNoEffect, "spec.matches", "give the port a protocol: HTTP, or leave the matches out", "port %d of %s does not speak HTTP and is not split", p.Number, s.Host)
		case p.IsTLS():
			c.warnf(o, config.CodeNoEffect, "spec.service", "write tls routes of a VirtualService", "port %d of %s has TLS of its callers' own and is not split", p.Number, s.Host)
		case len(c.registry.shares(o, p.Number)) == 0:
			c.warnf(o, config.CodeNoPort, "spec.service", "give a backend with a weight the port", "no backend with a weight has port %d of %s, which is not split", p.Number, s.Host)
		}
	}
}

// portsOf finds ports that a service is split on and a backend has not.
func (c *check) portsOf(o *config.Object, path string, s, backend *Service) {
	for _, p := range s.Ports {
		if _, has := backend.Port(p.Number); !has && !p.IsTLS() && len(c.registry.shares(o, p.Number)) > 0 {
			c.warnf(o, config.CodeNoPort, path, "its ports are "+portList(backend), "%s has no port %d: it gets nothing of what is sent to that port of %s", backend.Host, p.Number, s.Host)
		}
	}
}
