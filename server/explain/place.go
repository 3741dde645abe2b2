package explain

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// place finds the line of a path of an object, or of what encloses it.
func (e *explaining) place(object, path string) Place {
	if object == "" {
		return Place{}
	}
	p := Place{Object: object}
	if o := e.world.Object(object); o != nil {
		p.File = o.Source
		p.Line, _ = o.Locate(asWritten(o, path))
	}
	return p
}

// written reports whether an object has a path.
func (e *explaining) written(object, path string) bool {
	o := e.world.Object(object)
	if object == "" || o == nil {
		return false
	}
	_, exact := o.Locate(asWritten(o, path))
	return exact
}

// asWritten gives the field of a VirtualService's http route as an HTTPRoute or
// GRPCRoute has it.
func asWritten(o *config.Object, path string) string {
	rule, field, ok := strings.Cut(path, "].")
	if !ok || o.VirtualService() != nil || !strings.HasPrefix(rule, "spec.rules[") {
		return path
	}
	field, _, _ = strings.Cut(field, ".")
	switch field {
	case "route":
		field = "backendRefs"
	case "timeout":
		field = "timeouts"
	case "retries":
		field = "retry"
	case "redirect", "rewrite", "headers", "mirror", "mirrors":
		field = "filters"
	default:
		return path
	}
	return rule + "]." + field
}

// origin reads where a route came from: the object, and the path in it.
func origin(m *corev3.Metadata) (object, path string) {
	filters := m.GetFilterMetadata()
	path = filters["sidelight"].GetFields()["path"].GetStringValue()
	parts := strings.Split(strings.TrimPrefix(filters["istio"].GetFields()["config"].GetStringValue(), "/"), "/")
	if len(parts) != 7 || parts[3] != "namespaces" {
		return "", path
	}
	var kind strings.Builder
	for word := range strings.SplitSeq(parts[5], "-") {
		if word != "" {
			kind.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return kind.String() + " " + parts[4] + "/" + parts[6], path
}

// parent is the route of a match: "spec.http[1]" of "spec.http[1].match[0]".
func parent(path string) string {
	route, _, _ := strings.Cut(path, ".match")
	return route
}
