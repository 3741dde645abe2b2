package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/server/config/gatewayapi"
)

func (c *checker) httpRouteObject(spec *gatewayapi.HTTPRoute) {
	c.parentRefs(spec.ParentRefs, spec.Hostnames)
	if len(spec.Rules) == 0 {
		c.required("spec.rules", "")
	}
	var names []string
	for i, r := range spec.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		names = c.ruleName(path, r.Name, names)
		for j, m := range r.Matches {
			c.httpRouteMatch(fmt.Sprintf("%s.matches[%d]", path, j), m)
		}
		redirects := c.filters(path, r.Filters, httpFilters)
		c.prefixNeeded(path, r)
		c.backends(path, r.BackendRefs, httpFilters[:2], redirects)
		c.routeTimeouts(path, r)
	}
	c.deadRules()
}

func (c *checker) grpcRouteObject(spec *gatewayapi.GRPCRoute) {
	c.parentRefs(spec.ParentRefs, spec.Hostnames)
	if len(spec.Rules) == 0 {
		c.required("spec.rules", "")
	}
	var names []string
	for i, r := range spec.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		names = c.ruleName(path, r.Name, names)
		for j, m := range r.Matches {
			at := fmt.Sprintf("%s.matches[%d]", path, j)
			c.valueMatches(at+".headers", m.Headers, true)
			c.methodMatch(at+".method", m.Method)
		}
		c.filters(path, r.Filters, httpFilters[:3])
		c.backends(path, r.BackendRefs, httpFilters[:2], false)
	}
	c.deadRules()
}

func (c *checker) ruleName(path, name string, before []string) []string {
	if name != "" && slices.Contains(before, name) {
		c.errorf(CodeSameName, path+".name", "rename one of them", "%s: the rule %q is given twice", path, name)
	}
	return append(before, name)
}

// parentRefs checks what a route is for: services, because nothing else is
// routed by it here.
func (c *checker) parentRefs(refs []*gatewayapi.ParentReference, hostnames []string) {
	if len(refs) == 0 {
		c.errorf(CodeRequired, "spec.parentRefs", "name the service that it is for: {group: \"\", kind: Service, name: …}", "spec.parentRefs is missing")
	}
	seen := map[string]bool{}
	for i, r := range refs {
		path := fmt.Sprintf("spec.parentRefs[%d]", i)
		group, kind := "gateway.networking.k8s.io", KindGateway
		if r.Group != nil {
			group = *r.Group
		}
		if r.Kind != nil {
			kind = *r.Kind
		}
		switch {
		case kind == refService && (group == "" || group == "core"):
		case kind == refServiceEntry && group == groupNetworking:
		case kind == refService || kind == refServiceEntry:
			want := `""`
			if kind == refServiceEntry {
				want = groupNetworking
			}
			c.errorf(CodeValue, path+".group", "write group: "+want, "%s: %s is not of group %q", path, kind, group)
		default:
			c.errorf(CodeUnsupported, path, `name a service: {group: "", kind: Service, name: …}; at the edge, write a VirtualService with gateways`,
				"%s: a %s as parent is not supported yet", path, kind)
		}
		c.refName(path, r.Name, r.Namespace, kind)
		if r.Port != nil {
			c.port(path+".port", uint32(r.GetPort()))
		}
		key := fmt.Sprint(kind, r.Namespace, "/", r.Name, ":", r.GetPort(), "/", r.SectionName)
		if seen[key] {
			c.errorf(CodeSameName, path, "remove one of them", "%s: the parent %q is given twice", path, r.Name)
		}
		seen[key] = true
	}
	if len(hostnames) > 0 {
		c.warnf(CodeNoEffect, "spec.hostnames", "remove it: the parent says which hosts", "spec.hostnames has no effect on a route for a service")
	}
}

func (c *checker) refName(path, name, namespace, kind string) {
	switch {
	case name == "":
		c.required(path+".name", "")
	case !nameForm.MatchString(name) || kind == refService && strings.Contains(name, "."):
		c.errorf(CodeName, path+".name", "write the name alone; the namespace has a field of its own", "%s.name: %q is not the name of a %s", path, name, kind)
	}
	if namespace != "" && !labelForm.MatchString(namespace) {
		c.errorf(CodeName, path+".namespace", "", "%s.namespace: %q is not a namespace name", path, namespace)
	}
}

var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func (c *checker) httpRouteMatch(path string, m *gatewayapi.HTTPRouteMatch) {
	if p := m.Path; p != nil {
		switch at := path + ".path.value"; {
		case p.Type == gatewayapi.PathMatch_RegularExpression:
			c.regex(at, p.GetValue())
			if p.GetValue() == "" {
				c.required(at, "")
			}
		case p.Value != nil:
			c.path(at, p.GetValue())
		}
	}
	c.valueMatches(path+".headers", m.Headers, true)
	c.valueMatches(path+".queryParams", m.QueryParams, false)
	if m.Method != "" && !slices.Contains(httpMethods, m.Method) {
		hint := "methods are " + strings.Join(httpMethods, ", ")
		if near := nearest(m.Method, httpMethods); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		c.errorf(CodeValue, path+".method", hint, "%s.method: unknown method %q", path, m.Method)
	}
}

// path checks a path as the Gateway API wants it: one that a proxy would not
// write otherwise.
func (c *checker) path(at, path string) {
	bad := ""
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F", "#", "?"} {
		if strings.Contains(path, part) {
			bad = part
		}
	}
	switch {
	case !strings.HasPrefix(path, "/"):
		c.errorf(CodeValue, at, "", "%s: a path begins with /, got %q", at, path)
	case bad != "" || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/.."):
		c.errorf(CodeValue, at, "write the path as it is after normalisation", "%s: %q can match no request", at, path)
	}
}

func (c *checker) valueMatches(path string, list []*gatewayapi.ValueMatch, header bool) {
	seen := map[string]bool{}
	for i, m := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		name := m.Name
		if header {
			name = strings.ToLower(name)
			c.header(at+".name", m.Name)
		} else if name == "" {
			c.required(at+".name", "")
		}
		if seen[name] {
			c.errorf(CodeSameName, at+".name", "keep one of them", "%s: %q is given twice", at, m.Name)
		}
		seen[name] = true
		if m.Value == "" {
			c.required(at+".value", "")
		}
		if m.Type == gatewayapi.ValueMatch_RegularExpression {
			c.regex(at+".value", m.Value)
		}
	}
}

var (
	grpcService = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	grpcMethod  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (c *checker) methodMatch(path string, m *gatewayapi.MethodMatch) {
	if m == nil {
		return
	}
	if m.Service == "" && m.Method == "" {
		c.required(path, "service or method")
		return
	}
	for _, f := range []struct {
		name, value string
		form        *regexp.Regexp
	}{{"service", m.Service, grpcService}, {"method", m.Method, grpcMethod}} {
		at := path + "." + f.name
		switch {
		case f.value == "":
		case m.Type == gatewayapi.MethodMatch_RegularExpression:
			c.regex(at, f.value)
		case !f.form.MatchString(f.value):
			c.errorf(CodeValue, at, "as com.example.Catalog and ListMovies", "%s: %q is no %s of gRPC", at, f.value, f.name)
		}
	}
}

// httpFilters are the types of filters: first those that backends may have too,
// then one that GRPCRoute also has, then HTTPRoute's alone.
var httpFilters = []string{filterRequestHeaders, filterResponseHeaders, filterMirror, filterRedirect, filterRewrite}

// filters checks a rule's filters and reports whether one of them redirects.
func (c *checker) filters(path string, list []*gatewayapi.Filter, allowed []string) (redirects bool) {
	var seen []string
	for i, f := range list {
		at := fmt.Sprintf("%s.filters[%d]", path, i)
		if !slices.Contains(allowed, f.Type) {
			c.filterType(at, f.Type, allowed)
			continue
		}
		if f.Type != filterMirror && slices.Contains(seen, f.Type) {
			c.errorf(CodeSameName, at, "put both into one", "%s: a rule has one %s", at, f.Type)
		}
		seen = append(seen, f.Type)
		c.filter(at, f)
	}
	redirects = slices.Contains(seen, filterRedirect)
	if redirects && slices.Contains(seen, filterRewrite) {
		c.errorf(CodeAction, path+".filters", "keep one of them", "%s.filters has RequestRedirect and URLRewrite, want one", path)
	}
	return redirects
}

func (c *checker) filterType(at, name string, allowed []string) {
	switch {
	case name == "":
		c.required(at+".type", "")
	case slices.Contains(append([]string{"ExtensionRef", "CORS", "ExternalAuth"}, httpFilters...), name):
		c.unsupported(at+".type", name)
	default:
		hint := "types are " + strings.Join(allowed, ", ")
		if near := nearest(name, allowed); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		c.errorf(CodeValue, at+".type", hint, "%s.type: unknown filter %q", at, name)
	}
}

// filter checks that what a filter's type names is there, and nothing else.
func (c *checker) filter(at string, f *gatewayapi.Filter) {
	for _, part := range []struct {
		kind, field string
		set         bool
		check       func(string)
	}{
		{filterRequestHeaders, "requestHeaderModifier", f.RequestHeaderModifier != nil, func(at string) { c.headerFilter(at, f.RequestHeaderModifier, true) }},
		{filterResponseHeaders, "responseHeaderModifier", f.ResponseHeaderModifier != nil, func(at string) { c.headerFilter(at, f.ResponseHeaderModifier, false) }},
		{filterMirror, "requestMirror", f.RequestMirror != nil, func(at string) { c.mirrorFilter(at, f.RequestMirror) }},
		{filterRedirect, "requestRedirect", f.RequestRedirect != nil, func(at string) { c.redirectFilter(at, f.RequestRedirect) }},
		{filterRewrite, "urlRewrite", f.UrlRewrite != nil, func(at string) { c.rewriteFilter(at, f.UrlRewrite) }},
	} {
		switch {
		case part.kind == f.Type && !part.set:
			c.required(at, part.field)
		case part.kind == f.Type:
			part.check(at + "." + part.field)
		case part.set:
			c.errorf(CodeAction, at+"."+part.field, "correct the type, or write it as a filter of its own", "%s: a filter of type %s has no %s", at, f.Type, part.field)
		}
	}
}

func (c *checker) headerFilter(path string, f *gatewayapi.HeaderFilter, request bool) {
	for _, op := range []struct {
		name   string
		values []*gatewayapi.Header
	}{{"set", f.Set}, {"add", f.Add}} {
		seen := map[string]bool{}
		for i, h := range op.values {
			at := fmt.Sprintf("%s.%s[%d]", path, op.name, i)
			if !request || op.name != "set" || !isHostHeader(h.Name) {
				c.header(at+".name", h.Name)
			}
			c.headerValue(at+".value", h.Value)
			if seen[strings.ToLower(h.Name)] {
				c.errorf(CodeSameName, at+".name", "keep one of them", "%s: %q is given twice", at, h.Name)
			}
			seen[strings.ToLower(h.Name)] = true
		}
	}
	for i, name := range f.Remove {
		at := fmt.Sprintf("%s.remove[%d]", path, i)
		c.header(at, name)
		if strings.EqualFold(name, "host") {
			c.errorf(CodeHeader, at, "", "%s: the host header cannot be removed", at)
		}
	}
}

func (c *checker) mirrorFilter(path string, m *gatewayapi.Mirror) {
	if m.BackendRef == nil {
		c.required(path, "backendRef")
	} else {
		c.backendRef(path+".backendRef", m.BackendRef)
	}
	if m.Percent != nil && m.Fraction != nil {
		c.errorf(CodeValue, path, "keep one of them", "%s: only one of percent and fraction may be given", path)
	}
	c.percent(path+".percent", float64(m.GetPercent()))
	if f := m.Fraction; f != nil && (f.Numerator < 0 || f.Denominator != nil && *f.Denominator < 1 || f.Denominator == nil && f.Numerator > 100 || f.Denominator != nil && f.Numerator > *f.Denominator) {
		c.errorf(CodeValue, path+".fraction", "", "%s.fraction: want a numerator from 0 to the denominator", path)
	}
}

func (c *checker) redirectFilter(path string, r *gatewayapi.Redirect) {
	if r.Scheme == "" && r.Hostname == "" && r.Path == nil && r.Port == nil {
		c.required(path, "scheme, hostname, path or port")
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		c.errorf(CodeValue, path+".scheme", "", "%s.scheme: want http or https, got %q", path, r.Scheme)
	}
	if r.Hostname != "" {
		c.host(path+".hostname", r.Hostname)
	}
	if r.Port != nil {
		c.port(path+".port", uint32(r.GetPort()))
	}
	if r.StatusCode != nil && (*r.StatusCode < 0 || !slices.Contains(redirectCodes[1:], uint32(*r.StatusCode))) {
		c.errorf(CodeValue, path+".statusCode", "", "%s.statusCode: want 301, 302, 303, 307 or 308, got %d", path, *r.StatusCode)
	}
	c.pathModifier(path+".path", r.Path)
}

func (c *checker) rewriteFilter(path string, r *gatewayapi.Rewrite) {
	if r.Hostname == "" && r.Path == nil {
		c.required(path, "hostname or path")
	}
	if r.Hostname != "" {
		c.host(path+".hostname", r.Hostname)
	}
	c.pathModifier(path+".path", r.Path)
}

var pathModifiers = []string{"ReplaceFullPath", "ReplacePrefixMatch"}

func (c *checker) pathModifier(path string, m *gatewayapi.PathModifier) {
	if m == nil {
		return
	}
	full, prefix := m.ReplaceFullPath != nil, m.ReplacePrefixMatch != nil
	switch {
	case !slices.Contains(pathModifiers, m.Type):
		c.errorf(CodeValue, path+".type", "", "%s.type: want %s, got %q", path, strings.Join(pathModifiers, " or "), m.Type)
	case m.Type == pathModifiers[0] && (!full || prefix):
		c.required(path, "replaceFullPath, and nothing else,")
	case m.Type == pathModifiers[1] && (!prefix || full):
		c.required(path, "replacePrefixMatch, and nothing else,")
	}
	for name, value := range map[string]string{"replaceFullPath": m.GetReplaceFullPath(), "replacePrefixMatch": m.GetReplacePrefixMatch()} {
		if value != "" && !strings.HasPrefix(value, "/") {
			c.errorf(CodeValue, path+"."+name, "", "%s.%s: a path begins with /, got %q", path, name, value)
		}
	}
}

// prefixNeeded refuses to replace a prefix of a path that was matched otherwise.
func (c *checker) prefixNeeded(path string, r *gatewayapi.HTTPRouteRule) {
	for i, f := range r.Filters {
		if f.GetUrlRewrite().GetPath().GetType() != pathModifiers[1] && f.GetRequestRedirect().GetPath().GetType() != pathModifiers[1] {
			continue
		}
		for j, m := range r.Matches {
			if m.GetPath().GetType() != gatewayapi.PathMatch_PathPrefix {
				c.errorf(CodeAction, fmt.Sprintf("%s.filters[%d]", path, i), "give that match a rule of its own",
					"%s.filters[%d] replaces a prefix, but %s.matches[%d] has none", path, i, path, j)
			}
		}
	}
}

func (c *checker) backends(path string, list []*gatewayapi.BackendRef, filters []string, redirects bool) {
	if redirects && len(list) > 0 {
		c.errorf(CodeAction, path+".backendRefs", "remove them, or the redirect", "%s.backendRefs has no effect on a redirect", path)
	}
	total := 0
	for i, b := range list {
		at := fmt.Sprintf("%s.backendRefs[%d]", path, i)
		c.backendRef(at, b)
		switch {
		case b.Weight == nil:
			total++
		case *b.Weight < 0 || *b.Weight > 1_000_000:
			c.errorf(CodeWeights, at+".weight", "", "%s.weight: want 0 to 1000000, got %d", at, *b.Weight)
			total++ // one thing at a time
		default:
			total += int(*b.Weight)
		}
		c.filters(at, b.Filters, filters)
	}
	switch {
	case redirects:
	case len(list) == 0:
		c.warnf(CodeAction, path, "add backendRefs", "%s has no backendRefs: its requests get 500", path)
	case total == 0:
		c.warnf(CodeWeights, path+".backendRefs", "give at least one of them a weight", "%s.backendRefs: all weights are 0, so its requests get 500", path)
	}
}

func (c *checker) backendRef(path string, b *gatewayapi.BackendRef) {
	group, kind := b.GetGroup(), refService
	if b.Kind != nil {
		kind = *b.Kind
	}
	switch {
	case kind == refService && (group == "" || group == "core"):
		c.refName(path, b.Name, b.Namespace, kind)
	case kind == refHostname && group == groupNetworking:
		c.host(path+".name", b.Name)
	default:
		c.errorf(CodeUnsupported, path, "name a Service, or a host of a ServiceEntry as {group: networking.istio.io, kind: Hostname}",
			"%s: a %s of group %q as backend is not supported yet", path, kind, group)
	}
	if b.Port == nil {
		c.required(path+".port", "")
	} else {
		c.port(path+".port", uint32(b.GetPort()))
	}
}

func (c *checker) routeTimeouts(path string, r *gatewayapi.HTTPRouteRule) {
	t := r.GetTimeouts()
	c.timeout(path+".timeouts.request", t.GetRequest())
	c.timeout(path+".timeouts.backendRequest", t.GetBackendRequest())
	if all := t.GetRequest().AsDuration(); all > 0 && t.GetBackendRequest().AsDuration() > all {
		c.errorf(CodeDuration, path+".timeouts.backendRequest", "", "%s.timeouts.backendRequest is longer than request", path)
	}
	if retry := r.GetRetry(); retry != nil {
		c.duration(path+".retry.backoff", retry.Backoff)
		if retry.GetAttempts() < 0 {
			c.errorf(CodeValue, path+".retry.attempts", "", "%s.retry.attempts: want 0 or more, got %d", path, retry.GetAttempts())
		}
		for i, code := range retry.Codes {
			if code < 400 || code > 599 {
				at := fmt.Sprintf("%s.retry.codes[%d]", path, i)
				c.errorf(CodeValue, at, "", "%s: want 400 to 599, got %d", at, code)
			}
		}
	}
}

// deadRules finds matches that the same object has before.
func (c *checker) deadRules() {
	if HasErrors(c.problems) {
		return
	}
	seen := map[string]string{}
	for _, r := range c.object.Routes() {
		canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.HTTP.Match[0])
		if err != nil {
			continue
		}
		key := string(canonical)
		if first, ok := seen[key]; ok {
			c.neverReached(r.Path, first)
			continue
		}
		seen[key] = r.Path
	}
}
