package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/config/smi"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// targetsFor lists the TrafficTargets whose destination is a node's service
// account, by key. One is enough to close what none of them opens.
func (w *world) targetsFor(p *proxy) []*config.Object {
	var out []*config.Object
	for _, o := range w.targets {
		if o.Namespace == p.node.Workload.Namespace && o.TrafficTarget().Destination.GetName() == p.account {
			out = append(out, o)
		}
	}
	return out
}

// allow puts a TrafficTarget's rules beside those of policies that allow, for one
// port, and gives the objects that they are made of. What describes no traffic
// of the port's protocol allows nothing there.
func (w *world) allow(o *config.Object, in inboundPort, into map[string]*rbacv3.Policy) (objects []string) {
	spec := o.TrafficTarget()
	objects = append(objects, o.Key().String())
	var sources []*rbacv3.Principal
	for _, s := range spec.Sources {
		sources = append(sources, certified(exactly(fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", w.security.TrustDomain, cmp.Or(s.Namespace, o.Namespace), s.Name))))
	}
	for i, r := range spec.Rules {
		var permissions []*rbacv3.Permission
		if traffic := w.object(config.Key{Kind: r.Kind, Namespace: o.Namespace, Name: r.Name}.String()); traffic != nil {
			objects = append(objects, traffic.Key().String())
			permissions = described(traffic, r.Matches, in)
		}
		policy := never()
		if len(permissions) > 0 && len(sources) > 0 {
			policy = &rbacv3.Policy{Permissions: permissions, Principals: sources}
		}
		into[fmt.Sprintf("ns[%s]-target[%s]-rule[%d]", o.Namespace, o.Name, i)] = policy
	}
	return objects
}

// described gives what a description of traffic lets through on a port.
func described(traffic *config.Object, matches []string, in inboundPort) []*rbacv3.Permission {
	switch isHTTP := in.protocol != "tcp"; {
	case traffic.HTTPRouteGroup() != nil && isHTTP:
		var out []*rbacv3.Permission
		for _, m := range registry.Matches(traffic.HTTPRouteGroup(), matches) {
			out = append(out, httpPermission(m))
		}
		return out
	case traffic.TCPRoute() != nil && !isHTTP:
		if ports := traffic.TCPRoute().GetMatches().GetPorts(); len(ports) == 0 || slices.Contains(ports, in.servicePort) {
			return []*rbacv3.Permission{anyPermission()}
		}
	}
	return nil
}

func httpPermission(m *smi.HTTPMatch) *rbacv3.Permission {
	var all []*rbacv3.Permission
	if m.PathRegex != "" {
		all = append(all, &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
			Rule: &matcherv3.PathMatcher_Path{Path: expression(m.PathRegex)},
		}}})
	}
	if !slices.Contains(m.Methods, "*") {
		all = permit(all, m.Methods, nil, func(method string) *rbacv3.Permission { return headerPermission(":method", method, false) })
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		of := strings.ToLower(name)
		if of == "host" {
			of = ":authority"
		}
		all = append(all, &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: &routev3.HeaderMatcher{
			Name: of, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: expression(m.Headers[name])},
		}}})
	}
	return allOf(all)
}
