package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// trafficTarget checks a TrafficTarget. Who may do what must be said whole: what
// is left out would be open to one reader and closed to another.
func (c *checker) trafficTarget(spec *smi.TrafficTarget) {
	c.account("spec.destination", spec.Destination)
	if ns := spec.GetDestination().GetNamespace(); ns != "" && ns != c.object.Namespace {
		c.errorf(CodeValue, "spec.destination.namespace", "move it to namespace "+ns, "spec.destination.namespace: a TrafficTarget is for service accounts of its own namespace %s", c.object.Namespace)
	}
	if len(spec.Sources) == 0 {
		c.errorf(CodeRequired, "spec.sources", "to let nobody in, write an AuthorizationPolicy without rules", "spec.sources is missing")
	}
	for i, s := range spec.Sources {
		c.account(fmt.Sprintf("spec.sources[%d]", i), s)
	}
	if len(spec.Rules) == 0 {
		c.errorf(CodeRequired, "spec.rules", "name an HTTPRouteGroup, or a TCPRoute", "spec.rules is missing")
	}
	for i, r := range spec.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		c.specification(path, r.Kind, r.Name, KindHTTPRouteGroup, KindTCPRoute)
		if r.Kind == KindTCPRoute && len(r.Matches) > 0 {
			c.errorf(CodeValue, path+".matches", "leave it out", "%s.matches: a TCPRoute has no matches by name", path)
		}
	}
}

func (c *checker) account(path string, s *smi.Subject) {
	switch {
	case s == nil:
		c.required(path, "")
	case s.Kind != "ServiceAccount":
		c.errorf(CodeUnsupported, path+".kind", "name service accounts, one by one", "%s.kind: %q is not supported, only ServiceAccount", path, s.Kind)
	case s.Name == "":
		c.required(path+".name", "")
	case !nameForm.MatchString(s.Name):
		c.errorf(CodeName, path+".name", "", "%s.name: %q is no service account", path, s.Name)
	case s.Namespace != "" && !labelForm.MatchString(s.Namespace):
		c.errorf(CodeName, path+".namespace", "", "%s.namespace: %q is no namespace", path, s.Namespace)
	}
}

// specification checks what names a description of traffic.
func (c *checker) specification(path, kind, name string, kinds ...string) {
	if !slices.Contains(kinds, kind) {
		c.errorf(CodeValue, path+".kind", "", "%s.kind: want %s, got %q", path, strings.Join(kinds, " or "), kind)
	}
	if name == "" {
		c.required(path+".name", "")
	}
}

func (c *checker) routeGroup(spec *smi.HTTPRouteGroup) {
	if len(spec.Matches) == 0 {
		c.required("spec.matches", "")
	}
	var seen []string
	for i, m := range spec.Matches {
		path := fmt.Sprintf("spec.matches[%d]", i)
		if m.Name != "" && slices.Contains(seen, m.Name) {
			c.errorf(CodeSameName, path+".name", "", "%s: the name %q is given twice", path, m.Name)
		}
		seen = append(seen, m.Name)
		c.regex(path+".pathRegex", m.PathRegex)
		for j, method := range m.Methods {
			if method != "*" && !headerName.MatchString(method) {
				c.errorf(CodeValue, fmt.Sprintf("%s.methods[%d]", path, j), "", "%s.methods[%d]: %q is no method", path, j, method)
			}
		}
		for _, name := range sortedKeys(m.Headers) {
			c.header(path+".headers["+name+"]", name)
			c.regex(path+".headers["+name+"]", m.Headers[name])
		}
	}
}

func (c *checker) tcpTraffic(spec *smi.TCPRoute) {
	for i, port := range spec.GetMatches().GetPorts() {
		c.port(fmt.Sprintf("spec.matches.ports[%d]", i), port)
	}
}
