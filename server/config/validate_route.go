package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

func (c *checker) virtualService(vs *networking.VirtualService) {
	c.hosts("spec.hosts", vs.Hosts)
	c.exportTo(vs.ExportTo)
	c.gatewayNames("spec.gateways", vs.Gateways)
	if len(vs.Http) == 0 && len(vs.Tcp) == 0 && len(vs.Tls) == 0 {
		c.required("spec", "http, tls or tcp")
	}
	for i, r := range vs.Http {
		path := fmt.Sprintf("spec.http[%d]", i)
		c.httpRoute(path, r)
	}
	c.deadRoutes(vs.Http)
	for i, r := range vs.Tcp {
		c.tcpRoute(fmt.Sprintf("spec.tcp[%d]", i), r)
	}
	for i, r := range vs.Tls {
		c.tlsRoute(fmt.Sprintf("spec.tls[%d]", i), r, vs.Hosts)
	}
}

func (c *checker) httpRoute(path string, r *networking.HTTPRoute) {
	for i, m := range r.Match {
		c.httpMatch(fmt.Sprintf("%s.match[%d]", path, i), m)
	}
	var actions []string
	for _, a := range []struct {
		name string
		set  bool
	}{{"route", len(r.Route) > 0}, {"redirect", r.Redirect != nil}, {"directResponse", r.DirectResponse != nil}} {
		if a.set {
			actions = append(actions, a.name)
		}
	}
	switch {
	case len(actions) == 0:
		c.errorf(CodeAction, path, "add a route with a destination", "%s has no route, redirect or directResponse", path)
	case len(actions) > 1:
		c.errorf(CodeAction, path, "keep one of them", "%s has %s, want one", path, strings.Join(actions, " and "))
	}
	if len(r.Route) == 0 {
		c.forwardOnly(path, r)
	}
	c.httpDestinations(path, r.Route)
	if r.Redirect != nil {
		c.redirect(path+".redirect", r.Redirect)
	}
	if r.DirectResponse != nil {
		c.directResponse(path+".directResponse", r.DirectResponse)
	}
	if r.Rewrite != nil {
		c.rewrite(path+".rewrite", r.Rewrite)
	}
	c.timeout(path+".timeout", r.Timeout)
	if r.Retries != nil {
		c.retries(path+".retries", r.Retries)
	}
	c.mirrors(path, r)
	if r.Fault != nil {
		c.fault(path+".fault", r.Fault)
		if r.Redirect != nil {
			c.errorf(CodeAction, path+".fault", "remove it", "%s.fault has no effect on a redirect", path)
		}
	}
	if r.CorsPolicy != nil {
		c.cors(path+".corsPolicy", r.CorsPolicy)
	}
	c.headers(path+".headers", r.Headers)
}

// forwardOnly refuses what only a forwarded request has.
func (c *checker) forwardOnly(path string, r *networking.HTTPRoute) {
	for _, f := range []struct {
		name string
		set  bool
	}{{"rewrite", r.Rewrite != nil}, {"timeout", r.Timeout != nil}, {"retries", r.Retries != nil}, {"mirror", r.Mirror != nil}, {"mirrors", len(r.Mirrors) > 0}} {
		if f.set {
			at := path + "." + f.name
			c.errorf(CodeAction, at, "remove it", "%s has no effect without a route", at)
		}
	}
}

func (c *checker) httpMatch(path string, m *networking.HTTPMatchRequest) {
	for _, s := range []struct {
		name  string
		match *networking.StringMatch
	}{{"uri", m.Uri}, {"method", m.Method}, {"authority", m.Authority}} {
		if s.match != nil && s.match.MatchType == nil {
			c.required(path+"."+s.name, "exact, prefix or regex")
		}
		c.stringMatch(path+"."+s.name, s.match)
	}
	for _, s := range []struct {
		name  string
		match map[string]*networking.StringMatch
	}{{"headers", m.Headers}, {"withoutHeaders", m.WithoutHeaders}} {
		for _, name := range sortedKeys(s.match) {
			at := path + "." + s.name + "[" + name + "]"
			c.header(at, name)
			c.stringMatch(at, s.match[name])
		}
	}
	for _, name := range sortedKeys(m.QueryParams) {
		at := path + ".queryParams[" + name + "]"
		if name == "" {
			c.errorf(CodeValue, at, "", "%s: a query parameter has no name", path)
		}
		c.stringMatch(at, m.QueryParams[name])
	}
	if m.Port != 0 {
		c.port(path+".port", m.Port)
	}
	c.gatewayNames(path+".gateways", m.Gateways)
	c.labels(path+".sourceLabels", m.SourceLabels)
}

func (c *checker) stringMatch(path string, m *networking.StringMatch) {
	if v, ok := m.GetMatchType().(*v1alpha3.StringMatch_Regex); ok {
		c.regex(path+".regex", v.Regex)
	}
}

func (c *checker) httpDestinations(path string, routes []*networking.HTTPRouteDestination) {
	weights := make([]int32, 0, len(routes))
	for i, d := range routes {
		at := fmt.Sprintf("%s.route[%d]", path, i)
		c.destination(at+".destination", d.Destination)
		c.headers(at+".headers", d.Headers)
		for _, name := range sortedKeys(d.GetHeaders().GetRequest().GetSet()) {
			if len(routes) > 1 && isHostHeader(name) {
				c.unsupported(at+".headers.request.set["+name+"]", "a host for one of several destinations")
			}
		}
		weights = append(weights, d.Weight)
	}
	c.weights(path, weights)
}

func (c *checker) destination(path string, d *networking.Destination) {
	if d == nil {
		c.required(path, "")
		return
	}
	c.pattern(path+".host", d.Host)
	if d.Subset != "" {
		c.subsetName(path+".subset", d.Subset)
	}
	if d.Port != nil {
		c.port(path+".port", d.Port.Number)
	}
}

func (c *checker) rewrite(path string, rw *networking.HTTPRewrite) {
	switch {
	case rw.Uri == "" && rw.Authority == "" && rw.UriRegexRewrite == nil:
		c.required(path, "uri, uriRegexRewrite or authority")
	case rw.Uri != "" && rw.UriRegexRewrite != nil:
		c.errorf(CodeValue, path, "keep one of them", "%s: only one of uri and uriRegexRewrite may be given", path)
	case rw.UriRegexRewrite != nil && (rw.UriRegexRewrite.Match == "" || rw.UriRegexRewrite.Rewrite == ""):
		c.required(path+".uriRegexRewrite", "match and rewrite")
	case rw.UriRegexRewrite != nil:
		c.regex(path+".uriRegexRewrite.match", rw.UriRegexRewrite.Match)
	}
}

var redirectCodes = []uint32{0, 301, 302, 303, 307, 308}

func (c *checker) redirect(path string, r *networking.HTTPRedirect) {
	if r.Uri == "" && r.PrefixRewrite == "" && r.Authority == "" && r.Scheme == "" && r.RedirectPort == nil {
		c.required(path, "uri, authority, scheme or port")
	}
	if r.Uri != "" && r.PrefixRewrite != "" {
		c.errorf(CodeValue, path, "keep one of them", "%s: only one of uri and prefixRewrite may be given", path)
	}
	if !slices.Contains(redirectCodes, r.RedirectCode) {
		c.errorf(CodeValue, path+".redirectCode", "", "%s.redirectCode: want 301, 302, 303, 307 or 308, got %d", path, r.RedirectCode)
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		c.errorf(CodeValue, path+".scheme", "", "%s.scheme: want http or https, got %q", path, r.Scheme)
	}
	if p, ok := r.RedirectPort.(*v1alpha3.HTTPRedirect_Port); ok {
		c.port(path+".port", p.Port)
	}
}

func (c *checker) directResponse(path string, r *networking.HTTPDirectResponse) {
	if r.Status < 200 || r.Status > 599 {
		c.errorf(CodeValue, path+".status", "", "%s.status: want 200 to 599, got %d", path, r.Status)
	}
	// Envoy's own limit, which routes would have to raise.
	if size := max(len(r.GetBody().GetString_()), len(r.GetBody().GetBytes())); size > 4096 {
		c.errorf(CodeUnsupported, path+".body", "serve it from a service", "%s.body has %d bytes; more than 4096 are not supported yet", path, size)
	}
}

// retryConditions are Envoy's, as its retry_on header documentation lists them.
var retryConditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
	"refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure",
	"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

func (c *checker) retries(path string, r *networking.HTTPRetry) {
	if r.Attempts < 0 {
		c.errorf(CodeValue, path+".attempts", "", "%s.attempts: want 0 or more, got %d", path, r.Attempts)
	}
	if r.Attempts == 0 && (r.PerTryTimeout != nil || r.RetryOn != "" || r.Backoff != nil) {
		c.errorf(CodeAction, path, "give attempts, or remove the rest", "%s: attempts is 0, so the other fields have no effect", path)
	}
	c.duration(path+".perTryTimeout", r.PerTryTimeout)
	c.duration(path+".backoff", r.Backoff)
	for condition := range strings.SplitSeq(r.RetryOn, ",") {
		condition = strings.TrimSpace(condition)
		if condition == "" || slices.Contains(retryConditions, condition) {
			continue
		}
		if code, err := strconv.Atoi(condition); err == nil && code >= 100 && code <= 599 {
			continue
		}
		hint := "conditions are " + strings.Join(retryConditions, ", ") + " and status codes"
		if near := nearest(condition, retryConditions); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		c.errorf(CodeValue, path+".retryOn", hint, "%s.retryOn: unknown condition %q", path, condition)
	}
}

// isHostHeader reports whether setting a header rewrites the host.
func isHostHeader(name string) bool {
	return strings.EqualFold(name, ":authority") || strings.EqualFold(name, "host")
}

func (c *checker) headers(path string, h *networking.Headers) {
	for _, side := range []struct {
		name string
		ops  *v1alpha3.Headers_HeaderOperations
	}{{"request", h.GetRequest()}, {"response", h.GetResponse()}} {
		for _, op := range []struct {
			name   string
			values map[string]string
		}{{"set", side.ops.GetSet()}, {"add", side.ops.GetAdd()}} {
			for _, name := range sortedKeys(op.values) {
				at := fmt.Sprintf("%s.%s.%s[%s]", path, side.name, op.name, name)
				// Setting the host is how Istio users rewrite it.
				if side.name != "request" || op.name != "set" || !isHostHeader(name) {
					c.header(at, name)
				}
				c.headerValue(at, op.values[name])
			}
		}
		for i, name := range side.ops.GetRemove() {
			at := fmt.Sprintf("%s.%s.remove[%d]", path, side.name, i)
			c.header(at, name)
			if strings.EqualFold(name, "host") {
				c.errorf(CodeHeader, at, "", "%s: the host header cannot be removed", at)
			}
		}
	}
}

func (c *checker) tcpRoute(path string, r *networking.TCPRoute) {
	for i, m := range r.Match {
		at := fmt.Sprintf("%s.match[%d]", path, i)
		if m.Port != 0 {
			c.port(at+".port", m.Port)
		}
		c.gatewayNames(at+".gateways", m.Gateways)
		c.labels(at+".sourceLabels", m.SourceLabels)
	}
	c.l4Destinations(path, r.Route)
}

func (c *checker) tlsRoute(path string, r *networking.TLSRoute, hosts []string) {
	if len(r.Match) == 0 {
		c.required(path+".match", "sniHosts")
	}
	for i, m := range r.Match {
		at := fmt.Sprintf("%s.match[%d]", path, i)
		if len(m.SniHosts) == 0 {
			c.required(at+".sniHosts", "")
		}
		for j, sni := range m.SniHosts {
			where := fmt.Sprintf("%s.sniHosts[%d]", at, j)
			c.pattern(where, sni)
			if !slices.ContainsFunc(hosts, func(h string) bool { return h == sni || isWild(h) && strings.HasSuffix(sni, h[1:]) }) {
				c.errorf(CodeHost, where, "add it to spec.hosts", "%s: %q is none of spec.hosts", where, sni)
			}
		}
		if m.Port != 0 {
			c.port(at+".port", m.Port)
		}
		c.gatewayNames(at+".gateways", m.Gateways)
		c.labels(at+".sourceLabels", m.SourceLabels)
	}
	c.l4Destinations(path, r.Route)
}

// l4Destinations checks where bytes go.
func (c *checker) l4Destinations(path string, routes []*networking.RouteDestination) {
	if len(routes) == 0 {
		c.errorf(CodeAction, path, "add a route with a destination", "%s has no route", path)
	}
	weights := make([]int32, 0, len(routes))
	for i, d := range routes {
		c.destination(fmt.Sprintf("%s.route[%d].destination", path, i), d.Destination)
		weights = append(weights, d.Weight)
	}
	c.weights(path, weights)
}

// weights checks the shares of several destinations.
func (c *checker) weights(path string, weights []int32) {
	total := int64(0)
	for i, w := range weights {
		if w < 0 {
			at := fmt.Sprintf("%s.route[%d]", path, i)
			c.errorf(CodeWeights, at+".weight", "", "%s: a weight is not negative, got %d", at, w)
		}
		total += int64(w)
	}
	// One destination takes everything, whatever its weight.
	if len(weights) > 1 && total <= 0 {
		c.errorf(CodeWeights, path+".route", "give at least one destination a weight", "%s.route: the weights add to %d", path, total)
	}
	if total > 1<<32-1 {
		c.errorf(CodeWeights, path+".route", "", "%s.route: the weights add to %d, more than 4294967295", path, total)
	}
}
