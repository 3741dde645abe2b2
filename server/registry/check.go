package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// Check finds what is wrong between objects: names that lead nowhere and names
// that are claimed twice. All of it is a warning: the objects may well arrive
// in another order than they need each other, and each is good by itself.
func Check(objects []*config.Object) []config.Problem { return CheckIn("", objects) }

// CheckIn is Check where policies for the whole mesh stand in a namespace of
// another name than "istio-system".
func CheckIn(root string, objects []*config.Object) []config.Problem {
	c := &check{root: cmp.Or(root, "istio-system"), registry: Build(objects), rules: map[string][]*config.Object{}, claims: map[string]*config.Object{}, known: map[config.Key]bool{}, traffics: NewRouteGroups(objects)}
	for _, o := range objects {
		c.known[o.Key()] = true
		if dr := o.DestinationRule(); dr != nil {
			host := c.registry.Resolve(dr.Host, o.Namespace)
			c.rules[host] = append(c.rules[host], o)
		}
	}
	for _, o := range objects {
		switch {
		case o.VirtualService() != nil:
			c.virtualService(o, o.VirtualService())
		case o.DestinationRule() != nil:
			c.destinationRule(o, o.DestinationRule())
		case o.ServiceEntry() != nil:
			c.serviceEntry(o, o.ServiceEntry())
		}
	}
	c.routes(objects)
	c.denied(objects)
	c.targets(objects)
	return c.problems
}

type check struct {
	registry *Registry
	root     string                      // the namespace of what holds for the whole mesh
	rules    map[string][]*config.Object // by host
	claims   map[string]*config.Object   // who was first, by kind, host and namespace
	known    map[config.Key]bool
	traffics RouteGroups
	problems []config.Problem
}

func (c *check) warnf(o *config.Object, code, path, hint, format string, args ...any) {
	c.problems = append(c.problems, o.Problem(config.SeverityWarning, code, path, fmt.Sprintf(format, args...), hint))
}

// claim notes that an object wants a host, and gives the object that has it
// already.
func (c *check) claim(o *config.Object, what string) *config.Object {
	key := o.Kind + " " + what
	if first := c.claims[key]; first != nil && first != o {
		return first
	}
	c.claims[key] = o
	return nil
}

func (c *check) virtualService(o *config.Object, vs *networking.VirtualService) {
	c.gateways(o, vs)
	if mesh := len(vs.Gateways) == 0 || slices.Contains(vs.Gateways, "mesh"); mesh {
		c.routedHosts(o, vs)
	}
	for i, r := range vs.Http {
		for j, d := range r.Route {
			c.destination(o, fmt.Sprintf("spec.http[%d].route[%d].destination", i, j), d.Destination)
		}
	}
	for i, r := range vs.Http {
		if r.Mirror != nil {
			c.destination(o, fmt.Sprintf("spec.http[%d].mirror", i), r.Mirror)
		}
		for j, m := range r.Mirrors {
			c.destination(o, fmt.Sprintf("spec.http[%d].mirrors[%d].destination", i, j), m.Destination)
		}
	}
	for i, r := range vs.Tcp {
		c.l4Destinations(o, fmt.Sprintf("spec.tcp[%d]", i), r.Route)
	}
	for i, r := range vs.Tls {
		c.l4Destinations(o, fmt.Sprintf("spec.tls[%d]", i), r.Route)
	}
}

func (c *check) l4Destinations(o *config.Object, path string, routes []*networking.RouteDestination) {
	for j, d := range routes {
		c.destination(o, fmt.Sprintf("%s.route[%d].destination", path, j), d.Destination)
	}
}

// routedHosts checks the hosts that sidecars route by the object.
func (c *check) routedHosts(o *config.Object, vs *networking.VirtualService) {
	for i, h := range vs.Hosts {
		path := fmt.Sprintf("spec.hosts[%d]", i)
		s, ok := c.registry.Lookup(h, o.Namespace)
		if !ok && c.covers(h, o.Namespace) {
			continue
		}
		if !ok {
			c.warnf(o, config.CodeRouteNoService, path, "add a ServiceEntry, or correct the name",
				"no service has the host %q: the routes take only requests for exactly this name", h)
			continue
		}
		for _, protocol := range protocolsOf(vs) {
			if first := c.claim(o, s.Host+" "+protocol); first != nil && overlap(first, o) {
				c.warnf(o, config.CodeHostClaimed, path, "put the "+protocol+" routes into one VirtualService",
					"%s has %s routes of %s too (%s:%d); only one of the two is heeded", first.Key(), protocol, s.Host, first.Source, first.Line)
			}
		}
	}
}

// protocolsOf lists what a VirtualService has routes for: each is looked for by
// itself.
func protocolsOf(vs *networking.VirtualService) []string {
	var out []string
	for _, p := range []struct {
		name   string
		routes int
	}{{"http", len(vs.Http)}, {"tcp", len(vs.Tcp)}, {"tls", len(vs.Tls)}} {
		if p.routes > 0 {
			out = append(out, p.name)
		}
	}
	return out
}

// covers reports whether a host is a pattern that some service is of.
func (c *check) covers(host, namespace string) bool {
	return IsWild(host) && slices.ContainsFunc(c.registry.Services(), func(s *Service) bool {
		return s.VisibleFrom(namespace) && Covers(canonical(host), s.Host)
	})
}

// gateways finds names of gateways that no Gateway has.
func (c *check) gateways(o *config.Object, vs *networking.VirtualService) {
	for i, name := range vs.Gateways {
		key := config.Key{Kind: config.KindGateway, Namespace: o.Namespace, Name: name}
		if ns, rest, ok := strings.Cut(name, "/"); ok {
			key.Namespace, key.Name = ns, rest
		}
		if name != "mesh" && !c.known[key] {
			c.warnf(o, config.CodeNoGateway, fmt.Sprintf("spec.gateways[%d]", i), "add it, or correct the name",
				"there is no Gateway %s/%s: the routes are not used there", key.Namespace, key.Name)
		}
	}
}

// overlap reports whether a namespace could see both.
func overlap(a, b *config.Object) bool {
	return Visible(a, b.Namespace) || Visible(b, a.Namespace)
}

func (c *check) destination(o *config.Object, path string, d *networking.Destination) {
	c.leadsSomewhere(o, place{path + ".host", path + ".port.number", path + ".subset"}, "503", d)
}

// place is where the parts of a destination stand.
type place struct{ host, port, subset string }

// leadsSomewhere finds what is missing of a destination, without which requests
// get a status from the sidecar.
func (c *check) leadsSomewhere(o *config.Object, at place, status string, d *networking.Destination) {
	s, ok := c.registry.Lookup(d.Host, o.Namespace)
	if !ok {
		hint := "add a ServiceEntry, or correct the name"
		if near := c.similar(d.Host, o.Namespace); near != "" {
			hint = "did you mean " + near + "?"
		}
		c.warnf(o, config.CodeNoHost, at.host, hint, "no service has the host %q: requests sent there get %s", d.Host, status)
		return
	}
	if number := d.GetPort().GetNumber(); number != 0 {
		if _, ok := s.Port(number); !ok {
			c.warnf(o, config.CodeNoPort, at.port, "its ports are "+portList(s),
				"%s has no port %d: requests sent there get %s", s.Host, number, status)
		}
	}
	if d.Subset != "" && !c.hasSubset(s.Host, d.Subset, o.Namespace) {
		c.warnf(o, config.CodeNoSubset, at.subset, "add the subset to the DestinationRule of "+s.Host,
			"no DestinationRule gives %s a subset %q: requests sent there get 503", s.Host, d.Subset)
	}
}

func portList(s *Service) string {
	list := make([]string, 0, len(s.Ports))
	for _, p := range s.Ports {
		list = append(list, fmt.Sprint(p.Number))
	}
	return strings.Join(list, ", ")
}

func (c *check) hasSubset(host, subset, namespace string) bool {
	return slices.ContainsFunc(c.rules[host], func(o *config.Object) bool {
		return Visible(o, namespace) && slices.ContainsFunc(o.DestinationRule().Subsets, func(s *networking.Subset) bool { return s.Name == subset })
	})
}

// similar finds a service with the same first label in another namespace, the
// usual reason for a name that leads nowhere.
func (c *check) similar(host, namespace string) string {
	name, _, _ := strings.Cut(canonical(host), ".")
	for _, s := range c.registry.Services() {
		if first, _, _ := strings.Cut(s.Host, "."); first == name && s.VisibleFrom(namespace) {
			return s.Host
		}
	}
	return ""
}

func (c *check) destinationRule(o *config.Object, dr *networking.DestinationRule) {
	s, ok := c.registry.Lookup(dr.Host, o.Namespace)
	if !ok && c.covers(dr.Host, o.Namespace) {
		return
	}
	if !ok {
		c.warnf(o, config.CodeRouteNoService, "spec.host", "add a ServiceEntry, or correct the name", "no service has the host %q", dr.Host)
		return
	}
	// A namespace may have its own rule for a host beside the service's.
	if first := c.claim(o, s.Host+" in "+o.Namespace); first != nil {
		c.warnf(o, config.CodeRuleClaimed, "spec.host", "put the rules into one DestinationRule",
			"%s is for %s too (%s:%d); only that one is heeded", first.Key(), s.Host, first.Source, first.Line)
	}
	for i, subset := range dr.Subsets {
		if len(s.Endpoints) > 0 && !slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return e.HasLabels(subset.Labels) }) {
			c.warnf(o, config.CodeSelectsNothing, fmt.Sprintf("spec.subsets[%d].labels", i), "compare the labels with those of the endpoints",
				"the subset %q selects no endpoint of %s", subset.Name, s.Host)
		}
	}
}

func (c *check) serviceEntry(o *config.Object, se *networking.ServiceEntry) {
	for i, h := range se.Hosts {
		if first := c.claim(o, canonical(h)+" in "+o.Namespace); first != nil {
			c.warnf(o, config.CodeServiceClaimed, fmt.Sprintf("spec.hosts[%d]", i), "put both into one ServiceEntry",
				"%s has the host %s too (%s:%d); only that one is heeded", first.Key(), h, first.Source, first.Line)
		}
	}
	if labels := se.WorkloadSelector.GetLabels(); len(labels) > 0 && labels[config.LabelService] == "" { // of a cluster's, none may be ready
		if s, ok := c.registry.Lookup(se.Hosts[0], o.Namespace); ok && s.Object == o.Key() && len(s.Endpoints) == 0 {
			c.warnf(o, config.CodeSelectsNothing, "spec.workloadSelector.labels", "compare the labels with those of the WorkloadEntries of namespace "+o.Namespace,
				"no WorkloadEntry of namespace %s has these labels", o.Namespace)
		}
	}
}
