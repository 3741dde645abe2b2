package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/config/gatewayapi"
)

// Rule is where an http route of a VirtualService is from that stands for
// objects of other APIs.
type Rule struct {
	Object *Object
	Path   string // "spec.rules[0].matches[1]"
	Name   string
}

// Route is one match of one rule of an HTTPRoute or GRPCRoute, as a
// VirtualService has it, but that a prefix of a path is one of whole segments.
type Route struct {
	Rule
	HTTP *networking.HTTPRoute
	rank [5]int // what the Gateway API compares, in its order
}

// Parent is a service that an HTTPRoute or GRPCRoute is for.
type Parent struct {
	Path      string // "spec.parentRefs[0]"
	Kind      string // Service | ServiceEntry
	Namespace string
	Name      string
	Port      uint32 // 0: all, or that of Section
	Section   string // name of a port
}

// The kinds of services that routes refer to.
const (
	refService      = "Service"
	refServiceEntry = "ServiceEntry"
	refHostname     = "Hostname"
)

// Parents lists the services that an HTTPRoute or GRPCRoute is for.
func (o *Object) Parents() []Parent {
	var refs []*gatewayapi.ParentReference
	switch spec := o.Spec.(type) {
	case *gatewayapi.HTTPRoute:
		refs = spec.ParentRefs
	case *gatewayapi.GRPCRoute:
		refs = spec.ParentRefs
	}
	parents := make([]Parent, 0, len(refs))
	for i, r := range refs {
		parents = append(parents, Parent{
			Path: fmt.Sprintf("spec.parentRefs[%d]", i), Kind: r.GetKind(), Namespace: cmp.Or(r.Namespace, o.Namespace),
			Name: r.Name, Port: uint32(r.GetPort()), Section: r.SectionName,
		})
	}
	return parents
}

// Backend is where an HTTPRoute or GRPCRoute sends requests, or copies of them.
type Backend struct {
	Path        string // "spec.rules[0].backendRefs[1]"
	Destination *networking.Destination
}

// Backends lists where an HTTPRoute or GRPCRoute sends requests.
func (o *Object) Backends() []Backend {
	var out []Backend
	rule := func(i int, filters []*gatewayapi.Filter, refs []*gatewayapi.BackendRef) {
		for j, b := range refs {
			out = append(out, Backend{fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), o.backend(b)})
		}
		for j, f := range filters {
			if m := f.GetRequestMirror(); m != nil {
				out = append(out, Backend{fmt.Sprintf("spec.rules[%d].filters[%d].requestMirror.backendRef", i, j), o.backend(m.BackendRef)})
			}
		}
	}
	switch spec := o.Spec.(type) {
	case *gatewayapi.HTTPRoute:
		for i, r := range spec.Rules {
			rule(i, r.Filters, r.BackendRefs)
		}
	case *gatewayapi.GRPCRoute:
		for i, r := range spec.Rules {
			rule(i, r.Filters, r.BackendRefs)
		}
	}
	return out
}

// ServiceHost is the host of a Service of a cluster.
func ServiceHost(name, namespace string) string {
	return name + "." + namespace + ".svc.cluster.local"
}

// Routes gives what an HTTPRoute or GRPCRoute says, one entry for each match of
// each rule; nothing for other kinds.
func (o *Object) Routes() []Route {
	switch spec := o.Spec.(type) {
	case *gatewayapi.HTTPRoute:
		return o.httpRoutes(spec)
	case *gatewayapi.GRPCRoute:
		return o.grpcRoutes(spec)
	}
	return nil
}

// SortRoutes puts routes into the order in which they are tried, which is the
// Gateway API's: the most specific match first; of two that are alike the older
// object's, then the first by namespace and name, then the first in its object.
func SortRoutes(routes []Route) {
	slices.SortStableFunc(routes, func(a, b Route) int {
		for i := range a.rank {
			if d := cmp.Compare(b.rank[i], a.rank[i]); d != 0 {
				return d
			}
		}
		return cmp.Or(
			a.Object.Created.Compare(b.Object.Created),
			strings.Compare(a.Object.Namespace+"/"+a.Object.Name, b.Object.Namespace+"/"+b.Object.Name),
		)
	})
}

func (o *Object) httpRoutes(spec *gatewayapi.HTTPRoute) []Route {
	var out []Route
	for i, rule := range spec.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		matches := rule.Matches
		if len(matches) == 0 {
			matches = []*gatewayapi.HTTPRouteMatch{{}}
		}
		for j, m := range matches {
			r := Route{Rule: Rule{Object: o, Path: path, Name: cmp.Or(rule.Name, fmt.Sprintf("%s[%d]", o.Name, i))}}
			if len(rule.Matches) > 0 {
				r.Path += fmt.Sprintf(".matches[%d]", j)
			}
			match := httpRouteMatch(m)
			r.HTTP = o.action(rule.Filters, rule.BackendRefs, prefixOf(m.GetPath()))
			r.HTTP.Match = []*networking.HTTPMatchRequest{match}
			if r.HTTP.Redirect == nil && r.HTTP.DirectResponse == nil {
				limits(r.HTTP, rule)
			}
			r.rank = httpRank(m)
			out = append(out, r)
		}
	}
	return out
}

// httpRank is the order of the Gateway API, in which a regular expression,
// which it leaves open, stands between an exact path and a prefix.
func httpRank(m *gatewayapi.HTTPRouteMatch) [5]int {
	kind, length := 0, len(prefixOf(m.GetPath()))
	switch m.GetPath().GetType() {
	case gatewayapi.PathMatch_Exact:
		kind, length = 2, 0
	case gatewayapi.PathMatch_RegularExpression:
		kind, length = 1, len(m.GetPath().GetValue())
	}
	method := 0
	if m.Method != "" {
		method = 1
	}
	return [5]int{kind, length, method, len(m.Headers), len(m.QueryParams)}
}

// prefixOf is the prefix that a match has, "/" when it has none: without a slash
// at its end, because /a and /a/ are the same prefix.
func prefixOf(m *gatewayapi.PathMatch) string {
	if m.GetType() != gatewayapi.PathMatch_PathPrefix {
		return ""
	}
	return "/" + strings.Trim(m.GetValue(), "/")
}

func httpRouteMatch(m *gatewayapi.HTTPRouteMatch) *networking.HTTPMatchRequest {
	out := &networking.HTTPMatchRequest{Headers: valueMatches(m.Headers, true), QueryParams: valueMatches(m.QueryParams, false)}
	switch value := m.GetPath().GetValue(); m.GetPath().GetType() {
	case gatewayapi.PathMatch_Exact:
		out.Uri = exact(cmp.Or(value, "/"))
	case gatewayapi.PathMatch_RegularExpression:
		out.Uri = regex(value)
	default:
		out.Uri = &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Prefix{Prefix: prefixOf(m.GetPath())}}
	}
	if m.Method != "" {
		out.Method = exact(m.Method)
	}
	return out
}

func exact(value string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Exact{Exact: value}}
}

func regex(value string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Regex{Regex: value}}
}

func valueMatches(list []*gatewayapi.ValueMatch, fold bool) map[string]*networking.StringMatch {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]*networking.StringMatch, len(list))
	for _, m := range list {
		name := m.Name
		if fold {
			name = strings.ToLower(name)
		}
		out[name] = exact(m.Value)
		if m.Type == gatewayapi.ValueMatch_RegularExpression {
			out[name] = regex(m.Value)
		}
	}
	return out
}

func (o *Object) grpcRoutes(spec *gatewayapi.GRPCRoute) []Route {
	var out []Route
	for i, rule := range spec.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		matches := rule.Matches
		if len(matches) == 0 {
			matches = []*gatewayapi.GRPCRouteMatch{{}}
		}
		for j, m := range matches {
			r := Route{Rule: Rule{Object: o, Path: path, Name: cmp.Or(rule.Name, fmt.Sprintf("%s[%d]", o.Name, i))}}
			if len(rule.Matches) > 0 {
				r.Path += fmt.Sprintf(".matches[%d]", j)
			}
			r.HTTP = o.action(rule.Filters, rule.BackendRefs, "")
			r.HTTP.Match = []*networking.HTTPMatchRequest{{Uri: methodPath(m.GetMethod()), Headers: valueMatches(m.Headers, true)}}
			r.rank = [5]int{len(m.GetMethod().GetService()), len(m.GetMethod().GetMethod()), len(m.Headers)}
			out = append(out, r)
		}
	}
	return out
}

// methodPath matches the path that a gRPC method is: /package.Service/Method.
func methodPath(m *gatewayapi.MethodMatch) *networking.StringMatch {
	service, method := m.GetService(), m.GetMethod()
	if service == "" && method == "" {
		return &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Prefix{Prefix: "/"}}
	}
	if m.GetType() == gatewayapi.MethodMatch_RegularExpression {
		return regex("/(?:" + cmp.Or(service, "[^/]+") + ")/(?:" + cmp.Or(method, "[^/]+") + ")")
	}
	switch {
	case method == "":
		return &networking.StringMatch{MatchType: &v1alpha3.StringMatch_Prefix{Prefix: "/" + service}}
	case service == "":
		return regex("/[^/]+/" + regexp.QuoteMeta(method))
	}
	return exact("/" + service + "/" + method)
}

// The types of filters.
const (
	filterRequestHeaders  = "RequestHeaderModifier"
	filterResponseHeaders = "ResponseHeaderModifier"
	filterMirror          = "RequestMirror"
	filterRedirect        = "RequestRedirect"
	filterRewrite         = "URLRewrite"
)

// action gives what becomes of the requests of a rule. prefix is what a match on
// a prefix took of the path.
func (o *Object) action(filters []*gatewayapi.Filter, backends []*gatewayapi.BackendRef, prefix string) *networking.HTTPRoute {
	r := &networking.HTTPRoute{Headers: headerFilters(filters)}
	for _, f := range filters {
		switch f.Type {
		case filterMirror:
			r.Mirrors = append(r.Mirrors, &networking.HTTPMirrorPolicy{
				Destination: o.backend(f.GetRequestMirror().GetBackendRef()), Percentage: mirrorShare(f.GetRequestMirror()),
			})
		case filterRedirect:
			r.Redirect = redirectFilter(f.GetRequestRedirect(), prefix)
		case filterRewrite:
			r.Rewrite = rewriteFilter(f.GetUrlRewrite(), prefix)
		}
	}
	if r.Redirect != nil {
		r.Mirrors = nil
		return r
	}
	total := int32(0)
	for _, b := range backends {
		weight := int32(1)
		if b.Weight != nil {
			weight = *b.Weight
		}
		total += weight
		r.Route = append(r.Route, &networking.HTTPRouteDestination{Destination: o.backend(b), Weight: weight, Headers: headerFilters(b.Filters)})
	}
	if total == 0 {
		// As the Gateway API says of a rule that leads nowhere.
		return &networking.HTTPRoute{DirectResponse: &networking.HTTPDirectResponse{Status: 500}}
	}
	return r
}

func (o *Object) backend(b *gatewayapi.BackendRef) *networking.Destination {
	d := &networking.Destination{Host: b.GetName()}
	if b.GetKind() != refHostname {
		d.Host = ServiceHost(b.GetName(), cmp.Or(b.GetNamespace(), o.Namespace))
	}
	if b.GetPort() != 0 {
		d.Port = &networking.PortSelector{Number: uint32(b.GetPort())}
	}
	return d
}

func mirrorShare(m *gatewayapi.Mirror) *networking.Percent {
	switch {
	case m.GetPercent() != 0 || m.Percent != nil:
		return &networking.Percent{Value: float64(m.GetPercent())}
	case m.GetFraction() != nil:
		of := int32(100)
		if m.Fraction.Denominator != nil {
			of = *m.Fraction.Denominator
		}
		return &networking.Percent{Value: 100 * float64(m.Fraction.Numerator) / float64(max(of, 1))}
	}
	return nil
}

func headerFilters(filters []*gatewayapi.Filter) *networking.Headers {
	var out *networking.Headers
	for _, f := range filters {
		if f.Type != filterRequestHeaders && f.Type != filterResponseHeaders {
			continue
		}
		if out == nil {
			out = &networking.Headers{}
		}
		if f.Type == filterRequestHeaders {
			out.Request = headerOperations(f.RequestHeaderModifier)
		} else {
			out.Response = headerOperations(f.ResponseHeaderModifier)
		}
	}
	return out
}

func headerOperations(f *gatewayapi.HeaderFilter) *v1alpha3.Headers_HeaderOperations {
	out := &v1alpha3.Headers_HeaderOperations{Remove: f.GetRemove()}
	values := func(list []*gatewayapi.Header) map[string]string {
		m := make(map[string]string, len(list))
		for _, h := range list {
			m[h.Name] = h.Value
		}
		return m
	}
	out.Set, out.Add = values(f.GetSet()), values(f.GetAdd())
	return out
}

func redirectFilter(f *gatewayapi.Redirect, prefix string) *networking.HTTPRedirect {
	r := &networking.HTTPRedirect{Authority: f.GetHostname(), Scheme: f.GetScheme(), RedirectCode: 302}
	if f.StatusCode != nil {
		r.RedirectCode = uint32(f.GetStatusCode())
	}
	switch p := f.GetPath(); p.GetType() {
	case "ReplaceFullPath":
		r.Uri = cmp.Or(p.GetReplaceFullPath(), "/")
	case "ReplacePrefixMatch":
		r.PrefixRewrite = replacement(prefix, p.GetReplacePrefixMatch())
	}
	switch {
	case f.Port != nil:
		r.RedirectPort = &v1alpha3.HTTPRedirect_Port{Port: uint32(f.GetPort())}
	case f.GetScheme() == "" && f.GetHostname() != "":
		r.RedirectPort = &v1alpha3.HTTPRedirect_DerivePort{DerivePort: v1alpha3.HTTPRedirect_FROM_REQUEST_PORT}
	}
	return r
}

// replacement is what stands for a prefix of whole segments. That of all paths,
// "/", takes the first slash with it.
func replacement(prefix, by string) string {
	by = "/" + strings.Trim(by, "/")
	if prefix == "/" && by != "/" {
		by += "/"
	}
	return by
}

func rewriteFilter(f *gatewayapi.Rewrite, prefix string) *networking.HTTPRewrite {
	r := &networking.HTTPRewrite{Authority: f.GetHostname()}
	switch p := f.GetPath(); p.GetType() {
	case "ReplaceFullPath":
		full := cmp.Or(p.GetReplaceFullPath(), "/")
		r.UriRegexRewrite = &networking.RegexRewrite{Match: "^/.*$", Rewrite: strings.ReplaceAll(full, `\`, `\\`)}
	case "ReplacePrefixMatch":
		if by := replacement(prefix, p.GetReplacePrefixMatch()); by != "/" {
			r.Uri = by
		} else if prefix != "/" {
			// Put in the prefix's place, the slash would stand beside the next one.
			r.UriRegexRewrite = &networking.RegexRewrite{Match: "^" + regexp.QuoteMeta(prefix) + "/*", Rewrite: "/"}
		}
	}
	if r.Uri == "" && r.UriRegexRewrite == nil && r.Authority == "" {
		return nil
	}
	return r
}

// connectionErrors are what a rule's retry adds to its status codes: that no
// answer came.
const connectionErrors = "connect-failure,refused-stream,unavailable,cancelled"

// limits sets timeouts and retries of a rule.
func limits(r *networking.HTTPRoute, rule *gatewayapi.HTTPRouteRule) {
	if d := rule.GetTimeouts().GetRequest(); d.AsDuration() > 0 {
		r.Timeout = d
	}
	try := rule.GetTimeouts().GetBackendRequest()
	if try.AsDuration() == 0 {
		try = nil
	}
	if retry := rule.GetRetry(); retry != nil {
		r.Retries = &networking.HTTPRetry{Attempts: 2, Backoff: retry.Backoff, RetryOn: connectionErrors}
		if retry.Attempts != nil {
			r.Retries.Attempts = *retry.Attempts
		}
		for _, code := range retry.Codes {
			r.Retries.RetryOn += fmt.Sprintf(",%d", code)
		}
	} else if try != nil {
		r.Retries = &networking.HTTPRetry{Attempts: 2} // what a route has that says nothing
	}
	if r.Retries != nil && r.Retries.Attempts > 0 {
		r.Retries.PerTryTimeout = try
	} else if try != nil { // the only try
		r.Timeout = shorter(r.Timeout, try)
	}
}

func shorter(a, b *durationpb.Duration) *durationpb.Duration {
	if a != nil && a.AsDuration() < b.AsDuration() {
		return a
	}
	return b
}
