package config

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

// maxCompared bounds the pairs of matches of one object that are compared.
const maxCompared = 100_000

// deadRoutes finds routes and matches that no request reaches, because an
// earlier one takes all that they would.
func (c *checker) deadRoutes(routes []*networking.HTTPRoute) {
	type earlier struct {
		path  string
		match *networking.HTTPMatchRequest
	}
	var before []earlier
	compared := 0
	by := func(m *networking.HTTPMatchRequest) (earlier, bool) {
		for _, e := range before {
			if compared++; compared > maxCompared {
				return earlier{}, false
			}
			if covers(e.match, m) {
				return e, true
			}
		}
		return earlier{}, false
	}
	for i, r := range routes {
		path := fmt.Sprintf("spec.http[%d]", i)
		if len(r.Match) == 0 {
			if first, ok := by(&networking.HTTPMatchRequest{}); ok {
				c.neverReached(path, first.path)
				return // and so are all after it: one is enough to say
			}
			before = append(before, earlier{path, &networking.HTTPMatchRequest{}})
			continue
		}
		var dead []string
		var first earlier
		for j, m := range r.Match {
			at := fmt.Sprintf("%s.match[%d]", path, j)
			if taken, ok := by(m); ok {
				dead, first = append(dead, at), taken
			}
			before = append(before, earlier{at, m})
		}
		if len(dead) == len(r.Match) {
			c.neverReached(path, first.path)
			if takesAll(first.match) {
				return
			}
			continue
		}
		for _, at := range dead {
			c.neverReached(at, first.path)
		}
	}
}

func takesAll(m *networking.HTTPMatchRequest) bool { return covers(m, &networking.HTTPMatchRequest{}) }

func (c *checker) neverReached(path, first string) {
	c.warnf(CodeUnreachable, path, "put what is more special first, or remove it",
		"%s is never reached: %s takes every request that it would", path, first)
}

// covers reports whether every request that b takes is one that a takes. It
// may say no where a closer look would say yes.
func covers(a, b *networking.HTTPMatchRequest) bool {
	if !coversPath(a, b) {
		return false
	}
	for _, pair := range [][2]map[string]*networking.StringMatch{
		{a.Headers, b.Headers}, {a.WithoutHeaders, b.WithoutHeaders}, {a.QueryParams, b.QueryParams},
	} {
		for name, want := range pair[0] {
			if has, ok := pair[1][name]; !ok || !proto.Equal(want, has) {
				return false
			}
		}
	}
	// What else a asks for, b must ask for in the same way.
	rest, same := proto.CloneOf(a), proto.CloneOf(b)
	for _, m := range []*networking.HTTPMatchRequest{rest, same} {
		m.Name, m.Uri, m.IgnoreUriCase, m.StatPrefix = "", nil, false, ""
		m.Headers, m.WithoutHeaders, m.QueryParams = nil, nil, nil
	}
	for _, f := range []struct {
		set  bool
		drop func()
	}{
		{a.Method != nil, func() { same.Method = nil }},
		{a.Authority != nil, func() { same.Authority = nil }},
		{a.Scheme != nil, func() { same.Scheme = nil }},
		{a.Port != 0, func() { same.Port = 0 }},
		{a.SourceNamespace != "", func() { same.SourceNamespace = "" }},
		{len(a.SourceLabels) > 0, func() { same.SourceLabels = nil }},
		{len(a.Gateways) > 0, func() { same.Gateways = nil }},
	} {
		if !f.set {
			f.drop()
		}
	}
	return proto.Equal(rest, same)
}

func coversPath(a, b *networking.HTTPMatchRequest) bool {
	prefix, isPrefix := a.GetUri().GetMatchType().(*v1alpha3.StringMatch_Prefix)
	switch {
	case a.Uri == nil, isPrefix && prefix.Prefix == "/":
		return true
	case proto.Equal(a.Uri, b.Uri):
		return a.IgnoreUriCase || !b.IgnoreUriCase
	case !isPrefix || b.IgnoreUriCase && !a.IgnoreUriCase:
		return false
	}
	text := ""
	switch uri := b.GetUri().GetMatchType().(type) {
	case *v1alpha3.StringMatch_Prefix:
		text = uri.Prefix
	case *v1alpha3.StringMatch_Exact:
		text = uri.Exact
	default:
		return false
	}
	if a.IgnoreUriCase {
		return len(text) >= len(prefix.Prefix) && strings.EqualFold(text[:len(prefix.Prefix)], prefix.Prefix)
	}
	return strings.HasPrefix(text, prefix.Prefix)
}
