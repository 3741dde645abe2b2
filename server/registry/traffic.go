package registry

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// RouteGroups are SMI's descriptions of traffic: HTTPRouteGroups and TCPRoutes.
type RouteGroups map[config.Key]*config.Object

// NewRouteGroups finds them among objects.
func NewRouteGroups(objects []*config.Object) RouteGroups {
	out := RouteGroups{}
	for _, o := range objects {
		if o.HTTPRouteGroup() != nil || o.TCPRoute() != nil {
			out[o.Key()] = o
		}
	}
	return out
}

// Find gives what a rule in a namespace names; nil when it does not exist.
func (g RouteGroups) Find(kind, namespace, name string) *config.Object {
	return g[config.Key{Kind: kind, Namespace: namespace, Name: name}]
}

// Matches gives the matches of an HTTPRouteGroup that have one of the names, or
// all of them without names.
func Matches(group *smi.HTTPRouteGroup, names []string) []*smi.HTTPMatch {
	if len(names) == 0 {
		return group.GetMatches()
	}
	var out []*smi.HTTPMatch
	for _, m := range group.GetMatches() {
		if slices.Contains(names, m.Name) {
			out = append(out, m)
		}
	}
	return out
}

// matches gives what a TrafficSplit is for, as a VirtualService has it, and the
// newest revision among the groups that say so.
func (g RouteGroups) matches(o *config.Object) (out []*networking.HTTPMatchRequest, newest uint64) {
	for _, named := range o.TrafficSplit().Matches {
		group := g.Find(config.KindHTTPRouteGroup, o.Namespace, named.Name)
		if group == nil {
			continue // Check says it
		}
		newest = max(newest, group.Revision)
		for _, m := range group.HTTPRouteGroup().Matches {
			out = append(out, requestMatch(m))
		}
	}
	return out, newest
}

func requestMatch(m *smi.HTTPMatch) *networking.HTTPMatchRequest {
	out := &networking.HTTPMatchRequest{Name: m.Name}
	if m.PathRegex != "" {
		out.Uri = expression(m.PathRegex)
	}
	switch methods := m.Methods; {
	case len(methods) == 0 || slices.Contains(methods, "*"):
	case len(methods) == 1:
		out.Method = &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Exact{Exact: methods[0]}}
	default:
		quoted := make([]string, len(methods))
		for i, method := range methods {
			quoted[i] = regexp.QuoteMeta(method)
		}
		out.Method = expression(strings.Join(quoted, "|"))
	}
	for name, value := range m.Headers {
		if name = strings.ToLower(name); name == "host" {
			out.Authority = expression(value)
			continue
		}
		if out.Headers == nil {
			out.Headers = map[string]*networking.StringMatch{}
		}
		out.Headers[name] = expression(value)
	}
	return out
}

func expression(text string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Regex{Regex: text}}
}

// targets checks whom TrafficTargets protect, and what they allow.
func (c *check) targets(objects []*config.Object) {
	accounts := map[string]bool{}
	for _, s := range c.registry.Services() {
		for _, e := range s.Endpoints {
			accounts[cmp.Or(e.Workload.Namespace, s.Namespace)+"/"+cmp.Or(e.ServiceAccount, "default")] = true
		}
	}
	for _, o := range objects {
		if w := o.WorkloadEntry(); w != nil {
			accounts[o.Namespace+"/"+cmp.Or(w.ServiceAccount, "default")] = true
		}
	}
	for _, o := range objects {
		spec := o.TrafficTarget()
		if spec == nil {
			continue
		}
		if name := spec.Destination.Name; !accounts[o.Namespace+"/"+name] {
			c.warnf(o, config.CodeSelectsNothing, "spec.destination.name", "correct the name, or give it to workloads by serviceAccount of their WorkloadEntries",
				"no known workload of namespace %s has the service account %q", o.Namespace, name)
		}
		for i, r := range spec.Rules {
			c.traffic(o, fmt.Sprintf("spec.rules[%d]", i), r.Kind, r.Name, r.Matches, "nothing is allowed by it")
		}
	}
}

// traffic checks that a description of traffic exists, with the matches that are
// named.
func (c *check) traffic(o *config.Object, path, kind, name string, matches []string, so string) {
	group := c.traffics.Find(kind, o.Namespace, name)
	if group == nil {
		c.warnf(o, config.CodeNoTraffic, path+".name", "add it, or correct the name", "there is no %s %s/%s: %s", kind, o.Namespace, name, so)
		return
	}
	for i, m := range matches {
		if len(Matches(group.HTTPRouteGroup(), []string{m})) == 0 {
			c.warnf(o, config.CodeNoTraffic, fmt.Sprintf("%s.matches[%d]", path, i), "add it, or correct the name", "%s has no match %q: %s", group.Key(), m, so)
		}
	}
}
