package xds

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previousv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

func routeMatch(m *networking.HTTPMatchRequest) *routev3.RouteMatch {
	out := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	switch uri := m.GetUri().GetMatchType().(type) {
	case *v1alpha3.StringMatch_Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: uri.Exact}
	case *v1alpha3.StringMatch_Prefix:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: uri.Prefix}
	case *v1alpha3.StringMatch_Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: uri.Regex}}
	}
	if m.IgnoreUriCase {
		out.CaseSensitive = wrapperspb.Bool(false)
	}
	if m.Method != nil {
		out.Headers = append(out.Headers, headerMatch(":method", m.Method))
	}
	if m.Authority != nil {
		out.Headers = append(out.Headers, headerMatch(":authority", m.Authority))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		out.Headers = append(out.Headers, headerMatch(strings.ToLower(name), m.Headers[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(m.WithoutHeaders)) {
		h := headerMatch(strings.ToLower(name), m.WithoutHeaders[name])
		h.InvertMatch = true
		// Envoy lets a missing header match nothing, not even in reverse.
		h.TreatMissingHeaderAsEmpty = h.GetStringMatch() != nil
		out.Headers = append(out.Headers, h)
	}
	for _, name := range slices.Sorted(maps.Keys(m.QueryParams)) {
		q := &routev3.QueryParameterMatcher{Name: name}
		if s := stringMatcher(m.QueryParams[name]); s != nil {
			q.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: s}
		} else {
			q.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		}
		out.QueryParameters = append(out.QueryParameters, q)
	}
	return out
}

// wholeSegments makes of a prefix of the path one that ends where a segment does.
func wholeSegments(m *routev3.RouteMatch) {
	if p, ok := m.PathSpecifier.(*routev3.RouteMatch_Prefix); ok && p.Prefix != "/" {
		m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: p.Prefix}
	}
}

func headerMatch(name string, m *networking.StringMatch) *routev3.HeaderMatcher {
	h := &routev3.HeaderMatcher{Name: name}
	if s := stringMatcher(m); s != nil {
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: s}
	} else {
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
	}
	return h
}

// stringMatcher gives nil for a match on nothing but presence.
func stringMatcher(m *networking.StringMatch) *matcherv3.StringMatcher {
	switch v := m.GetMatchType().(type) {
	case *v1alpha3.StringMatch_Exact:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: v.Exact}}
	case *v1alpha3.StringMatch_Prefix:
		if v.Prefix != "" {
			return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: v.Prefix}}
		}
	case *v1alpha3.StringMatch_Regex:
		if v.Regex != "" && v.Regex != "*" {
			return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: v.Regex}}}
		}
	}
	return nil
}

func regexRewrite(r *networking.RegexRewrite) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: r.Match}, Substitution: r.Rewrite}
}

// Istio's retry policy where nothing else is said.
const (
	defaultRetries     = 2
	defaultRetryOn     = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
	retryHostAttempts  = 5
	defaultBackoffTops = 10 // times the base interval
)

// retryPolicy compiles retries; nil means Istio's default policy. attempts: 0
// turns retries off.
func retryPolicy(r *networking.HTTPRetry) *routev3.RetryPolicy {
	if r != nil && r.Attempts == 0 {
		return nil
	}
	p := &routev3.RetryPolicy{
		RetryOn:    defaultRetryOn,
		NumRetries: wrapperspb.UInt32(defaultRetries),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: pack(&previousv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: retryHostAttempts,
	}
	if r == nil {
		return p
	}
	p.NumRetries = wrapperspb.UInt32(uint32(r.Attempts))
	p.PerTryTimeout = r.PerTryTimeout
	if r.RetryOn != "" {
		p.RetryOn, p.RetriableStatusCodes = retryOn(r.RetryOn)
	}
	if r.Backoff != nil {
		base := r.Backoff.AsDuration()
		p.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(base), MaxInterval: durationpb.New(min(base, 24*time.Hour) * defaultBackoffTops),
		}
	}
	return p
}

// retryOn takes status codes out of a list of conditions: Istio lets them stand
// there, Envoy wants them apart.
func retryOn(conditions string) (string, []uint32) {
	var names []string
	var codes []uint32
	for c := range strings.SplitSeq(conditions, ",") {
		c = strings.TrimSpace(c)
		if code, err := strconv.ParseUint(c, 10, 16); err == nil {
			codes = append(codes, uint32(code))
		} else if c != "" {
			names = append(names, c)
		}
	}
	const byCode = "retriable-status-codes"
	if len(codes) > 0 && !slices.Contains(names, byCode) {
		names = append(names, byCode)
	}
	return strings.Join(names, ","), codes
}

func redirect(r *networking.HTTPRedirect, called uint32) *routev3.RedirectAction {
	out := &routev3.RedirectAction{HostRedirect: r.Authority}
	switch {
	case r.PrefixRewrite != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: r.PrefixRewrite}
	case r.Uri != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Uri}
	}
	if r.Scheme != "" {
		out.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch p := r.RedirectPort.(type) {
	case *v1alpha3.HTTPRedirect_Port:
		out.PortRedirect = p.Port
	case *v1alpha3.HTTPRedirect_DerivePort:
		// Envoy keeps the request's port with its host; the protocol's own is 80, or 443 after
		// a change to https, as in Istio.
		if p.DerivePort == v1alpha3.HTTPRedirect_FROM_PROTOCOL_DEFAULT {
			out.PortRedirect = 80
			if r.Scheme == "https" {
				out.PortRedirect = 443
			}
		} else if r.Authority != "" && called != 80 {
			out.PortRedirect = called
		}
	}
	switch r.RedirectCode {
	case 302:
		out.ResponseCode = routev3.RedirectAction_FOUND
	case 303:
		out.ResponseCode = routev3.RedirectAction_SEE_OTHER
	case 307:
		out.ResponseCode = routev3.RedirectAction_TEMPORARY_REDIRECT
	case 308:
		out.ResponseCode = routev3.RedirectAction_PERMANENT_REDIRECT
	}
	return out
}

func directResponse(r *networking.HTTPDirectResponse) *routev3.DirectResponseAction {
	out := &routev3.DirectResponseAction{Status: r.Status}
	switch b := r.GetBody().GetSpecifier().(type) {
	case *v1alpha3.HTTPBody_String_:
		out.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: b.String_}}
	case *v1alpha3.HTTPBody_Bytes:
		out.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b.Bytes}}
	}
	return out
}

func (o *headerOps) add(h *networking.Headers) {
	for _, name := range slices.Sorted(maps.Keys(h.GetRequest().GetSet())) {
		if strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority") {
			o.host = h.Request.Set[name]
		}
	}
	o.request.apply(h.GetRequest())
	o.response.apply(h.GetResponse())
}

func (c *headerChanges) apply(ops *v1alpha3.Headers_HeaderOperations) {
	for _, op := range []struct {
		values map[string]string
		action corev3.HeaderValueOption_HeaderAppendAction
	}{
		{ops.GetSet(), corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD},
		{ops.GetAdd(), corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD},
	} {
		for _, name := range slices.Sorted(maps.Keys(op.values)) {
			if strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority") {
				continue // is the route's host rewrite
			}
			c.add = append(c.add, &corev3.HeaderValueOption{
				Header: &corev3.HeaderValue{Key: name, Value: literal(op.values[name])}, AppendAction: op.action,
			})
		}
	}
	for _, name := range ops.GetRemove() {
		if !slices.Contains(c.remove, name) {
			c.remove = append(c.remove, name)
		}
	}
}

// literal keeps Envoy's formatter, which substitutes %COMMAND%, from a header's
// value: what stands in a VirtualService is meant as it stands.
func literal(value string) string { return strings.ReplaceAll(value, "%", "%%") }
